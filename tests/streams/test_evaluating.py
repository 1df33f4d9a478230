"""What the short way says of a message is what making every document would say."""

from __future__ import annotations

import datetime as dt
import functools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.rule import Rule
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.engine import Engine, InterpretedEngine
from ingest.formats.registry import all_formats
from ingest.schema.envelope import Context, Envelope, Header, Position, encode
from streams.evaluating import Evaluated, evaluate
from streams.preparing import Limits, prepare
from streams.topics import raw_topic
from tests.detectors.shipped import shipped
from tests.detectors.sigma.building import rule
from tests.detectors.sigma.compiled.oracle import golden_batches
from tests.detectors.sigma.compiled.strategies import records
from tests.faults.material import header

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
LIMITS = Limits.of(24, 3650)
WITH_SHAPE = ("aws.cloudtrail", "kubernetes.audit")


@functools.cache
def rules() -> tuple[Rule, ...]:
    return tuple(shipped().rules)


@functools.cache
def compiled() -> CompiledEngine:
    return CompiledEngine(rules())


@functools.cache
def header_of(name: str) -> Header:
    return header("unit", name)


def message(name: str, given_records: list[bytes], context: Context = ()) -> bytes:
    envelope = Envelope(header=msgspec.structs.replace(header_of(name), context=context), records=tuple(given_records))
    return encode(envelope)


def place(name: str) -> Position:
    return Position(raw_topic(name), 0, 7)


def evaluated(name: str, given_records: list[bytes], engine: Engine, context: Context = ()) -> Evaluated:
    return evaluate(message(name, given_records, context), place(name), NOW, LIMITS, engine)


def told(found: Evaluated) -> tuple[Any, ...]:
    """Everything that goes on from a message, documents included."""
    matches = [(found.identified[at].document, found.views[at].vendor, each.id) for at, each in found.matches]
    return found.received, found.refused, found.newest, found.source, matches


def trail(**changes: Any) -> bytes:
    event = {"eventName": "StopLogging", "eventSource": "cloudtrail.amazonaws.com", "eventTime": "2026-11-22T03:04:05Z"}
    return json.dumps({**event, "eventID": "e", "requestParameters": {"name": "t"}, **changes}).encode()


ODD = [
    trail(eventTime="2026-11-24T12:00:00Z"),
    trail(eventTime="2026-11-24T12:00:01Z"),
    trail(eventTime="2016-11-25T12:00:00Z"),
    trail(eventTime="2016-11-25T11:59:59Z"),
    trail(eventTime="2026-11-22T03:04:05.1234567Z"),
    trail(eventTime="yesterday"),
    trail(eventTime=None),
    trail(eventTime=None, timestamp="2026-11-22T03:04:05Z"),
    trail(requestParameters={"huge": "<1e999>"}).replace(b'"<1e999>"', b"1e999"),
    trail(requestParameters="<1e999>").replace(b'"<1e999>"', b"1e999"),
    trail(responseElements="<9>").replace(b'"<9>"', b"9" * 5000),
    trail(requestParameters="<deep>").replace(b'"<deep>"', b"[" * 250 + b"]" * 250),
    trail(requestParameters="<deep>").replace(b'"<deep>"', b"[" * 150 + b"]" * 150),
    trail(requestParameters={"x": "\ud800"}),
    trail(requestParameters="<broken>").replace(b'"<broken>"', b'"\xff"'),
    b"no record",
    b"{}",
]


@pytest.mark.parametrize("record", ODD)
def test_an_odd_record_is_refused_by_both_ways_or_by_none(record: bytes) -> None:
    for given_records in ([record], [trail(), record, trail(eventName="Get")]):
        short = evaluated("aws.cloudtrail", given_records, compiled())
        assert told(short) == told(evaluated("aws.cloudtrail", given_records, InterpretedEngine(rules())))
        letters = prepare(message("aws.cloudtrail", given_records), place("aws.cloudtrail"), NOW, LIMITS).letters
        assert short.refused == len(letters)


@pytest.mark.parametrize("name", sorted(all_formats()))
def test_golden_records_of_every_format_come_to_the_same(name: str) -> None:
    batches = golden_batches(all_formats()[name])
    assert sum(len(known) for _, known in batches) > 5
    for context, known in batches:
        short = evaluated(name, known, compiled(), context)
        assert told(short) == told(evaluated(name, known, InterpretedEngine(rules()), context))


def test_a_record_is_of_the_cluster_that_its_own_message_names_whatever_came_before() -> None:
    event = json.dumps(
        {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": "a",
            "stage": "ResponseComplete",
            "requestURI": "/api/v1/nodes",
            "verb": "list",
            "user": {"username": "kubernetes-admin", "groups": ["system:masters"]},
            "objectRef": {"resource": "nodes", "apiVersion": "v1"},
            "stageTimestamp": "2026-11-22T09:17:04.998877Z",
        }
    )
    record = json.dumps({"id": "3", "timestamp": 1795338264000, "message": event}).encode()
    engine = CompiledEngine(rules())
    clusters = []
    for cluster in ("one", "two", None):
        context = (("log_group", f"/aws/eks/{cluster}/cluster"),) if cluster else ()
        found = evaluated("kubernetes.audit", [record], engine, context)
        assert found.matches
        clusters.append(found.identified[0].document.get("orchestrator", {}).get("cluster", {}).get("name"))
    assert clusters == ["one", "two", None]


@pytest.mark.parametrize("name", WITH_SHAPE)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_random_records_come_to_the_same(name: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(records(name), min_size=1, max_size=5))
    assert told(evaluated(name, drawn, compiled())) == told(evaluated(name, drawn, InterpretedEngine(rules())))


def test_no_document_is_made_of_a_record_that_interests_no_rule() -> None:
    engine = CompiledEngine([rule({"s": {"eventName": "StopLogging", "event.outcome": "success"}, "condition": "s"})])
    found = evaluated("aws.cloudtrail", [trail(eventName=f"Get{n}") for n in range(100)] + [trail()], engine)
    assert (found.received, found.refused, len(found.identified)) == (101, 0, 1)
    assert engine.counts.parsed == 1


@given(st.binary(max_size=100))
def test_a_message_that_is_no_envelope_is_one_refusal(garbage: bytes) -> None:
    found = evaluate(garbage, place("aws.cloudtrail"), NOW, LIMITS, compiled())
    assert told(found) == (1, 1, None, None, [])
