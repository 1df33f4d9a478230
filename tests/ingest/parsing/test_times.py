import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.document import utc_millis
from ingest.parsing.times import NO_ZONE, parse_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T09:15:04Z", "2026-11-22T09:15:04.000Z"),
        ("2026-11-22T09:15:04.12Z", "2026-11-22T09:15:04.120Z"),
        ("2026-11-22T09:15:04.123Z", "2026-11-22T09:15:04.123Z"),
        ("2026-11-22T09:15:04.12345Z", "2026-11-22T09:15:04.123Z"),
        ("2026-11-22T09:15:04.999999Z", "2026-11-22T09:15:04.999Z"),
        ("2026-11-22T09:15:04.6816663Z", "2026-11-22T09:15:04.681Z"),
        ("2026-11-22T09:15:04.999999999Z", "2026-11-22T09:15:04.999Z"),
        ("2026-11-22T09:15:04+00:00", "2026-11-22T09:15:04.000Z"),
        ("2026-11-22T09:15:04+0200", "2026-11-22T07:15:04.000Z"),
        ("2026-11-22T00:15:04-05", "2026-11-22T05:15:04.000Z"),
        ("2026-11-22t09:15:04z", "2026-11-22T09:15:04.000Z"),
        ("2026-11-22T09:15Z", "2026-11-22T09:15:00.000Z"),
        ("20131102T010628Z", "2013-11-02T01:06:28.000Z"),
        ("1/9/2007 10:41:00 AM +01:00", "2007-01-09T09:41:00.000Z"),
        ("1/9/2007 12:41:00 AM +02:00", "2007-01-08T22:41:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        (" 2026-11-22T09:15:04Z\n", "2026-11-22T09:15:04.000Z"),
    ],
)
def test_a_time_with_a_zone_becomes_utc_cut_to_milliseconds(text: str, expected: str) -> None:
    parsed = parse_time(text)
    assert parsed is not None
    assert utc_millis(parsed.moment) == expected
    assert parsed.marks == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T09:15:04", "2026-11-22T09:15:04.000Z"),
        ("2022-11-29 00:09:04.38", "2022-11-29T00:09:04.380Z"),
        ("2022-09-30 15:11:25.000000000", "2022-09-30T15:11:25.000Z"),
        ("12/12/2025 3:03:58 PM", "2025-12-12T15:03:58.000Z"),
        ("12/12/2025 12:03:58 PM", "2025-12-12T12:03:58.000Z"),
        ("12/12/2025 12:03:58 AM", "2025-12-12T00:03:58.000Z"),
        ("Oct 2, 2019 11:12:29 PM", "2019-10-02T23:12:29.000Z"),
        ("Oct 2, 2019, 11:12:29 PM", "2019-10-02T23:12:29.000Z"),
        ("Oct 2, 2019 11:12:29\u202fPM", "2019-10-02T23:12:29.000Z"),
        ("20131102T010628", "2013-11-02T01:06:28.000Z"),
    ],
)
def test_a_time_without_a_zone_is_taken_as_utc_and_marked(text: str, expected: str) -> None:
    parsed = parse_time(text)
    assert parsed is not None
    assert utc_millis(parsed.moment) == expected
    assert parsed.marks == (NO_ZONE,)


def test_microseconds_are_kept_inside() -> None:
    parsed = parse_time("2026-11-22T09:15:04.123456789Z")
    assert parsed is not None
    assert parsed.moment.microsecond == 123_456


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "redacted",
        "2026-02-30T09:15:04Z",
        "2026-13-01T09:15:04Z",
        "2026-11-22T25:15:04Z",
        "2026-11-22T09:15:60Z",
        "2026-11-22T09:15:04+24:00",
        "2026-11-22T09:15:04.1234567890Z",
        "2026-W47-7T09:15:04Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "13/12/2025 3:03:58 PM",
        "12/12/2025 13:03:58 PM",
        "12/12/2025 0:03:58 AM",
        "Foo 2, 2019 11:12:29 PM",
        "1795338905123",
        "٢٠٢٦-11-22T09:15:04Z",
        "2026-11-22T09:15:04Z" + " " * 100,
    ],
)
def test_no_time_and_impossible_dates_give_none(text: str) -> None:
    assert parse_time(text) is None


@given(st.text(max_size=60))
def test_arbitrary_text_never_raises(text: str) -> None:
    parsed = parse_time(text)
    assert parsed is None or parsed.moment.tzinfo is dt.UTC


@given(
    st.from_regex(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?",
        fullmatch=True,
    )
)
def test_whatever_looks_like_iso_gives_a_moment_or_none(text: str) -> None:
    parsed = parse_time(text)
    assert parsed is None or len(utc_millis(parsed.moment)) == len("2026-11-22T09:15:04.000Z")


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_what_python_writes_comes_back(moment: dt.datetime) -> None:
    parsed = parse_time(moment.isoformat())
    assert parsed is not None
    assert parsed.moment == moment
