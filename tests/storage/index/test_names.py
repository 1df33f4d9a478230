"""Index names follow from the event alone, and are read back."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.errors import ConfigError
from storage.index import names

UTC = dt.UTC
part = st.from_regex(r"[a-z0-9_.]{1,20}", fullmatch=True)
moment = st.datetimes(timezones=st.timezones())
period = st.sampled_from(["day", "week", "month"])


@pytest.mark.parametrize(
    ("day", "kind", "label"),
    [
        ((2026, 11, 22), "day", "2026.11.22"),
        ((2026, 11, 22), "week", "2026.w47"),
        ((2026, 11, 22), "month", "2026.11"),
        ((2027, 1, 1), "week", "2026.w53"),  # a Friday: still in the last week of 2026
        ((2024, 12, 30), "week", "2025.w01"),  # a Monday: already in the first week of 2025
        ((2021, 1, 3), "week", "2020.w53"),
        ((2021, 1, 4), "week", "2021.w01"),
    ],
)
def test_the_period_is_part_of_the_name(day, kind, label) -> None:
    at = dt.datetime(*day, 12, tzinfo=UTC)
    assert names.index_name("aws.cloudtrail", "default", at, kind) == f"logs-aws.cloudtrail-default-{label}"


def test_the_day_is_that_of_utc() -> None:
    late = dt.datetime(2026, 11, 22, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    assert names.index_name("gcp.audit", "default", late).endswith("2026.11.23")


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        names.index_name("gcp.audit", "default", dt.datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


@given(dataset=part, namespace=part, at=moment, kind=period)
def test_a_written_name_is_read_back_and_its_period_holds_the_event(dataset, namespace, at, kind) -> None:
    try:
        day = at.astimezone(UTC).date()
        name = names.index_name(dataset, namespace, at, kind)
    except OverflowError:  # the first or last hours of the calendar have no UTC date
        return
    found = names.parse(name)
    if found is None:  # the last period of the year 9999 has no end
        assert day.year == 9999
        return
    assert (found.dataset, found.namespace, found.period) == (dataset, namespace, kind)
    assert found.start <= day < found.end
    assert str(found) == name


@given(dataset=part, namespace=part, at=moment, kind=period)
def test_events_of_one_period_share_an_index(dataset, namespace, at, kind) -> None:
    try:
        found = names.parse(names.index_name(dataset, namespace, at, kind))
    except OverflowError:
        return
    if found is None:
        return
    last = dt.datetime.combine(found.end - dt.timedelta(days=1), dt.time(23, 59, 59), UTC)
    assert names.index_name(dataset, namespace, last, kind) == str(found)


@given(st.text(max_size=60))
def test_reading_any_text_gives_a_name_that_writes_back_or_nothing(text) -> None:
    found = names.parse(text)
    assert found is None or str(found) == text


@pytest.mark.parametrize(
    "name",
    [
        "logs-aws.cloudtrail-default",
        "logs-aws.cloudtrail-default-2026.13",
        "logs-aws.cloudtrail-default-2026.02.30",
        "logs-aws.cloudtrail-default-2025.w53",
        "logs-aws.cloudtrail-a-b-2026.11",
        "logs-AWS-default-2026.11",
        ".ds-logs-aws.cloudtrail-default-2026.11.22-000001",
        "skytrail-alert-state",
    ],
)
def test_foreign_names_are_not_ours(name) -> None:
    assert names.parse(name) is None


@pytest.mark.parametrize("bad", ["", "a-b", "A", "a b", "a*", "a,b", "a/b", "a" * 101, "ä", "a:b", "a\n"])
def test_a_namespace_that_can_not_be_part_of_a_name_is_refused_with_the_reason(bad) -> None:
    with pytest.raises(ConfigError, match="checking namespace") as caught:
        names.check_namespace(bad)
    assert "default" in caught.value.mend


@pytest.mark.parametrize("good", ["default", "aws_123456789012", "k8s_prod.eu"])
def test_usual_namespaces_are_accepted(good) -> None:
    assert names.check_namespace(good) == good


def test_patterns_leave_open_what_is_not_asked_for() -> None:
    assert names.pattern() == "logs-*-*-*"
    assert names.pattern("gcp.audit") == "logs-gcp.audit-*-*"
    assert names.pattern("gcp.audit", "default") == "logs-gcp.audit-default-*"


def test_alerts_have_months_and_events_days_unless_set() -> None:
    assert names.period_of("skytrail.alert", {}) == "month"
    assert names.period_of("aws.cloudtrail", {}) == "day"
    assert names.period_of("aws.cloudtrail", {"aws.cloudtrail": "week"}) == "week"
