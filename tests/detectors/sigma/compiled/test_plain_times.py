"""What counts as a plain time is what the format reads as the very moment that its digits say."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.sigma.compiled.plain_times import PlainTimes
from detectors.sigma.compiled.shape import all_shapes
from ingest.formats.aws_cloudtrail.when import iso_time

PLAIN = PlainTimes(lambda text: iso_time(text) is not None, decimals=0)
MICRO = PlainTimes(lambda text: iso_time(text) is not None, decimals=6)
_alphabet = st.sampled_from("0123456789-:.TtZz +W")


@st.composite
def _texts(draw: st.DrawFn) -> str:
    """Times of many forms, some of them spoiled."""
    moment = draw(st.datetimes(min_value=dt.datetime(1, 1, 1), max_value=dt.datetime(9999, 12, 31)))  # noqa: DTZ001 - a text
    text = list(moment.isoformat(timespec=draw(st.sampled_from(["seconds", "microseconds"]))) + "Z")
    for _ in range(draw(st.integers(0, 2))):
        text[draw(st.integers(0, len(text) - 1))] = draw(_alphabet)
    return "".join(text) + draw(st.sampled_from(["", "", " ", "0", "+01:00"]))


@given(_texts())
def test_a_plain_time_is_read_as_its_digits_say(text: str) -> None:
    for times in (PLAIN, MICRO):
        if times.is_plain(text):
            found = iso_time(text)
            assert found is not None
            assert found[1] == ()
            assert found[0] == f"{text[:19]}.{(text[20:23] if times is MICRO else '000')}Z"


@given(st.lists(st.one_of(st.none(), _texts(), st.just(PLAIN.example)), max_size=5))
def test_many_at_once_are_plain_when_each_is(texts: list[str | None]) -> None:
    for times in (PLAIN, MICRO):
        assert times.all_plain(texts) is all(times.is_plain(text) for text in texts)


@pytest.mark.parametrize(
    "text",
    [
        None, "", "2026-02-30T03:04:05Z", "2026-11-22T24:00:00Z", "2026-11-22T03:04:60Z", "2026-11-22 03:04:05Z",
        "2026-11-22T03:04:05z", "2026-W48-5T03:04:05Z", "2026-11-22T03:04:05", "2026-11-22T03:04:05.1Z",
        "0001-01-01T00:00:00Z", "\u0662026-11-22T03:04:05Z",
    ],
)  # fmt: skip
def test_other_times_are_not_plain(text: str | None) -> None:
    assert not PLAIN.is_plain(text)
    assert not MICRO.is_plain(text)


def test_the_times_that_services_write_are_plain() -> None:
    assert PLAIN.is_plain("2026-11-22T03:04:05Z")
    assert MICRO.is_plain("2026-11-22T03:04:05.123456Z")
    assert all(shape.times.is_plain(shape.times.example) for shape in all_shapes().values())
