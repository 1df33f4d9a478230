"""Which objects are of a range of time."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ingest.transports.contract import Finding
from ingest.transports.registry import as_collector, inspect
from ingest.transports.s3_listing.selection import selection_of
from ingest.transports.s3_listing.settings import S3ListingSettings

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
TRAIL = "AWSLogs/123456789012/CloudTrail/eu-central-1/2026/11/22/x_20261122T0005Z_y.json.gz"


def wants(key: str, written_at: dt.datetime = NOON, **range_: Any) -> bool:
    return selection_of(S3ListingSettings(bucket="trail", **range_)).wants(key, written_at)


def test_without_a_range_everything_is_wanted() -> None:
    assert wants("a")


@pytest.mark.parametrize(
    ("range_", "wanted"),
    [
        ({"since": NOON}, True),
        ({"until": NOON}, False),
        ({"since": NOON + dt.timedelta(seconds=1)}, False),
        ({"until": NOON + dt.timedelta(seconds=1)}, True),
        ({"since": dt.date(2026, 11, 22), "until": dt.date(2026, 11, 23)}, True),
        ({"since": dt.date(2026, 11, 23)}, False),
        ({"until": dt.date(2026, 11, 22)}, False),
        ({"since": dt.datetime(2026, 11, 22, 14, tzinfo=dt.timezone(dt.timedelta(hours=2)))}, True),
    ],
    ids=str,
)
def test_the_time_of_writing_decides_with_the_first_moment_and_without_the_last(
    range_: dict[str, Any], *, wanted: bool
) -> None:
    assert wants(TRAIL, **range_) is wanted


@pytest.mark.parametrize(
    ("range_", "wanted"),
    [
        ({"since": NOON}, True),  # part of the day is of the range
        ({"until": NOON}, True),
        ({"since": dt.date(2026, 11, 23)}, False),
        ({"until": dt.date(2026, 11, 22)}, False),
        ({"since": dt.date(2026, 11, 22), "until": dt.date(2026, 11, 23)}, True),
    ],
    ids=str,
)
def test_the_day_in_a_key_decides_where_it_is_asked_for(range_: dict[str, Any], *, wanted: bool) -> None:
    copied = dt.datetime(2027, 2, 1, tzinfo=dt.UTC)
    assert wants(TRAIL, copied, time_of="key", **range_) is wanted
    assert wants(TRAIL.replace("2026/11/22", "year=2026/month=11/day=22"), copied, time_of="key", **range_) is wanted


@pytest.mark.parametrize("key", ["a/b.json", "2026/13/45/x", "a/2026/11/x", "12026/11/21/x"])
def test_a_key_without_a_day_has_the_time_of_writing(key: str) -> None:
    assert wants(key, NOON, time_of="key", since=NOON)
    assert not wants(key, NOON, time_of="key", until=NOON)


def test_a_range_and_a_bucket_that_can_not_be_are_found_by_the_look_at_the_settings() -> None:
    def look(**own: Any) -> list[Finding]:
        collector = as_collector(
            {"transport": "s3_listing", "format": "aws.cloudtrail", "s3_listing": {"bucket": "my-trail", **own}}
        )
        return inspect(collector)

    assert [each.state for each in look(prefix="AWSLogs/")] == ["ok"]
    assert [each.state for each in look(bucket="s3://my-trail/AWSLogs")] == ["fail"]
    assert [each.state for each in look(prefix="/AWSLogs")] == ["warn"]
    assert [each.state for each in look(since=dt.date(2026, 11, 2), until=dt.date(2026, 11, 1))] == ["fail"]
    assert [each.state for each in look(role_arn="arn:aws:iam::<account>:role/x")] == ["fail"]
