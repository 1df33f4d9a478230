from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.verify.differences import differences
from storage.verify.findings import Kind

SEALED = [b"%d" % i for i in range(10)]


def without(*numbers: int) -> list[bytes]:
    return [leaf for i, leaf in enumerate(SEALED) if i not in numbers]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (SEALED, []),
        ([*SEALED[:7], b"x", *SEALED[8:]], [(Kind.ALTERED, 7)]),
        ([b"x", *SEALED[1:9], b"y"], [(Kind.ALTERED, 0), (Kind.ALTERED, 9)]),
        (without(4), [(Kind.MISSING, 4)]),
        (without(0, 9), [(Kind.MISSING, 0), (Kind.MISSING, 9)]),
        ([], [(Kind.MISSING, i) for i in range(10)]),
        ([*SEALED[:9], b"x", SEALED[9]], [(Kind.INSERTED, 9)]),
        ([*SEALED, b"x"], [(Kind.INSERTED, 10)]),
        ([*SEALED, SEALED[3]], [(Kind.DUPLICATE, 10)]),
        ([*SEALED[:3], SEALED[4], SEALED[3], *SEALED[5:]], [(Kind.REORDERED, 3), (Kind.REORDERED, 4)]),
        ([b"x", *without(5, 8)], [(Kind.INSERTED, 0), (Kind.MISSING, 5), (Kind.MISSING, 8)]),
        ([*without(2, 6), SEALED[2]], [(Kind.REORDERED, 2), (Kind.MISSING, 6)]),
    ],
)
def test_what_was_done_is_named(found: list[bytes], expected: list[tuple[Kind, int]]):
    assert sorted(differences(SEALED, found)) == sorted(expected)


@given(st.lists(st.sampled_from(SEALED), max_size=12), st.lists(st.sampled_from(SEALED), max_size=12))
def test_there_is_a_difference_exactly_when_the_lists_differ(sealed: list[bytes], found: list[bytes]):
    steps = list(differences(sealed, found))
    assert bool(steps) == (sealed != found)
    balance = {Kind.MISSING: -1, Kind.INSERTED: 1, Kind.DUPLICATE: 1}
    assert len(sealed) + sum(balance.get(kind, 0) for kind, _ in steps) == len(found)
    assert all(0 <= number <= len(sealed) for _, number in steps)


def test_a_large_segment_turned_around_is_compared_in_bounded_time():
    sealed = [b"%d" % i for i in range(50_000)]
    started = time.perf_counter()
    steps = list(differences(sealed, [b"x", *reversed(sealed)]))
    assert len(steps) >= 50_000
    assert time.perf_counter() - started < 10
