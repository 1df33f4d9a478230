"""When a stage was reached: `stageTimestamp`, else another time of the event or its wrapper, marked; never "now"."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.document import utc_millis
from ingest.formats.kubernetes_audit.records import Opened
from ingest.parsing.times import parse_time
from ingest.schema.errors import MalformedRecord

_OTHERS = ("requestReceivedTimestamp", "timestamp")
_OF_WRAPPER = ("time", "timestamp", "@timestamp", "TimeGenerated", "receiveTimestamp")
_MILLIS_FROM = 100_000_000_000  # as seconds that is the year 5138, as milliseconds 1973
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_GO_TEXT = len("2026-11-22T08:01:39.686299Z")


class Time(NamedTuple):
    """A moment as the document holds it.

    Attributes:
        millis: ISO 8601 in UTC with milliseconds.
        exact: The same with microseconds.
        marks: What was odd about it.
    """

    millis: str
    exact: str
    marks: tuple[str, ...] = ()


def time_of(value: Any) -> Time | None:
    """The time a value names; None when it names none, or Go's zero time (year 1), which means none."""
    if value.__class__ is str:
        if len(value) == _GO_TEXT and value[-1] == "Z" and value[10] == "T" and value[19] == "." and value[0] != "0":
            try:
                dt.datetime.fromisoformat(value)
            except ValueError:
                return None
            return Time(value[:23] + "Z", value)
        parsed = parse_time(value)
        return _time(parsed.moment, parsed.marks) if parsed and parsed.moment.year > 1 else None
    if value.__class__ is int or value.__class__ is float:
        try:
            return _time(
                _EPOCH + dt.timedelta(seconds=value / 1000 if abs(value) >= _MILLIS_FROM else value), ("epoch",)
            )
        except (OverflowError, ValueError):
            return None  # beyond the years 1 to 9999
    return None


def event_time(opened: Opened) -> Time:
    """Time of the stage, with marks.

    Raises:
        MalformedRecord: No time is in the event and in its wrapper.
    """
    stage = opened.event.get("stageTimestamp")
    found = time_of(stage)
    if found:
        return found
    odd = "unreadable_event_time" if stage else "missing_event_time"
    for source, names, place in ((opened.event, _OTHERS, ""), (opened.wrapper, _OF_WRAPPER, "wrapper ")):
        found = _first(source, names, place, odd)
        if found:
            return found
    said = f"; stageTimestamp says {str(stage)[:40]!r}" if stage else ""
    raise MalformedRecord(
        f"reading stageTimestamp: the event has no readable time, and its wrapper neither{said}",
        where="stageTimestamp",
        mend="an export that removed it can't be placed in time; fetch the original log",
    )


def _first(source: Mapping[str, Any], names: tuple[str, ...], place: str, odd: str) -> Time | None:
    for name in names:
        found = time_of(source.get(name))
        if found:
            return found._replace(marks=(odd, f"taken from {place}{name}", *found.marks))
    return None


def _time(moment: dt.datetime, marks: tuple[str, ...]) -> Time:
    exact = moment.astimezone(dt.UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    return Time(utc_millis(moment), exact, marks)
