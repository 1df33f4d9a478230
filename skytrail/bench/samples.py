"""Generated records to measure with: everyday ones, and those that cost the most.

Everyday records are the demo's days: seeded, so that everybody measures the same bytes, and varied, so that more of
them than fit a processor's caches go by. They are made, not recorded: shares of services and sizes of bodies are those
of the demo's company.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from ingest.formats.registry import format_named
from ingest.parsing.gzip_member import inflate
from ingest.schema.errors import ConfigError, RejectedRecord
from skytrail.demo.day import generate
from skytrail.demo.delivery import AUDIT, CLOUDTRAIL

SEED: Final = 7
LARGE_BYTES: Final = 100_000
FORMATS: Final = (CLOUDTRAIL, AUDIT)
"""Formats that the demo generates records of."""

_MOST_INFLATED: Final = 1024**3
_HUGE: Final = 123_456_789_012_345_678_901_234_567_890

Event = dict[str, Any]
Change = Callable[[Event, int], None]
"""Changes an event in place; the number is another for each event."""


def everyday(format_name: str, count: int, *, seed: int, end: dt.datetime) -> list[bytes]:
    """Different records of a format that become documents, in the order of their delivery.

    Args:
        format_name: One of `FORMATS`.
        count: How many.
        seed: Another seed gives other records, with other ids.
        end: When the day ends that they tell of.

    Raises:
        ConfigError: No records of this format are generated.
    """
    if format_name not in FORMATS:
        raise ConfigError(
            f"generating records: there is no generator for {format_name}", mend=f"use one of: {', '.join(FORMATS)}"
        )
    found: dict[bytes, None] = {}
    for record in _generated(format_name, seed, end):
        found[record] = None
        if len(found) == count:
            break
    return list(found)


def _generated(format_name: str, seed: int, end: dt.datetime) -> Iterator[bytes]:
    """Records of one day after the other, without those that the demo breaks on purpose."""
    format_ = format_named(format_name)
    for number in itertools.count():
        day = generate(random.Random(f"{seed}/{number}"), end)  # noqa: S311 - reproducible, not secret
        for file in day.of_format(format_name):
            for record in format_.split(inflate(file.body, _MOST_INFLATED)):
                try:
                    format_.normalise(record)
                except RejectedRecord:
                    continue
                yield record


def hard(kind: str, format_name: str, records: list[bytes]) -> list[bytes]:
    """The records changed so that they cost more.

    Args:
        kind: One of `HARD`.
        format_name: Their format.
        records: Everyday ones.
    """
    change = HARD[kind][format_name]
    changed = []
    for number, record in enumerate(records):
        event = orjson.loads(record)
        change(event, number)
        # orjson writes no integer beyond 64 bits, so a text stands for it
        changed.append(orjson.dumps(event).replace(b'"<huge>"', str(_HUGE).encode()))
    return changed


def _unique_trail(event: Event, number: int) -> None:
    event["userAgent"] = f"agent-{number:x}/{number}.0 (Linux; build {number * 7919:x}) Botocore/1.{number}"
    event["sourceIPAddress"] = f"2001:db8::{number % 65536:x}:{number // 65536:x}"
    event["eventName"] = f"Get{number:x}Report"
    event["eventTime"] = f"2026-11-{number % 28 + 1:02}T{number % 24:02}:{number % 60:02}:{number // 60 % 60:02}Z"


def _unique_audit(event: Event, number: int) -> None:
    event["userAgent"] = f"agent-{number:x}/v{number}.0 (linux/amd64) kubernetes/{number * 7919:x}"
    event["sourceIPs"] = [f"2001:db8::{number % 65536:x}:{number // 65536:x}"]
    event["user"] = {"username": f"user-{number:x}@example.org", "groups": [f"group-{number:x}"]}
    event["verb"] = f"verb{number:x}"


def _large_trail(event: Event, number: int) -> None:
    arn = f"arn:aws:s3:::bucket-{number:x}"
    statement = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": arn, "Sid": "A", "N": 17}
    event["requestParameters"] = {"policyDocument": {"Statement": [statement] * (LARGE_BYTES // 110)}}


def _large_audit(event: Event, number: int) -> None:
    """An answer full of secrets: each value has to be found and replaced."""
    event["objectRef"] = {"resource": "secrets", "namespace": f"ns-{number:x}", "apiVersion": "v1"}
    data = {f"key-{place}": "c2VjcmV0IHZhbHVl" * 2 for place in range(LARGE_BYTES // 46)}
    event["responseObject"] = {"kind": "Secret", "apiVersion": "v1", "data": data}


def _odd_trail(event: Event, number: int) -> None:
    odd: list[Event] = [
        {"readOnly": "True", "userAgent": ["a", "b"], "errorCode": 403},
        {"requestParameters": "not an object", "resources": {"arn": 5}},
        {"sourceIPAddress": {"address": "x"}, "eventTime": 1_763_800_000_000},
        {"requestParameters": {"size": "<huge>", "items": [[], {}, None, ""]}},
        {"userIdentity": {"accountId": 12_345, "sessionContext": "none", "type": ["IAMUser"]}},
        {"eventname": event.pop("eventName"), "EVENTSOURCE": event.pop("eventSource")},
    ]
    event |= odd[number % len(odd)]
    if number % len(odd) != len(odd) - 1:
        event["eventName"], event["eventSource"] = odd[-1]["eventname"], odd[-1]["EVENTSOURCE"]


def _odd_audit(event: Event, number: int) -> None:
    odd: list[Event] = [
        {"stageTimestamp": 1_763_800_000, "sourceIPs": "192.0.2.7, 198.51.100.3"},
        {"user": {"username": 5, "groups": "system:masters", "extra": {"arn": "arn:aws:iam::1:x", ".": 1}}},
        {"responseStatus": {"code": "403", "status": 1}},
        {"requestObject": {"spec": {"replicas": "<huge>"}, "metadata": ["x"]}},
        {"objectRef": "pods", "annotations": {"authorization.k8s.io/decision": ["forbid"]}},
        {"requestObject": [{"kind": "Pod"}], "responseObject": "text"},
    ]
    event |= odd[number % len(odd)]


HARD: Final[Mapping[str, Mapping[str, Change]]] = {
    "unique values": {CLOUDTRAIL: _unique_trail, AUDIT: _unique_audit},
    "odd types": {CLOUDTRAIL: _odd_trail, AUDIT: _odd_audit},
    "100 KB bodies": {CLOUDTRAIL: _large_trail, AUDIT: _large_audit},
}
"""Kinds of hard records: what nothing is remembered of, what has other types than documented, what is large."""
