"""Frames and headers: examples of the standards, and arbitrary cuts and bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.transports.syslog.framing import Framing, LineFeed, OctetCounting
from ingest.transports.syslog.message import read

MOST = 2048


def fed(framing: Framing, stream: bytes, cuts: list[int]) -> list[bytes]:
    """The messages of a stream that comes in pieces."""
    found: list[bytes] = []
    at = 0
    for cut in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
        found += framing.feed(stream[at:cut])
        at = cut
    return found + framing.end()[0]


@given(st.lists(st.binary(min_size=1, max_size=300)), st.lists(st.integers(0, 10_000)))
def test_counted_messages_are_the_same_however_the_stream_is_cut(messages: list[bytes], cuts: list[int]) -> None:
    framing = OctetCounting(MOST)
    assert fed(framing, b"".join(b"%d %b" % (len(each), each) for each in messages), cuts) == messages
    assert (framing.end(), framing.oversized, framing.broken) == (([], 0), [], "")


@given(st.lists(st.binary(min_size=1, max_size=300).map(lambda b: b.replace(b"\n", b"_"))), st.lists(st.integers(0)))
def test_lines_are_the_same_however_the_stream_is_cut(messages: list[bytes], cuts: list[int]) -> None:
    assert fed(LineFeed(MOST), b"\n".join(messages), cuts) == messages


@given(st.lists(st.integers(1, 5000)), st.lists(st.integers(0, 100_000)), st.sampled_from(["counted", "lines"]))
def test_what_is_too_long_is_left_out_and_counted(lengths: list[int], cuts: list[int], kind: str) -> None:
    framing: Framing = OctetCounting(MOST) if kind == "counted" else LineFeed(MOST)
    frames = (b"%d " % each + b"x" * each if kind == "counted" else b"x" * each + b"\n" for each in lengths)
    found = fed(framing, b"".join(frames), cuts)
    assert [len(each) for each in found] == [each for each in lengths if each <= MOST]
    assert framing.oversized == [each for each in lengths if each > MOST]


@given(st.lists(st.binary(max_size=100)))
def test_no_bytes_break_the_readers_and_what_they_hold_is_bounded(parts: list[bytes]) -> None:
    for framing in (OctetCounting(MOST), LineFeed(MOST)):
        for part in parts:
            for frame in framing.feed(part):
                assert frame
                read(frame)
        assert len(framing._buffer) <= MOST + 10 or framing.broken


@pytest.mark.parametrize("start", [b"0 x", b" x", b"x", b"<34>1 - - - - - -", b"12345678901 x", b"1x x", b"-1 x"])
def test_a_length_that_is_none_ends_the_stream(start: bytes) -> None:
    framing = OctetCounting(MOST)
    assert framing.feed(b"2 ok" + start) == [b"ok"]
    assert framing.broken
    assert framing.feed(b"2 ok") == []


@pytest.mark.parametrize(
    ("frame", "sender", "body"),
    [
        # after RFC 5424 §6.5, examples 1, 3 and 4
        (
            b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed",
            "mymachine.example.com/su/2003-10-11T22:14:15.003Z",
            b"'su root' failed",
        ),
        (
            b'<165>1 2003-10-11T22:14:15.003Z example.com evnt - ID47 [a@3 iut="3" eventID="1"] \xef\xbb\xbfAn entry',
            "example.com/evnt/2003-10-11T22:14:15.003Z",
            b"An entry",
        ),
        (
            b'<165>1 2003-10-11T22:14:15.003Z example.com evnt - ID47 [a@32473 iut="3"][b@32473 class="high"]',
            "example.com/evnt/2003-10-11T22:14:15.003Z",
            b'<165>1 2003-10-11T22:14:15.003Z example.com evnt - ID47 [a@32473 iut="3"][b@32473 class="high"]',
        ),
        (b"<0>1 - - - - - -", "-/-/-", b""),
        (b"<0>1 - - - - - - ", "-/-/-", b""),
        (b'<0>1 - - - - - [a b="\\"\\]\\\\ \\x ="] {"n": 1}\n', "-/-/-", b'{"n": 1}\n'),
        (b'<0>1 - - - - - - {"a":\n1}', "-/-/-", b'{"a":\n1}'),
        (b"<0>1 - - - - - -  two blanks", "-/-/-", b" two blanks"),
    ],
)
def test_the_msg_part_is_taken_out_of_a_message(frame: bytes, sender: str, body: bytes) -> None:
    found = read(frame)
    assert (found.sender, found.body) == (sender, body)


@pytest.mark.parametrize(
    "frame",
    [
        b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
        b"<192>1 - - - - - - x",
        b"<01>1 - - - - - - x",
        b"<1>0 - - - - - - x",
        b"<1>1 - - - - - x",
        b'<1>1 - - - - - [a b="unfinished] x',
        b"<1>1 - - - - - [] x",
        b"{}",
        b"",
    ],
)
def test_what_is_no_message_stays_whole(frame: bytes) -> None:
    assert (read(frame).sender, read(frame).body) == ("", frame)


def test_a_header_of_hostile_length_is_read_in_no_time() -> None:
    hostile = b"<1>1 - - - - - " + b'[a b="' + b"\\" * 200_001 + b'"' * 50_000
    assert read(hostile).body == hostile
    hostile = b"<1>1 - - - - - " + b"[a]" * 100_000
    assert read(hostile).body == hostile
