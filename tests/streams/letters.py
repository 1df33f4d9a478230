"""Dead letters for tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, Iterable

from ingest.schema.dead_letter import DeadLetter
from ingest.schema.envelope import Header, Origin, Position

NOW = dt.datetime(2026, 11, 22, 8, 0, tzinfo=dt.UTC)
FORMAT = "aws.cloudtrail"


def header(first_ordinal: int = 0, *, namespace: str = "acme", format_name: str = FORMAT) -> Header:
    origin = Origin(transport="files", locator="/logs/a.json", sha256="00", first_ordinal=first_ordinal)
    return Header(format=format_name, namespace=namespace, collector="trail", received_at=NOW, origin=origin)


def record_letter(index: int, body: bytes = b"", *, offset: int = 7, repeat: int = 0) -> DeadLetter:
    """A letter of the index role: record `index` of an envelope whose first record is the 100th of its body."""
    record = body or b'{"eventID":"%d"}' % index
    return DeadLetter(
        stage="index",
        reason="MalformedRecord",
        message="checking event time: too far ahead",
        refused_at=NOW + dt.timedelta(seconds=index),
        body=record,
        size=len(record),
        header=header(100),
        position=Position(f"skytrail.raw.{FORMAT}.v1", 0, offset, index),
        repeat=repeat,
    )


def body_letter(body: bytes, *, delivered: int = 0, object_key: str = "", reason: str = "MalformedBody") -> DeadLetter:
    """A letter of a collector: a body of which the first `delivered` records went on."""
    return DeadLetter(
        stage="collect",
        reason=reason,
        message="inflating body: more than the limit",
        refused_at=NOW,
        body=b"" if object_key else body,
        size=len(body),
        header=header(delivered),
        object_key=object_key,
    )


def poison_letter() -> DeadLetter:
    return DeadLetter(
        stage="index",
        reason="UnsupportedEnvelope",
        message="decoding envelope: version byte is 9",
        refused_at=NOW,
        body=b"\x09poison",
        size=7,
        position=Position(f"skytrail.raw.{FORMAT}.v1", 0, 3),
    )


async def stream(letters: Iterable[DeadLetter]) -> AsyncGenerator[DeadLetter, None]:
    for letter in letters:
        yield letter
