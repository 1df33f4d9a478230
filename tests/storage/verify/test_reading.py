"""One record is found without those behind it; the path of a leaf is the one that gives the root."""

from __future__ import annotations

import hashlib
import struct

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from storage.verify import reading
from storage.verify.ledger.tree import path_and_root, root_by_path, root_of
from storage.verify.reading import cut, nth_record


def body_of(records: list[bytes]) -> bytes:
    framed = b"".join(struct.pack(">I", len(record)) + record for record in records)
    return zstandard.ZstdCompressor(write_checksum=True).compress(framed)


@given(st.lists(st.binary(max_size=70), min_size=1, max_size=30), st.integers(1, 40))
def test_each_record_of_a_body_is_found_whatever_the_pieces(records: list[bytes], step: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_CUT_STEP", step)
        limit = sum(map(len, records)) + 4 * len(records)
        assert [nth_record(body_of(records), number, limit) for number in range(len(records))] == records
        assert nth_record(body_of(records), len(records), limit) is None


def test_a_body_that_is_none_or_goes_beyond_what_it_may_has_no_such_record():
    assert nth_record(b"no frame", 0, 100) is None
    assert nth_record(body_of([b"a" * 100])[:-30], 5, 1000) is None
    assert nth_record(zstandard.compress(bytes(50_000_000)), 10**9, 1000) is None


@given(st.lists(st.binary(max_size=20), max_size=20), st.binary(max_size=6))
def test_frames_are_cut_where_records_end(records: list[bytes], rest: bytes):
    framed = b"".join(struct.pack(">I", len(record)) + record for record in records)
    found, whole = cut(framed + rest)
    assert found[: len(records)] == records
    assert whole == (framed + rest == b"".join(struct.pack(">I", len(each)) + each for each in found))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 100])
def test_the_path_of_every_leaf_gives_the_root(size: int):
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(size)]
    for number, leaf in enumerate(leaves):
        path, root = path_and_root(b"".join(leaves), number)
        assert root == root_of(leaves) == root_by_path(leaf, number, size, path)
