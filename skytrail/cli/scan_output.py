"""How hits of a scan are written: one at a time, so that memory does not grow with their number."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from skytrail.cli.output import Output, emit_rows, say
from skytrail.scan.found import Hit

TABLE_ROWS = 1000  # a table is laid out as a whole
COLUMNS = ("rule_id", "title", "level", "file", "record", "uid", "timestamp", "principal", "reason")
_TABLE_COLUMNS = ("timestamp", "level", "title", "principal", "reason", "file", "record")
_MOST_TAGS = 100


class ScanOutput(StrEnum):
    """Formats of hits on stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TIMESKETCH = "timesketch"


def row(hit: Hit) -> dict[str, Any]:
    """A hit as one object; names and order are a promise (docs/cli.md)."""
    return {
        "rule_id": hit.rule.id,
        "title": hit.rule.title,
        "level": hit.rule.level,
        "file": hit.file,
        "record": hit.record,
        "uid": hit.uid,
        "timestamp": hit.match.at,
        "principal": hit.match.principal,
        "reason": hit.match.reason,
    }


def emit_hits(hits: Iterator[Hit], output: ScanOutput) -> None:
    """Write every hit to stdout."""
    match output:
        case ScanOutput.JSONL | ScanOutput.CSV:
            emit_rows(map(row, hits), Output(output.value), columns=COLUMNS)
        case ScanOutput.JSON:
            _json(hits)
        case ScanOutput.TIMESKETCH:
            for line in timeline(hits):
                sys.stdout.write(line + "\n")
        case ScanOutput.TABLE:
            _table(hits)
    sys.stdout.flush()


def timeline(hits: Iterable[Hit]) -> Iterator[str]:
    """A line for Timesketch per event that some rule matched; its rules are `tag`s."""
    for _, alike in itertools.groupby(hits, key=lambda hit: (hit.file, hit.record)):
        of_event = list(alike)
        first, rules = of_event[0], [hit.rule for hit in of_event]
        gravest = max(rules, key=lambda rule: rule.severity)
        entry: dict[str, Any] = json.loads(first.match.entry)
        entry |= {
            "tag": [rule.id for rule in rules][:_MOST_TAGS],
            "rule_title": gravest.title,
            "rule_level": gravest.level,
            "reason": first.match.reason,
            "uid": first.uid,
            "filename": first.file,
            "record": first.record,
        }
        yield json.dumps(entry, ensure_ascii=False)


def _json(hits: Iterator[Hit]) -> None:
    separator = "[\n"
    for hit in hits:
        sys.stdout.write(separator + json.dumps(row(hit), ensure_ascii=False))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def _table(hits: Iterator[Hit]) -> None:
    rows: list[Mapping[str, Any]] = [
        {**row(hit), "severity": hit.rule.level} for hit in itertools.islice(hits, TABLE_ROWS)
    ]
    more = sum(1 for _ in hits)
    if rows:
        emit_rows(rows, Output.TABLE, columns=_TABLE_COLUMNS)
    if more:
        say(f"{TABLE_ROWS:,} of {TABLE_ROWS + more:,} matches shown; use -o jsonl or csv for all")
