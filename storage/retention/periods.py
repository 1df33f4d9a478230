"""Periods of a calendar: years and months as a calendar has them, never a number of days that stands for them.

A period that begins at a moment ends at the end of a UTC day: that of the moment plus the period. A day that the month
does not have becomes its last one (31 January and a month: 28 or 29 February). So nothing ends early, whatever zone
the moment was written in, and an end can be told as a date.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re

FOREVER = dt.datetime.max.replace(tzinfo=dt.UTC, microsecond=0)
"""The end of what ends beyond the calendar that Python has."""
_TOLD_IN_YEARS = 24  # months
_SHAPE = re.compile(r"P(?=\d)(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,6})D)?", re.ASCII)
_PROBES = tuple(
    dt.date(year, 1, 1) + dt.timedelta(days=day)
    for year in (2023, 2024, 2095, 2096, 2100)  # plain, leap, before and after a century without a leap day
    for day in range(365)
)


class Period:
    """An ISO 8601 duration of whole days: ``P12M``, ``P6Y``, ``P1Y6M``, ``P90D``. A year is 12 months.

    Written out and not a struct, because msgspec reads custom types from text, and structs not.
    """

    __slots__ = ("days", "months")

    def __init__(self, months: int = 0, days: int = 0) -> None:
        self.months = months
        self.days = days

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Period) and (self.months, self.days) == (other.months, other.days)

    def __hash__(self) -> int:
        return hash((self.months, self.days))

    def __repr__(self) -> str:
        return f"Period({self})"

    def __str__(self) -> str:
        years, months = divmod(self.months, 12) if self.months >= _TOLD_IN_YEARS else (0, self.months)
        parts = ((years, "Y"), (months, "M"), (self.days, "D"))
        return "P" + "".join(f"{count}{unit}" for count, unit in parts if count)

    def after(self, day: dt.date) -> dt.date:
        """The day this period after a day.

        Raises:
            OverflowError: There is no such day.
        """
        months = day.year * 12 + day.month - 1 + self.months
        year, month = divmod(months, 12)
        if year > dt.MAXYEAR:
            raise OverflowError("beyond the calendar")
        last = calendar.monthrange(year, month + 1)[1]
        return dt.date(year, month + 1, min(day.day, last)) + dt.timedelta(days=self.days)

    def end(self, start: dt.datetime) -> dt.datetime:
        """When the period that begins at a moment is over: midnight, UTC, after its last day.

        Args:
            start: With a time zone.

        Raises:
            ValueError: `start` has no time zone.
        """
        if start.tzinfo is None:
            raise ValueError("the start of a period has no time zone")
        try:
            day = self.after(start.astimezone(dt.UTC).date()) + dt.timedelta(days=1)
        except OverflowError:
            return FOREVER
        return dt.datetime.combine(day, dt.time(), dt.UTC)

    def exceeds(self, other: Period) -> bool:
        """Whether there is a day from which on this period lasts longer than the other."""
        if self.days == other.days or self.months == other.months:
            return (self.months, self.days) > (other.months, other.days)
        return any(self.after(day) > other.after(day) for day in _PROBES)


def parse_period(text: str) -> Period:
    """Read an ISO 8601 duration of years, months, weeks and days.

    Raises:
        ValueError: It is none, or nothing at all.
    """
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no period: write P12M, P6Y, P1Y6M or P90D")
    years, months, weeks, days = (int(part or 0) for part in match.groups())
    period = Period(years * 12 + months, weeks * 7 + days)
    if period == Period():
        raise ValueError(f"{text!r} is no time at all")
    return period


def as_period(kind: type, value: object) -> Period:
    """For msgspec: how a period is read from text.

    Raises:
        ValueError: It is none.
        NotImplementedError: Another type was asked for.
    """
    if kind is not Period or not isinstance(value, str):
        raise NotImplementedError(kind)
    return parse_period(value)
