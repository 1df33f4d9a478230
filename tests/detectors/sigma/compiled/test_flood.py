"""A flood of values that nobody has seen before costs neither more and more memory nor more and more time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from detectors.sigma.compiled.engine import CompiledEngine
from ingest.formats.registry import format_named
from tests.detectors.sigma.building import rule

COUNT = 100_000
CHUNK = 10_000
TRAIL = format_named("aws.cloudtrail")
RULES = [
    *(
        rule({"s": {"eventName": f"Call{n}", "userAgent|re": f"x{n}[a-z]"}, "condition": "s"}, name=f"call {n}")
        for n in range(100)
    ),
    rule({"s": {"eventName|startswith": "Get", "requestParameters.name|re": "^a+b"}, "condition": "s"}, name="open"),
    rule({"s": {"userAgent|contains": "pacu"}, "condition": "s"}, name="agent"),
    rule({"s": {"userAgent|re": "(a+)+b"}, "condition": "s"}, name="greedy"),
    rule({"s": {"userIdentity.arn|endswith": "/root"}, "condition": "s"}, name="arn"),
    rule({"s": {"sourceIPAddress|cidr": "198.18.0.0/15"}, "condition": "s"}, name="net"),
    rule({"s": {"errorMessage|contains": "denied to pacu"}, "condition": "s"}, name="message"),
    rule({"s": {"event.outcome": "failure", "requestParameters.name": "none"}, "condition": "s"}, name="outcome"),
]
CHOSEN: dict[str, Callable[[int], dict[str, Any]]] = {
    "eventName": lambda n: {"eventName": f"Get{n}Things"},
    "eventSource and errorCode": lambda n: {"eventSource": f"s{n}.amazonaws.com", "errorCode": f"E{n}"},
    "userAgent and errorMessage": lambda n: {
        "userAgent": f"agent/{n} " + "a" * 400,
        "errorCode": "AccessDenied",
        "errorMessage": f"not for {n} " + "b" * 400,
    },
    "arn and address": lambda n: {
        "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::1:user/{n}"},
        "sourceIPAddress": f"2001:db8::{n % 65536:x}:{n // 65536:x}",
    },
}


def records(chosen: Callable[[int], dict[str, Any]], start: int) -> list[bytes]:
    plain = {"eventName": "GetThing", "eventSource": "s3.amazonaws.com", "eventTime": "2026-11-22T03:04:05Z"}
    parameters = {"requestParameters": {"name": "b"}}
    return [json.dumps(plain | parameters | chosen(n)).encode() for n in range(start, start + CHUNK)]


def chunks(chosen: Callable[[int], dict[str, Any]]) -> Iterator[list[bytes]]:
    return (records(chosen, start) for start in range(0, COUNT, CHUNK))


@pytest.mark.parametrize("kind", CHOSEN)
def test_a_hundred_thousand_values_cost_no_more_at_the_end_than_at_the_beginning(kind: str) -> None:
    engine, process = CompiledEngine(RULES), psutil.Process()
    took, held = [], []
    for chunk in chunks(CHOSEN[kind]):
        began = time.process_time()
        assert not any(True for _ in engine.match_raw(chunk, TRAIL))
        took.append(time.process_time() - began)
        held.append(process.memory_info().rss)
    # the least of some chunks is the one with the least disturbance; a cost that grew with what came before would
    # be several times as high at the end
    assert min(took[-4:]) < 2.5 * min(took[1:5])
    assert held[-1] - held[3] < 24 * 1024 * 1024  # what 60,000 new values would take if nothing were forgotten
    assert all(size <= 2 * 8192 for size in engine.remembered(TRAIL).values())
