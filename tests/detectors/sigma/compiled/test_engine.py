from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from detectors.rule import Rule
from detectors.sigma.ast import And, Condition, FieldMatch, Not, Or, Regex, Text
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.engine import Engine, InterpretedEngine
from ingest.formats.contract import Reading, View
from ingest.formats.registry import format_named
from ingest.schema.errors import MalformedRecord
from tests.detectors.sigma.building import SOURCE, rule
from tests.detectors.sigma.compiled.oracle import fail, interpreted, over_views, raw

TRAIL, AUDIT = format_named("aws.cloudtrail"), format_named("kubernetes.audit")


def event(**fields: Any) -> bytes:
    given = {
        "eventName": "StopLogging",
        "eventSource": "cloudtrail.amazonaws.com",
        "eventTime": "2026-11-22T03:04:05Z",
        **fields,
    }
    return json.dumps({name: value for name, value in given.items() if value is not ...}).encode()


def named(name: str, selection: Any) -> Rule:
    return rule({"s": selection, "condition": "s"}, name=name)


def test_swapping_engines_is_one_assignment() -> None:
    rules = [named("stop", {"eventName": "StopLogging"})]
    view = TRAIL.view(event())
    engines: list[Engine] = [InterpretedEngine(rules), CompiledEngine(rules)]
    found = [[(index, each.id) for index, each in engine.match([view], SOURCE)] for engine in engines]
    assert found == [[(0, "stop")]] * 2
    assert [engine.rules for engine in engines] == [tuple(rules)] * 2


def test_matches_come_in_the_order_of_records_then_of_rules() -> None:
    rules = [
        named("text", {"requestParameters.name|contains": "trail"}),
        named("agent", {"userAgent|startswith": "aws"}),
        named("key", {"eventName": "StopLogging"}),
    ]
    records = [event(userAgent="aws-cli", requestParameters={"name": "my-trail"})] * 120
    found = raw(CompiledEngine(rules), records, TRAIL)
    assert found == [(index, name) for index in range(120) for name in ("text", "agent", "key")]


def test_records_that_do_not_parse_match_nothing() -> None:
    rules = [named("key", {"eventName": "StopLogging"})]
    broken = [
        event()[:-1],
        event(requestParameters="X").replace(b'"X"', b"1e999"),
        event(requestParameters="X").replace(b'"X"', b'{"a":' * 300 + b"1" + b"}" * 300),
        b"",
        b"[]",
        b"\xff",
    ]
    found = raw(CompiledEngine(rules), [*broken, event()], TRAIL)
    assert found == [(len(broken), "key")]
    assert interpreted(rules, broken, TRAIL) == []


@pytest.mark.parametrize("time", ["yesterday", "", ..., None, "2026-13-45T00:00:00Z"])
def test_fields_of_the_document_are_absent_where_no_document_is_made(time: Any) -> None:
    """Such a record has no time, so it has no document, and no outcome."""
    not_successful = {"s": {"eventName": "StopLogging"}, "o": {"event.outcome": "success"}, "condition": "s and not o"}
    rules = [
        rule(not_successful, name="none"),
        named("some", {"eventName": "StopLogging", "event.outcome": "success"}),
        named("ip", {"eventName": "StopLogging", "source.ip": "192.0.2.7"}),
    ]
    record = event(eventTime=time, sourceIPAddress="192.0.2.7")
    assert raw(CompiledEngine(rules, on_error=fail), [record] * 3, TRAIL) == [(n, "none") for n in range(3)]
    assert interpreted(rules, [record], TRAIL) == [(0, "none")]
    assert raw(CompiledEngine(rules), [event(sourceIPAddress="192.0.2.7")], TRAIL) == [(0, "some"), (0, "ip")]


def test_stages_that_are_repeated_in_full_are_left_out() -> None:
    rules = [dataclasses.replace(named("all", {"verb": "get"}), log_source=AUDIT.log_source)]
    stages = ["RequestReceived", "ResponseComplete"]
    records = [json.dumps({"auditID": "a", "stage": stage, "verb": "get"}).encode() for stage in stages]
    assert raw(CompiledEngine(rules), records, AUDIT) == [(1, "all")]


def test_secrets_are_taken_out_before_rules_see_a_record() -> None:
    rules = [
        dataclasses.replace(named("shown", {"requestURI|contains": "redacted"}), log_source=AUDIT.log_source),
        dataclasses.replace(named("secret", ["hunter2hunter2"]), log_source=AUDIT.log_source),
    ]
    record = json.dumps({"auditID": "a", "verb": "get", "requestURI": "/api?token=hunter2hunter2"}).encode()
    assert raw(CompiledEngine(rules, on_error=fail), [record], AUDIT) == [(0, "shown")]


def test_the_callers_document_is_asked_for_what_no_field_tells() -> None:
    rules = [named("own", {"eventName": "StopLogging", "event.dataset": "aws.cloudtrail"})]
    asked: list[int] = []

    def document_of(place: int, reading: Reading) -> Mapping[str, Any]:
        asked.append(place)
        return {**reading.normalise(), "event": {"dataset": "aws.cloudtrail"}}

    engine = CompiledEngine(rules)
    records = [event(eventName="ListTrails"), event()]
    assert [(index, each.id) for index, each in engine.match_raw(records, TRAIL, document_of)] == [(1, "own")]
    assert asked == [1]


def test_a_format_without_a_shape_goes_the_general_way() -> None:
    class Other:
        name, log_source, aliases = "other", SOURCE, TRAIL.aliases

        def read(self, record: bytes) -> Reading:
            return TRAIL.read(record)

    rules = [named("key", {"eventName": "StopLogging"})]
    engine = CompiledEngine(rules)
    other: Any = Other()
    found = [(index, each.id) for index, each in engine.match_raw([b"x", event()], other)]
    assert found == [(1, "key")]
    assert engine.arrangement(other) is None


BROKEN = FieldMatch("userAgent", Regex("("))  # no such pattern gets past the parser


@pytest.mark.parametrize(
    "condition",
    [
        BROKEN,
        And((FieldMatch("eventName", Text(("StopLogging",))), BROKEN)),
        And((Not(FieldMatch("eventName", Text(("Other",)))), BROKEN)),
        FieldMatch("eventName", Regex("(")),
        FieldMatch("requestParameters.name", Regex("(")),
    ],
    ids=["remembered", "keyed", "everywhere", "in the key", "gated"],
)
def test_a_rule_that_raises_is_reported_and_the_others_go_on(condition: Condition) -> None:
    told: list[str] = []
    broken = dataclasses.replace(named("broken", {"a": 1}), condition=condition)
    rules = [broken, named("sound", {"eventName": "StopLogging"})]
    records = [event(userAgent="x", requestParameters={"name": "y"})] * 3
    engine = CompiledEngine(rules, on_error=lambda each, _: told.append(each.id))
    assert raw(engine, records, TRAIL) == [(n, "sound") for n in range(3)]
    assert told == ["broken"] * 3
    told.clear()
    assert over_views(engine, records, TRAIL) == [(n, "sound") for n in range(3)]
    assert told == ["broken"] * 3


class _Trap(dict[str, Any]):
    """An event that raises when one of its fields is read."""

    def __contains__(self, key: object) -> bool:
        if key == "eventName":
            raise RuntimeError("injected")
        return super().__contains__(key)


def test_an_event_that_cannot_be_looked_at_stops_only_the_rules_that_ask() -> None:
    told: list[str] = []
    rules = [named("asks", {"eventName": "StopLogging"}), named("asks not", {"userAgent": "x"})]
    engine = CompiledEngine(rules, {}, lambda each, _: told.append(each.id))
    found = [(index, each.id) for index, each in engine.match([View(_Trap(userAgent="x"))], SOURCE)]
    assert found == [(0, "asks not")]
    assert told == ["asks"]


def test_a_rule_that_cannot_be_compiled_is_interpreted_and_counted() -> None:
    deep: Condition = FieldMatch("eventName", Text(("StopLogging",)))
    for _ in range(450):  # the interpreter needs one frame a level, the compiler several
        deep = Or((deep, FieldMatch("userAgent", Text(("never",)))))
    rules = [dataclasses.replace(named("deep", {"a": 1}), condition=deep), named("flat", {"eventName": "StopLogging"})]
    engine = CompiledEngine(rules, on_error=fail)
    assert raw(engine, [event(), event(eventName="Other")], TRAIL) == [(0, "deep"), (0, "flat")]
    arrangement = engine.arrangement(TRAIL)
    assert arrangement is not None
    assert arrangement.interpreted == 1


def test_most_events_are_put_aside_without_parsing_them() -> None:
    rules = [named("stop", {"eventName": "StopLogging", "requestParameters.name": "x"})]
    engine = CompiledEngine(rules)
    records = [event(eventName="GetObject", userAgent=f"a{n}") for n in range(500)]
    assert list(_numbers(engine, records)) == []
    assert (engine.counts.records, engine.counts.parsed, engine.counts.decisions) == (500, 0, 1)


def test_two_calls_at_a_time_do_not_mix() -> None:
    engine = CompiledEngine([named("stop", {"eventName": "StopLogging"})])
    first, second = _numbers(engine, [event()] * 60), _numbers(engine, [event(eventName="Get"), event()])
    assert next(first) == 0
    assert list(second) == [1]
    assert list(first) == list(range(1, 60))


def test_a_record_refused_while_its_document_is_made_has_none() -> None:
    def refuse(_place: int, _reading: Reading) -> Mapping[str, Any]:
        raise MalformedRecord("injected")

    rules = [rule({"s": {"eventName": "StopLogging"}, "d": {"log.level": "x"}, "condition": "s and not d"}, name="r")]
    found = [(index, each.id) for index, each in CompiledEngine(rules).match_raw([event()], TRAIL, refuse)]
    assert found == [(0, "r")]


def _numbers(engine: CompiledEngine, records: Sequence[bytes]) -> Iterator[int]:
    return (index for index, _ in engine.match_raw(records, TRAIL))
