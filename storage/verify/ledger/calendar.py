"""When a period of a calendar ends (docs/retention.md), computed without the code that decided by it."""

from __future__ import annotations

import calendar
import datetime as dt
import re

_PERIOD = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?", re.ASCII)
_NAME = re.compile(r"logs-.+-(\d{4})\.(?:w(\d{2})|(\d{2})(?:\.(\d{2}))?)")
_NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)


def end_of(start: dt.datetime, period: str) -> dt.datetime:
    """Midnight, UTC, after the day on which a period that began at a moment is over.

    Raises:
        ValueError: It is no period.
    """
    match = _PERIOD.fullmatch(period)
    if match is None or not any(match.groups()):
        raise ValueError(f"{period!r} is no period")
    years, months, weeks, days = (int(part or 0) for part in match.groups())
    day = start.astimezone(dt.UTC).date()
    count = day.month - 1 + months
    year, month = day.year + years + count // 12, count % 12 + 1
    if year > dt.MAXYEAR:
        return _NEVER
    there = day.replace(year=year, month=month, day=min(day.day, calendar.monthrange(year, month)[1]))
    try:
        return dt.datetime.combine(there, dt.time(), dt.UTC) + dt.timedelta(days=7 * weeks + days + 1)
    except OverflowError:
        return _NEVER


def span_of_index(name: str) -> tuple[dt.datetime, dt.datetime] | None:
    """The period in the name of an index, its end excluded; None where there is none in it."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    year, week, month, day = (int(part) if part else 0 for part in match.groups())
    try:
        if week:
            first, days = dt.date.fromisocalendar(year, week, 1), 7
        else:
            first, days = dt.date(year, month, day or 1), 1 if day else calendar.monthrange(year, month)[1]
        start = dt.datetime.combine(first, dt.time(), dt.UTC)
        return start, start + dt.timedelta(days=days)
    except (ValueError, OverflowError, calendar.IllegalMonthError):
        return None
