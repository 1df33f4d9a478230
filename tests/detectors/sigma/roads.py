"""Every road that a rule and an event may take; the same rule must say the same on each of them.

The last one is that of the stream: the event lies in the request of a CloudTrail record, and the engine gets its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from detectors.rule import Rule
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.engine import InterpretedEngine
from detectors.sigma.parse import Placeholders
from ingest.formats.contract import View
from ingest.formats.registry import format_named
from tests.detectors.sigma.building import SOURCE, rule

CLOUDTRAIL = format_named("aws.cloudtrail")
BODY = "requestParameters"
_RECORD = {
    "eventVersion": "1.11",
    "eventTime": "2026-03-02T11:20:05Z",
    "eventSource": "kiwi.amazonaws.com",
    "eventName": "PeelKiwi",
    "awsRegion": "eu-central-1",
    "eventID": "6f4c3c1e-0d5a-4d5e-9c1c-1f2e3d4c5b6a",
}

Road = Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]], Placeholders], list[bool]]
"""On which of some events a rule with this detection fires."""


def _fail(_: Rule, error: Exception) -> None:
    raise error


def interpreted(
    detection: Mapping[str, Any], events: Sequence[Mapping[str, Any]], placeholders: Placeholders
) -> list[bool]:
    engine = InterpretedEngine([rule(dict(detection), placeholders)], {}, _fail)
    return _places(events, (at for at, _ in engine.match([View(event) for event in events], SOURCE)))


def compiled(
    detection: Mapping[str, Any], events: Sequence[Mapping[str, Any]], placeholders: Placeholders
) -> list[bool]:
    engine = CompiledEngine([rule(dict(detection), placeholders)], {}, _fail)
    views = [View(event) for event in events]
    first, second = (_places(events, (at for at, _ in engine.match(views, SOURCE))) for _ in range(2))
    assert first == second, "what is remembered gives another answer"
    return first


def from_bytes(
    detection: Mapping[str, Any], events: Sequence[Mapping[str, Any]], placeholders: Placeholders
) -> list[bool]:
    moved = {name: body if name == "condition" else _moved(body) for name, body in detection.items()}
    records = [json.dumps({**_RECORD, BODY: event}).encode() for event in events]
    engine = CompiledEngine([rule(moved, placeholders)], None, _fail)
    first, second = (_places(events, (at for at, _ in engine.match_raw(records, CLOUDTRAIL))) for _ in range(2))
    assert first == second, "what is remembered gives another answer"
    return first


def _places(events: Sequence[Any], matched: Iterable[int]) -> list[bool]:
    found = set(matched)
    return [at in found for at in range(len(events))]


ROADS: dict[str, Road] = {"interpreted": interpreted, "compiled": compiled, "from bytes": from_bytes}


def _moved(body: Any) -> Any:
    """A selection about the event where it lies in the record; keywords look everywhere anyway."""
    if isinstance(body, list):
        return [_moved(part) for part in body]
    if not isinstance(body, Mapping):
        return body
    return {
        f"{BODY}.{key}" if not str(key).startswith("|") else key: _referring(key, values)
        for key, values in body.items()
    }


def _referring(key: Any, values: Any) -> Any:
    if "fieldref" not in str(key).split("|"):
        return values
    return [f"{BODY}.{one}" for one in values] if isinstance(values, list) else f"{BODY}.{values}"
