"""Days and weeks of reviews: a period counts once it is over, and only a sign-off made after it counts."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.action import Action
from ingest.schema.errors import ConfigError
from skytrail.reports.reviews import DAILY, WEEKLY, SignOff, check_period, ends_of, periods, reviewed, sign_off_of

TIMES = st.integers(1_575_000_000, 1_895_000_000).map(lambda seconds: dt.datetime.fromtimestamp(seconds, dt.UTC))


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def action(period: str, made: str, what: str = DAILY, **more: Any) -> Action:
    told = Action(
        id="1",
        at=dt.datetime.fromisoformat(made),
        actor="alice",
        host="h",
        program="cli",
        name="report.sign-off",
        kind="change",
        outcome="success",
        target=what,
        details={"period": period, "comment": "3 alerts"},
    )
    return msgspec.structs.replace(told, **more)


@given(TIMES, st.timedeltas(min_value=dt.timedelta(), max_value=dt.timedelta(days=60)))
def test_periods_lie_within_their_span_one_after_the_other(start: dt.datetime, length: dt.timedelta) -> None:
    for what, days in ((DAILY, 1), (WEEKLY, 7)):
        ends = [ends_of(what, each) for each in periods(what, start, start + length)]
        assert all(start <= end - dt.timedelta(days=days) and end <= start + length for end in ends)
        assert all(after - before == dt.timedelta(days=days) for before, after in itertools.pairwise(ends))


def test_weeks_are_those_of_iso_8601_across_the_year() -> None:
    assert periods(WEEKLY, at("2026-12-20"), at("2027-01-12")) == ["2026-W52", "2026-W53", "2027-W01"]
    assert periods(DAILY, at("2026-11-25T10:00"), at("2026-11-27T23:00")) == ["2026-11-26"]


@pytest.mark.parametrize(
    ("what", "period"), [(DAILY, "yesterday"), (DAILY, "2026-02-30"), (WEEKLY, "2026-48"), (WEEKLY, "2025-W53")]
)
def test_a_period_that_is_none_is_refused(what: str, period: str) -> None:
    with pytest.raises(ConfigError, match="is no period of a"):
        check_period(what, period)


def test_a_report_can_be_signed_off_under_any_words() -> None:
    check_period("retention", "the third quarter")


def test_a_sign_off_counts_only_if_it_succeeded_and_was_made_after_the_period() -> None:
    found = sign_off_of(action("2026-11-26", "2026-11-27T08:00:00.000Z"))
    assert found is not None
    assert (found.what, found.period, found.who, found.comment) == (DAILY, "2026-11-26", "alice", "3 alerts")
    assert sign_off_of(action("2026-11-26", "2026-11-26T23:00:00.000Z")) is None
    assert sign_off_of(action("2026-11-26", "2026-11-27T08:00:00.000Z", outcome="failure")) is None
    assert sign_off_of(action("2026-11-99", "2026-11-27T08:00:00.000Z")) is None
    assert sign_off_of(action("2026-11-26", "2026-11-27T08:00:00.000Z", name="search")) is None


def test_a_week_is_reviewed_if_each_of_its_days_is_and_the_first_sign_off_of_a_period_counts() -> None:
    days = [SignOff(DAILY, f"2026-11-{day}", "alice", at(f"2026-11-{day + 1}"), "") for day in range(16, 23)]
    assert reviewed(WEEKLY, days)["2026-W47"].at == at("2026-11-23")
    assert reviewed(WEEKLY, days[1:]) == {}
    first, again = (SignOff(WEEKLY, "2026-W46", who, at("2026-11-17"), "") for who in ("bob", "carol"))
    assert reviewed(WEEKLY, [first, again, *days[1:]]) == {"2026-W46": first}
    assert reviewed(DAILY, [first, *days[:2]]) == {each.period: each for each in days[:2]}
