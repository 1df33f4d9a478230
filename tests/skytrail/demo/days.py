"""The generated day of these tests, made once, and its records one by one."""

from __future__ import annotations

import datetime as dt
import functools
import gzip
import random
from collections.abc import Iterator
from typing import Any

import orjson

from skytrail.demo.day import SEED, Day, generate

NOW = dt.datetime(2026, 11, 22, 12, 30, tzinfo=dt.UTC)


@functools.cache
def the_day() -> Day:
    """The day that the demo shows."""
    return generate(random.Random(SEED), NOW)


def body_of(name: str, body: bytes) -> bytes:
    """The inflated body."""
    return gzip.decompress(body) if name.endswith(".gz") else body


def events(day: Day) -> Iterator[dict[str, Any]]:
    """Every event of the day that is a readable one, duplicates included."""
    for file in day.files:
        body = body_of(file.name, file.body)
        if file.name.endswith(".ndjson"):
            for line in body.splitlines():
                try:
                    event = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue
                if "eventName" in event:
                    yield event
        else:
            held = orjson.loads(body)
            yield from held["Records"] if "Records" in held else held["items"]


def identity(event: dict[str, Any]) -> str:
    """What tells an event from every other."""
    return event.get("eventID") or f"{event['auditID']}/{event['stage']}"
