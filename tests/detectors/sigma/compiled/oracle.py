"""Both engines over the same records; the interpreter is right by definition."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from detectors.rule import Rule
from detectors.rulebook import load
from detectors.sigma.compiled.document import view_of
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.engine import InterpretedEngine
from ingest.formats.contract import Format, View
from ingest.schema.envelope import Context
from ingest.schema.errors import RejectedRecord

ROOT = Path(__file__).parents[4]
SHARED = ROOT / ".." / "shared" / "data"
GOLDEN = ROOT / "tests" / "ingest" / "formats"

Matches = list[tuple[int, str]]


def fail(rule: Rule, error: Exception) -> None:
    raise AssertionError(f"{rule.id} raised {error!r}") from error


def interpreted(rules: Sequence[Rule], records: Sequence[bytes], format_: Format) -> Matches:
    """What the interpreter finds on the records that the format reads."""
    engine = InterpretedEngine(rules, on_error=fail)
    found: Matches = []
    for index, record in enumerate(records):
        view = _view(record, format_)
        if view:
            found += [(index, rule.id) for _, rule in engine.match([view], format_.log_source)]
    return found


def raw(engine: CompiledEngine, records: Sequence[bytes], format_: Format) -> Matches:
    return [(index, rule.id) for index, rule in engine.match_raw(records, format_)]


def over_views(engine: CompiledEngine, records: Sequence[bytes], format_: Format) -> Matches:
    views = [_view(record, format_) for record in records]
    places = [index for index, view in enumerate(views) if view]
    known = [view for view in views if view]
    return [(places[index], rule.id) for index, rule in engine.match(known, format_.log_source)]


def _view(record: bytes, format_: Format) -> View | None:
    try:
        return view_of(0, format_.read(record), None)
    except RejectedRecord:
        return None


def golden_batches(format_: Format) -> list[tuple[Context, list[bytes]]]:
    """Records of the golden bodies, those of bodies that say the same beside them together."""
    folder = GOLDEN / format_.name.replace(".", "_") / "golden"
    batches: dict[Context, list[bytes]] = {}
    for file in sorted(folder.iterdir()):
        if not file.name.endswith(".expected.json"):
            body = file.read_bytes()
            batches.setdefault(format_.context(body), []).extend(_split(format_, body))
    return list(batches.items())


def golden_records(format_: Format) -> list[bytes]:
    """All of them."""
    return [record for _, records in golden_batches(format_) for record in records]


def shared_records(name: str, source: str) -> list[bytes]:
    """Records of one format in a set of labelled cases."""
    with gzip.open(SHARED / name / "cases.jsonl.gz", "rt", encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines]
    return [json.dumps(event).encode() for case in cases if case["source"] == source for event in _events(case)]


def shared_batches(format_: Format) -> list[bytes]:
    """Records of the bodies that a real API server posted."""
    if format_.name != "kubernetes.audit":
        return []
    with gzip.open(SHARED / "kubernetes_webhook" / "batches.ndjson.gz") as bodies:
        return [record for body in bodies for record in format_.split(body)]


def _events(case: dict[str, object]) -> Iterator[object]:
    if "event" in case:
        yield case["event"]
    listed = case.get("events")
    if isinstance(listed, list):
        yield from listed


def _split(format_: Format, body: bytes) -> Iterator[bytes]:
    try:
        yield from format_.split(body)
    except RejectedRecord:
        yield body


def shared_rules(*paths: str) -> list[Rule]:
    return list(load([SHARED / "sigma" / path for path in paths]).rules)
