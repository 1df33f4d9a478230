"""What a report is: sections with a verdict each, as values. Pure; evidence is gathered elsewhere, rendering too."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec

SCHEMA_VERSION = 1


class Verdict(StrEnum):
    """What the evidence of a section says. An honest `NOT MEASURED` is worth more than a false `PASS`."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    NOT_MEASURED = "NOT MEASURED"
    FACTS = "FACTS"
    """It tells and judges nothing."""


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a report.

    Attributes:
        name: For machines: file name of its table.
        title: For people.
        verdict: What it comes to.
        text: What was measured, how, and what it means.
        columns: Of the table; empty for none.
        rows: Values per row, in the order of the columns: text, numbers, true or false, null.
        chart: Column of numbers that is drawn as bars; empty for none.
        labels: Columns whose values stand beside the bars; rows with the same ones are one bar.
    """

    name: str
    title: str
    text: str
    verdict: Verdict = Verdict.FACTS
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    chart: str = ""
    labels: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A report.

    Attributes:
        kind: `integrity`, `completeness`, …
        title: For people.
        scope: What it speaks of: namespaces, archive.
        start: Earliest time it looks at; None: the beginning.
        end: Time before which it ends.
        made_at: When its evidence was gathered.
        made_by: Account that asked for it.
        product: Name and version of what made it.
    """

    kind: str
    title: str
    scope: str
    start: dt.datetime | None
    end: dt.datetime
    made_at: dt.datetime
    made_by: str
    product: str
    sections: tuple[Section, ...]
    schema_version: int = SCHEMA_VERSION

    @property
    def verdict(self) -> Verdict:
        """The worst of its sections; facts alone judge nothing."""
        return worst([section.verdict for section in self.sections])

    def encode(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, UTF-8, a last newline. This is what the signature is about."""
        return msgspec.json.encode(self, order="deterministic") + b"\n"


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """FAIL before NOT MEASURED before PASS before FACTS."""
    order = (Verdict.FAIL, Verdict.NOT_MEASURED, Verdict.PASS, Verdict.FACTS)
    return min(verdicts, key=order.index, default=Verdict.NOT_MEASURED)


def decode(body: bytes) -> Report:
    """Read a report.

    Raises:
        ValueError: It is none, or of a later version.
    """
    report = msgspec.json.decode(body, type=Report)
    if report.schema_version != SCHEMA_VERSION:
        raise ValueError(f"the report is of version {report.schema_version}, this build reads {SCHEMA_VERSION}")
    return report
