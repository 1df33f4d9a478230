"""When it happened: `timestamp`, else another time of the same record, marked; never "now"."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from ingest.document import utc_millis
from ingest.formats.gcp_audit.records import Opened
from ingest.formats.gcp_records.messages import publish_time
from ingest.parsing.scalars import mapping_of
from ingest.parsing.times import parse_time
from ingest.schema.errors import MalformedRecord

_SHORTEST = len("2026-11-22T08:01:39.1Z")


def event_time(opened: Opened) -> tuple[str, list[str]]:
    """The moment as ISO 8601 in UTC with milliseconds, and what was odd about it.

    Raises:
        MalformedRecord: No time is in the record.
    """
    said = opened.entry.get("timestamp")
    found = _time_of(said)
    if found:
        return found
    odd = "unreadable_event_time" if said else "missing_event_time"
    for place, value in _others(opened):
        found = _time_of(value)
        if found:
            return found[0], [odd, f"taken from {place}", *found[1]]
    named = f"; it says {str(said)[:40]!r}" if said else ""
    raise MalformedRecord(
        f"reading timestamp: the record has no readable time{named}",
        where="timestamp",
        mend="an export that removed it can't be placed in time; fetch the original log",
    )


def _others(opened: Opened) -> Iterator[tuple[str, Any]]:
    """Times that stand for a missing one, the nearest to the event first."""
    metadata = mapping_of(opened.payload.get("requestMetadata"))
    yield "request time", mapping_of(metadata.get("requestAttributes")).get("time")
    yield "payload timestamp", opened.payload.get("timestamp")
    yield "receiveTimestamp", opened.entry.get("receiveTimestamp")
    yield "publishTime", publish_time(opened.wrapper)


def _time_of(value: Any) -> tuple[str, list[str]] | None:
    if value.__class__ is not str:
        return None
    if _is_plain(value):
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
        return utc_millis(moment), []
    parsed = parse_time(value)
    return (utc_millis(parsed.moment), list(parsed.marks)) if parsed else None


def _is_plain(text: str) -> bool:
    """Whether it has Google's own form, 1 to 9 decimals; the general reader takes five times as long."""
    if len(text) < _SHORTEST or text[-1] != "Z" or text[10] != "T" or text[19] != ".":
        return False
    decimals = text[20:-1]
    return len(decimals) <= 9 and decimals.isascii() and decimals.isdecimal()  # noqa: PLR2004 - nanoseconds
