"""Cutting input into bodies loses no byte and cuts no record."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.schema.errors import MalformedBody
from skytrail.scan.bodies import bodies, inflated


def chunked(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size


SIZES = st.lists(st.integers(1, 50), min_size=1, max_size=5)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40), SIZES, st.integers(len(b'{"n":1000000000}\n'), 200))
def test_lines_are_cut_at_line_ends_only(numbers: list[int], sizes: list[int], size: int) -> None:
    data = b"".join(b'{"n":%d}\n' % number for number in numbers)
    found = list(bodies(chunked(data, sizes), size=size))
    assert b"".join(found) == data
    assert all(body.endswith(b"\n") for body in found)


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=100), min_size=1, max_size=4), SIZES)
def test_every_member_of_gzip_is_read(parts: list[bytes], sizes: list[int]) -> None:
    packed = b"".join(map(gzip.compress, parts))
    assert b"".join(inflated(chunked(packed, sizes))) == b"".join(parts)


def test_a_byte_at_a_time_is_recognised_as_gzip() -> None:
    assert b"".join(inflated(chunked(gzip.compress(b"hello"), [1]))) == b"hello"


def test_what_is_not_gzip_passes() -> None:
    assert b"".join(inflated([b"he", b"", b"llo"])) == b"hello"


def test_of_a_cut_gzip_what_came_before_is_given_and_the_cut_is_told() -> None:
    data = b'{"n":1}\n' * 100_000
    packed = gzip.compress(data)
    found: list[bytes] = []
    with pytest.raises(MalformedBody, match="cut off"):
        found.extend(bodies(inflated([packed[: len(packed) // 2]]), size=1000))
    assert 0 < len(b"".join(found)) < len(data)
    assert data.startswith(b"".join(found))


def test_bytes_behind_gzip_are_told() -> None:
    with pytest.raises(MalformedBody, match="inflating gzip"):
        list(inflated([gzip.compress(b"hello") + b"smuggled"]))


def test_zeros_behind_gzip_are_padding() -> None:
    assert b"".join(inflated([gzip.compress(b"hello") + b"\0" * 512])) == b"hello"


def test_a_bomb_stops_at_the_limit() -> None:
    packed = gzip.compress(b" " * 50_000_000)
    with pytest.raises(MalformedBody, match="without a place to cut"):
        list(bodies(inflated([packed]), limit=1_000_000))


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), SIZES)
def test_every_frame_of_zstd_is_read(contents: list[bytes], sizes: list[int]) -> None:
    packed = b"".join(zstandard.compress(content) for content in contents)
    assert b"".join(inflated(chunked(packed, sizes))) == b"".join(contents)


def test_a_zstd_frame_that_is_cut_off_or_damaged_is_told_after_what_came_before() -> None:
    packed = zstandard.compress(bytes(range(256)) * 4000)
    with pytest.raises(MalformedBody, match="cut off"):
        list(inflated([packed[:-3]]))
    with pytest.raises(MalformedBody, match="inflating zstd"):
        list(inflated([packed, b"no frame"]))


def test_little_zstd_that_becomes_much_comes_in_bounded_pieces() -> None:
    packed = zstandard.compress(bytes(200 * 1024 * 1024))
    sizes = [len(piece) for piece in inflated([packed])]
    assert sum(sizes) == 200 * 1024 * 1024
    assert max(sizes) <= 33 * 1024 * 1024
