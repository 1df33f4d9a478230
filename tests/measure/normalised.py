"""Measures what the formats make of public cases: how many records become documents, and why others do not.

    uv run python -m tests.measure.normalised ../shared/data             the table of docs/sources.md
    uv run python -m tests.measure.normalised ../shared/data -o json     the same as JSON
    uv run python -m tests.measure.normalised ../shared/data --refused   each refusal as well

It ends with 1 when a refusal is not justified. A refusal is justified

* when the record is of another format, which takes it: AKS audit events that came with platform logs;
* when the record holds no time at all, since an event without one can't be placed: many cases were cut down to what a
  rule reads. Looked for is anything that a time could be, anywhere in it.

How the format `auto` decides about the same records stands beside: whether it finds the format that is right.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.formats.recognition import formats_of
from ingest.formats.registry import all_formats, format_named
from ingest.schema.errors import RejectedRecord

SETS = ("panther/cases", "panther/other_cases", "stratus/cases", "falco/cases")
BATCHES = "kubernetes_webhook/batches"
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{4}/\d\d/\d\d|\d\d?/\d\d?/\d{4}|(?:1[4-9]|2\d)\d{8}(?:\d{3}){0,3}")
_COLUMNS = (
    *("source", "set", "records", "normalised", "as another format", "without any time", "refused else"),
    "auto: right, nobody",
)
_EPOCH = range(1_400_000_000, 3_000_000_000_000)  # seconds or milliseconds


@dataclass(slots=True)
class Row:
    """What became of the records of one source in one set.

    Attributes:
        normalised: Records that became documents.
        elsewhere: Records of another format, which made documents of them → how many.
        timeless: Refused records that hold no time.
        unjustified: The other refusals, with the id of their case.
        refusals: Every refusal, with the id of its case.
        told: Records whose right format `auto` found.
        untold: Records of which `auto` found no format.
        wrong: Records that `auto` gave to a format that refuses them for another reason than a missing time.
    """

    source: str
    set: str
    records: int = 0
    normalised: int = 0
    elsewhere: Counter[str] = field(default_factory=Counter)
    timeless: int = 0
    told: int = 0
    untold: int = 0
    wrong: int = 0
    unjustified: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def take(self, case: str, record: bytes) -> None:
        """Count one record."""
        self.records += 1
        known = formats_of(record)
        refusal = _refusal(self.source, record)
        other = next((name for name in known if name != self.source), "")
        if refusal and other:
            refusal = _refusal(other, record)
            self.elsewhere[other] += not refusal
        else:
            self.normalised += not refusal
        timeless = bool(refusal) and not has_time(json.loads(record))
        self.timeless += timeless
        if refusal:
            self.refusals.append(f"{case}: {refusal}")
        if refusal and not timeless:
            self.unjustified.append(f"{case}: {refusal}")
        self.told += len(known) == 1 and (not refusal or timeless)
        self.wrong += len(known) == 1 and bool(refusal) and not timeless
        self.untold += len(known) != 1


def _refusal(name: str, record: bytes) -> str:
    """Why a format refuses a record; "" when it does not."""
    try:
        format_named(name).normalise(record)
    except RejectedRecord as exc:
        return exc.what
    return ""


def has_time(value: Any) -> bool:
    """Whether anything in a JSON value could be a time."""
    if isinstance(value, dict):
        return any(has_time(each) for each in value.values())
    if isinstance(value, list):
        return any(has_time(each) for each in value)
    if isinstance(value, str):
        return has_time(_inner(value)) if value[:1] in ("{", "[") else bool(_DATE.match(value))
    return isinstance(value, int | float) and int(value) in _EPOCH


def _inner(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def measure(data: Path) -> list[Row]:
    """A row for each source that a format exists for, and each set that has records of it."""
    rows: dict[tuple[str, str], Row] = {}
    for source, set_, case, record in _records(data):
        rows.setdefault((source, set_), Row(source, set_)).take(case, record)
    return [rows[key] for key in sorted(rows)]


def _records(data: Path) -> Iterator[tuple[str, str, str, bytes]]:
    """Source, set, case and record of everything."""
    for name in SETS:
        for case in _lines(data / f"{name}.jsonl.gz"):
            for event in [case["event"]] if "event" in case else case["events"]:
                if case["source"] in all_formats():
                    yield case["source"], name.partition("/")[0], case["id"], json.dumps(event).encode()
    audit = format_named("kubernetes.audit")
    with gzip.open(data / f"{BATCHES}.ndjson.gz") as bodies:
        for number, body in enumerate(bodies):
            for record in audit.split(body):
                yield audit.name, BATCHES.partition("/")[0], f"body {number}", record


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        f"| {' | '.join(_COLUMNS)} |",
        f"| {' | '.join(['---'] * len(_COLUMNS))} |",
    ]
    for row in rows:
        elsewhere = ", ".join(f"{count} {name}" for name, count in sorted(row.elsewhere.items()) if count) or "0"
        counts = f"{row.records} | {row.normalised} | {elsewhere} | {row.timeless} | {len(row.unjustified)}"
        lines.append(f"| {row.source} | {row.set} | {counts} | {row.told}, {row.untold} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 when a refusal is not justified."""
    parser = argparse.ArgumentParser(description="Measure what the formats make of public cases.")
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    parser.add_argument("--refused", action="store_true", help="name each refusal")
    chosen = parser.parse_args(arguments)
    rows = measure(chosen.data)
    if chosen.output == "json":
        sys.stdout.write(json.dumps([_plain(row) for row in rows], indent=2) + "\n")
    else:
        sys.stdout.write(table(rows) + "\n")
    for row in rows:
        for each in row.refusals if chosen.refused else row.unjustified:
            sys.stderr.write(f"{row.source}, {row.set}: {each}\n")
    return int(any(row.unjustified or row.wrong for row in rows))


def _plain(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in Row.__slots__}


if __name__ == "__main__":
    sys.exit(main())
