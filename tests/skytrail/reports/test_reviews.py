"""Days and weeks of reviews: a period counts once it is over, and only a sign-off made after it counts."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.errors import ConfigError
from skytrail.reports.reviews import DAILY, WEEKLY, check_period, ends_of, periods, sign_off_of

TIMES = st.integers(1_575_000_000, 1_895_000_000).map(lambda seconds: dt.datetime.fromtimestamp(seconds, dt.UTC))


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def action(period: str, made: str, what: str = DAILY, **event: Any) -> dict[str, Any]:
    return {
        "@timestamp": made,
        "event": {"action": "report.sign-off", "outcome": "success", **event},
        "user": {"name": "alice"},
        "skytrail": {"audit": {"target": what, "details": {"period": period, "comment": "3 alerts"}}},
    }


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
    assert sign_off_of(action("2026-11-26", "2026-11-27T08:00:00.000Z", action="search")) is None
