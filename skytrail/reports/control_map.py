"""Controls of standards and laws, read from `controls/*.toml`, judged by measured facts. Pure but for reading.

A control is satisfied only where every fact it names was measured and holds, and nothing of it lies beyond what can be
measured here. Adding a control, or a file of them, edits no code.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from ingest.schema.errors import ConfigError
from skytrail.reports.cells import quoted
from skytrail.reports.facts import Fact
from skytrail.reports.report import Section, Verdict, worst
from storage.retention.regimes import read_toml

SHIPPED = Path(__file__).with_name("controls")
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class Status(StrEnum):
    """How far a control is satisfied."""

    SATISFIED = "satisfied"
    PARTLY = "partly"
    NOT = "not satisfied"
    NOT_MEASURED = "not measured"


class Control(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One control.

    Attributes:
        id: Its number in the text.
        asks: What it asks for, in our words.
        facts: Names of the facts that must hold, as `evidence/` measures them.
        beyond: What else it asks for, that cannot be measured here; empty for nothing.
    """

    id: _Text
    asks: _Text
    facts: tuple[str, ...] = ()
    beyond: str = ""


class Framework(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A standard or a law.

    Attributes:
        name: With its edition.
        note: What one should know before quoting it.
        control: In the order of the text.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    name: _Text
    source_url: Annotated[str, msgspec.Meta(pattern="^https://")]
    note: str = ""
    control: Annotated[tuple[Control, ...], msgspec.Meta(min_length=1)]


def frameworks(known: Collection[str], directory: Path = SHIPPED) -> list[Framework]:
    """The frameworks of a directory, by file name.

    Args:
        known: Names of facts that can be measured.
        directory: Of TOML files.

    Raises:
        ConfigError: A key or a fact that does not exist, a control that rests on nothing.
    """
    return [_framework(path, known) for path in sorted(directory.glob("*.toml"))]


def judge(control: Control, facts: Mapping[str, Fact]) -> Status:
    """How far a control is satisfied by what was measured."""
    found = [facts[name].holds for name in control.facts]
    if found and all(found) and not control.beyond:
        return Status.SATISFIED
    if any(found):
        return Status.PARTLY
    return Status.NOT if False in found else Status.NOT_MEASURED


def section_of(framework: Framework, facts: Mapping[str, Fact]) -> Section:
    """The controls of a framework, each with its evidence in words."""
    judged = [(control, judge(control, facts)) for control in framework.control]
    counts = {status: sum(each is status for _, each in judged) for status in Status}
    told = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
    return Section(
        name=framework.id,
        title=framework.name,
        verdict=worst([_verdict(control, status, facts) for control, status in judged]),
        text=f"{told}. {framework.note} Text: {framework.source_url}".replace("  ", " "),
        columns=("control", "asks for", "status", "evidence", "beyond measurement"),
        rows=tuple(
            (control.id, control.asks, status.value, _evidence(control, facts), quoted(control.beyond))
            for control, status in judged
        ),
    )


def overview(chosen: Sequence[Framework], facts: Mapping[str, Fact]) -> Section:
    """Per framework how many controls are satisfied, partly, not, or not measured."""
    rows = []
    for framework in chosen:
        found = [judge(control, facts) for control in framework.control]
        rows.append((framework.name, *(sum(each is status for each in found) for status in Status)))
    return Section(
        name="overview",
        title="Controls by standard",
        text=(
            "Satisfied: every fact that the control rests on was measured and holds. Partly: some do, or the control "
            "also asks for what cannot be measured here. Nothing is satisfied by a claim alone."
        ),
        columns=("standard", *(status.value for status in Status)),
        rows=tuple(rows),
        chart=Status.SATISFIED.value,
    )


def _verdict(control: Control, status: Status, facts: Mapping[str, Fact]) -> Verdict:
    if status is Status.SATISFIED:
        return Verdict.PASS
    return Verdict.FAIL if any(facts[name].holds is False for name in control.facts) else Verdict.NOT_MEASURED


def _evidence(control: Control, facts: Mapping[str, Fact]) -> str:
    words = {True: "holds", False: "does not hold", None: "unknown"}
    return "; ".join(f"{name} {words[facts[name].holds]}: {quoted(facts[name].told)}" for name in control.facts)


def _framework(path: Path, known: Collection[str]) -> Framework:
    try:
        found = msgspec.convert(read_toml(path), Framework)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"reading controls: {exc}", where=str(path), mend="see the other files beside it") from exc
    for control in found.control:
        if wrong := _unknown(control.facts, known):
            mend = f"name one of {', '.join(sorted(known))}"
            raise ConfigError(f"reading control {control.id}: there is no fact {wrong[0]}", where=str(path), mend=mend)
        if not control.facts and not control.beyond:
            mend = "name facts, or say in `beyond` why it cannot be measured"
            raise ConfigError(f"reading control {control.id}: it rests on nothing", where=str(path), mend=mend)
    return found


def _unknown(names: Iterable[str], known: Collection[str]) -> list[str]:
    return [name for name in names if name.partition(":")[0] not in known]
