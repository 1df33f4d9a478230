"""Calendar arithmetic: never early, whatever the month, the leap day and the time zone."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.retention.periods import FOREVER, Period, parse_period

periods = st.builds(Period, months=st.integers(0, 600), days=st.integers(0, 4000)).filter(lambda each: each != Period())
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
moments = st.datetimes(
    dt.datetime(1990, 1, 1),  # noqa: DTZ001 - Hypothesis wants the bounds without a zone
    dt.datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=zones,
)


@pytest.mark.parametrize(
    ("start", "period", "end"),
    [
        ("2026-01-31T10:00:00Z", "P1M", "2026-03-01"),
        ("2024-01-31T10:00:00Z", "P1M", "2024-03-01"),
        ("2024-02-29T00:00:00Z", "P1Y", "2025-03-01"),
        ("2024-02-29T00:00:00Z", "P4Y", "2028-03-01"),
        ("2096-02-29T12:00:00Z", "P4Y", "2100-03-01"),
        ("2025-11-27T23:59:59Z", "P12M", "2026-11-28"),
        ("2025-12-31T23:30:00-02:00", "P1D", "2026-01-03"),
        ("2026-01-01T00:30:00+14:00", "P1D", "2026-01-02"),
        ("2026-03-31T00:00:00Z", "P1M1D", "2026-05-02"),
        ("2026-11-27T00:00:00Z", "P2W", "2026-12-12"),
    ],
)
def test_a_period_ends_after_its_last_day(start: str, period: str, end: str) -> None:
    assert parse_period(period).end(dt.datetime.fromisoformat(start)) == dt.datetime.fromisoformat(f"{end}T00:00:00Z")


@pytest.mark.parametrize("text", ["", "P", "P0D", "P1H", "PT1H", "12M", "P-1Y", "P1Y ", "p1y", "P1M1Y", "P1.5Y", "P٣D"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"period|no time"):
        parse_period(text)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Period(days=1).end(dt.datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


@given(periods)
def test_a_period_survives_being_written_and_read(period: Period) -> None:
    assert parse_period(str(period)) == period


@given(moments, periods)
def test_the_end_never_depends_on_the_zone_a_moment_is_written_in(start: dt.datetime, period: Period) -> None:
    assert period.end(start) == period.end(start.astimezone(dt.UTC))


@given(moments, st.integers(1, 4000))
def test_days_are_never_fewer_than_asked_and_less_than_one_more(start: dt.datetime, days: int) -> None:
    passed = Period(days=days).end(start) - start
    assert dt.timedelta(days=days) < passed <= dt.timedelta(days=days + 1)


@given(moments, st.integers(1, 40))
def test_years_end_on_the_same_day_of_the_year_or_after_the_last_of_february(start: dt.datetime, years: int) -> None:
    day = start.astimezone(dt.UTC).date()
    last = Period(months=12 * years).end(start).date() - dt.timedelta(days=1)
    assert (last.year, last.month) == (day.year + years, day.month)
    assert last.day == day.day or (day.month, day.day, last.day) == (2, 29, 28)


@given(moments, periods, periods)
def test_a_longer_period_never_ends_sooner(start: dt.datetime, one: Period, more: Period) -> None:
    both = Period(one.months + more.months, one.days + more.days)
    assert both.end(start) >= one.end(start)


@given(st.tuples(moments, moments).map(sorted), periods)
def test_who_begins_later_never_ends_sooner(starts: list[dt.datetime], period: Period) -> None:
    assert period.end(starts[0]) <= period.end(starts[1])


def test_some_periods_are_longer_or_shorter_by_the_day_on_which_they_begin() -> None:
    month, days = parse_period("P1M"), parse_period("P30D")
    assert month.exceeds(days)
    assert days.exceeds(month)
    assert not parse_period("P1Y").exceeds(parse_period("P12M"))
    assert parse_period("P1Y").exceeds(parse_period("P365D"))
    assert not parse_period("P1Y").exceeds(parse_period("P366D"))


def test_beyond_the_calendar_is_for_ever() -> None:
    assert parse_period("P9999Y").end(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)) == FOREVER
