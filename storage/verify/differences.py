"""Compares what was sealed with what is there, record by record, by their leaf hashes."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence

from storage.verify.findings import Kind

Difference = tuple[Kind, int]
"""What happened, and the number of the sealed record it happened to; for what was put in, the one it stands before."""


def differences(sealed: Sequence[bytes], found: Sequence[bytes]) -> Iterator[Difference]:
    """What was done to `sealed` to make it `found`, in few steps; nothing when they are equal. O(n log n)."""
    low = 0
    high = min(len(sealed), len(found))
    while low < high and sealed[low] == found[low]:
        low += 1
    tail = 0
    while tail < high - low and sealed[-1 - tail] == found[-1 - tail]:
        tail += 1
    before, after = sealed[low : len(sealed) - tail], found[low : len(found) - tail]
    if before and Counter(before) == Counter(after):
        steps: Iterator[Difference] = (
            (Kind.REORDERED, i) for i, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]
        )
    else:
        steps = _edits(before, after, set(sealed))
    for kind, index in steps:
        yield kind, low + index


def _edits(before: Sequence[bytes], after: Sequence[bytes], sealed: set[bytes]) -> Iterator[Difference]:
    """Match equal records; what is between the matches was altered, taken out or put in."""
    matches = _matches(before, after)
    anchors = _increasing(matches)
    matched = {old for old, _ in matches}
    placed = {new for _, new in matches}
    kept = set(anchors)
    yield from ((Kind.REORDERED, old) for old, new in matches if (old, new) not in kept)
    last_old, last_new = -1, -1
    for old, new in [*anchors, (len(before), len(after))]:
        gone = [i for i in range(last_old + 1, old) if i not in matched]
        come = [i for i in range(last_new + 1, new) if i not in placed]
        altered = min(len(gone), len(come))
        yield from ((Kind.ALTERED, i) for i in gone[:altered])
        yield from ((Kind.MISSING, i) for i in gone[altered:])
        for i in come[altered:]:
            yield (Kind.DUPLICATE if after[i] in sealed else Kind.INSERTED), old
        last_old, last_new = old, new


def _matches(before: Sequence[bytes], after: Sequence[bytes]) -> list[tuple[int, int]]:
    """Pairs (number before, number after) of equal records, in the order of `after`."""
    places: defaultdict[bytes, deque[int]] = defaultdict(deque)
    for i, leaf in enumerate(before):
        places[leaf].append(i)
    return [(places[leaf].popleft(), i) for i, leaf in enumerate(after) if places.get(leaf)]


def _increasing(matches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of matches in which nothing changed its order (patience sorting)."""
    tops: list[int] = []
    piles: list[int] = []  # index in `matches` of the top of each pile
    below: list[int] = []
    for i, (old, _) in enumerate(matches):
        pile = bisect_left(tops, old)
        below.append(piles[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(old)
            piles.append(i)
        else:
            tops[pile] = old
            piles[pile] = i
    run: list[tuple[int, int]] = []
    at = piles[-1] if piles else -1
    while at >= 0:
        run.append(matches[at])
        at = below[at]
    return run[::-1]
