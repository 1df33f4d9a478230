"""When an event happened: `eventTime`, else another time of the same event, with a mark; never "now"."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any

from ingest.document import utc_millis
from ingest.formats.aws_cloudtrail.records import Opened
from ingest.parsing.times import LONGEST, parse_time
from ingest.schema.errors import MalformedRecord

_OTHERS = ("time", "timestamp", "@timestamp", "EventTime", "event_time", "digestStartTime", "newestEventTime")
_MILLIS_FROM = 100_000_000_000  # as seconds that is the year 5138, as milliseconds 1973


def iso_time(value: Any) -> tuple[str, tuple[str, ...]] | None:
    """A time text, or seconds or milliseconds since 1970, as ISO 8601 with marks; None when it is no time."""
    if value.__class__ is str:
        return _iso_of_text(value) if len(value) <= LONGEST else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _iso_of_epoch(value)
    return None


def event_time(opened: Opened, name: str = "eventTime") -> tuple[str, tuple[str, ...]]:
    """ISO time of an event and what was odd about it (`skytrail.time.marks`).

    Args:
        opened: The record, opened.
        name: The field that should hold it (`digestEndTime` for digest files).

    Raises:
        MalformedRecord: It is there and names no possible moment, or it is absent and no other time is there.
    """
    value = opened.event.get(name)
    if value is not None and value != "":
        found = iso_time(value)
        if found is None:
            raise MalformedRecord(
                f"reading {name}: {str(value)[:80]!r} is not a time, or an impossible date",
                where=name,
                mend="find out what wrote this time; a new form needs support in ingest/parsing/times.py",
            )
        return found
    for source, place in ((opened.event, ""), (opened.wrapper, "wrapper ")):
        for other in _OTHERS:
            found = iso_time(source.get(other))
            if found is not None:
                return found[0], ("missing_event_time", f"taken from {place}{other}", *found[1])
    raise MalformedRecord(
        f"reading {name}: the event has none, and no other time",
        where=name,
        mend="an export that removed it can't be placed in time; fetch the original log files",
    )


@functools.lru_cache(maxsize=4096)
def _iso_of_text(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Memoised: a log file holds hundreds of events of the same seconds."""
    parsed = parse_time(text)
    return (utc_millis(parsed.moment), parsed.marks) if parsed else None


def _iso_of_epoch(number: float) -> tuple[str, tuple[str, ...]] | None:
    seconds = number / 1000 if abs(number) >= _MILLIS_FROM else number
    try:
        return utc_millis(dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)), ("epoch",)
    except (OverflowError, ValueError):
        return None  # beyond the years 1 to 9999, or not a number
