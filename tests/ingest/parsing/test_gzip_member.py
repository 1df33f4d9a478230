import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ingest.parsing.gzip_member import inflate
from ingest.schema.errors import MalformedBody

LIMIT = 1024 * 1024
BODY = b'{"Records":[]}' * 1000


def _inflated_unless_refused(body: bytes) -> bytes | None:
    try:
        return inflate(body, 1000)
    except MalformedBody:
        return None


def test_a_body_that_is_not_gzip_comes_back_as_it_is() -> None:
    assert inflate(b'{"a":1}', LIMIT) == b'{"a":1}'
    assert inflate(b"", LIMIT) == b""
    assert inflate(b"\x1f", LIMIT) == b"\x1f"


def test_one_member_is_inflated() -> None:
    assert inflate(gzip.compress(BODY), LIMIT) == BODY


def test_a_member_of_exactly_the_limit_is_inflated() -> None:
    assert inflate(gzip.compress(BODY), len(BODY)) == BODY


@pytest.mark.parametrize("body", [BODY, gzip.compress(BODY)], ids=["plain", "gzip"])
def test_one_byte_more_than_the_limit_is_refused(body: bytes) -> None:
    plain = len(BODY)
    with pytest.raises(MalformedBody, match=f"more than {plain - 1} bytes"):
        inflate(body, plain - 1)


def test_a_second_member_is_refused() -> None:
    second = gzip.compress(b"smuggled")
    with pytest.raises(MalformedBody, match=f"{len(second)} bytes follow"):
        inflate(gzip.compress(BODY) + second, LIMIT)


@pytest.mark.parametrize("tail", [b"\x00", b"x" * 70_000])
def test_bytes_after_the_member_are_refused_and_counted(tail: bytes) -> None:
    with pytest.raises(MalformedBody, match=f"gzip: {len(tail)} bytes follow"):
        inflate(gzip.compress(BODY) + tail, LIMIT)


def test_bytes_after_a_member_that_ends_on_a_step_are_refused() -> None:
    noise = bytes(zlib.crc32(i.to_bytes(4)) & 0xFF for i in range(70_000))
    for length in range(65_400, 65_536):
        member = gzip.compress(noise[:length], 0)
        if len(member) == 65_536:
            break
    assert len(member) == 65_536
    with pytest.raises(MalformedBody, match="3 bytes follow"):
        inflate(member + b"abc", LIMIT)


def test_gzip_within_gzip_is_refused_as_such() -> None:
    with pytest.raises(MalformedBody, match="another gzip is in it"):
        inflate(gzip.compress(gzip.compress(b"2 flows")), 100)


@pytest.mark.parametrize("kept", [3, 10, 30, -1, -8, -9])
def test_a_truncated_member_is_refused(kept: int) -> None:
    with pytest.raises(MalformedBody, match="truncated"):
        inflate(gzip.compress(BODY)[:kept], LIMIT)


def test_a_wrong_checksum_is_refused() -> None:
    member = bytearray(gzip.compress(BODY))
    member[-6] ^= 1
    with pytest.raises(MalformedBody, match="incorrect data check"):
        inflate(bytes(member), LIMIT)


def test_a_wrong_length_is_refused() -> None:
    member = bytearray(gzip.compress(BODY))
    member[-1] ^= 1
    with pytest.raises(MalformedBody, match="incorrect length check"):
        inflate(bytes(member), LIMIT)


def test_a_bomb_costs_little_more_memory_than_the_limit() -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(LIMIT)) for _ in range(256)) + packer.flush()
    tracemalloc.start()
    try:
        with pytest.raises(MalformedBody, match="more than"):
            inflate(bomb, LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * LIMIT


@given(st.binary(max_size=2000))
def test_what_gzip_packed_comes_back(body: bytes) -> None:
    assume(not body.startswith(b"\x1f\x8b"))
    assert inflate(gzip.compress(body), 2000) == body


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_inflated_or_refused(body: bytes) -> None:
    inflated = _inflated_unless_refused(b"\x1f\x8b" + body)
    assert inflated is None or len(inflated) <= 1000


@given(st.binary(min_size=20, max_size=200), st.data())
def test_a_damaged_member_never_gives_other_bytes(body: bytes, data: st.DataObject) -> None:
    member = bytearray(gzip.compress(body, mtime=0))
    at = data.draw(st.integers(10, len(member) - 1))  # behind the header, which no checksum covers
    member[at] ^= data.draw(st.integers(1, 255))
    assert _inflated_unless_refused(bytes(member)) in (body, None)
