"""Whole days, weeks and months (UTC), and which of them a report is due for. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Every = Literal["day", "week", "month"]
MOST = 31
"""Periods that are made up for at once: after a longer silence the rest follows with the next run."""
_DAY, _WEEK, _MONTH = r"\d{4}-\d{2}-\d{2}", r"(\d{4})-W(\d{2})", r"\d{4}-\d{2}"


@dataclass(frozen=True, slots=True)
class Span:
    """A period.

    Attributes:
        name: `2026-11-26`, `2026-W48` (ISO 8601) or `2026-11`.
        end: Time before which it ends.
    """

    name: str
    start: dt.datetime
    end: dt.datetime


def span_at(every: Every, time: dt.datetime) -> Span:
    """The period in which a time lies."""
    day = time.astimezone(dt.UTC).date()
    if every == "day":
        return _span(day.isoformat(), day, day + dt.timedelta(days=1))
    if every == "week":
        start = day - dt.timedelta(days=day.weekday())
        return _span("{}-W{:02d}".format(*start.isocalendar()), start, start + dt.timedelta(days=7))
    start = day.replace(day=1)
    return _span(f"{start:%Y-%m}", start, (start + dt.timedelta(days=31)).replace(day=1))


def span_named(every: Every, name: str) -> Span:
    """The period of a name.

    Raises:
        ValueError: It is none of this length.
    """
    if every == "day" and re.fullmatch(_DAY, name):
        return span_at(every, _midnight(dt.date.fromisoformat(name)))
    if every == "week" and (found := re.fullmatch(_WEEK, name)):
        return span_at(every, _midnight(dt.date.fromisocalendar(int(found[1]), int(found[2]), 1)))
    if every == "month" and re.fullmatch(_MONTH, name):
        return span_at(every, _midnight(dt.date.fromisoformat(f"{name}-01")))
    raise ValueError(name)


def due(every: Every, newest: Span | None, now: dt.datetime) -> list[Span]:
    """The periods that are over and lack a report, oldest first, at most `MOST`.

    Args:
        every: Their length.
        newest: The last one that has its report; None: there is none, and only the last period is due.
        now: The present.
    """
    last = span_at(every, span_at(every, now).start - dt.timedelta(days=1))
    return list(_between(every, newest, last))[:MOST] if newest else [last]


def _between(every: Every, newest: Span, last: Span) -> Iterator[Span]:
    span = span_at(every, newest.end)
    while span.end <= last.end:
        yield span
        span = span_at(every, span.end)


def _span(name: str, start: dt.date, end: dt.date) -> Span:
    return Span(name, _midnight(start), _midnight(end))


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
