"""What the matches in a window bring to correlations that group by another field than the one they satisfy.

A match that satisfies a condition stands for all matches of its window: the correlation above sees it once for each
value that any of them has. More matches can only add values, so what is seen above does not depend on the order of
arrival; a common value, or none where they differ, would.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from detectors.correlation.state import FIRED, Brought, Entry

MAX_BROUGHT = 32
"""Different values of one window; of more, the newest. One event may bring as many by itself, in a list."""


class _Values:
    """Different values that some entries bring; of several fields, the combinations of each entry."""

    def __init__(self) -> None:
        self._seen: set[Brought] = set()
        self._values: set[tuple[tuple[str, str], ...]] = set()

    @property
    def enough(self) -> bool:
        """Whether no older entry is asked for more."""
        return len(self._values) >= MAX_BROUGHT

    def add(self, brought: Brought) -> None:
        """Count what an entry brings; nothing is no value."""
        if brought and brought not in self._seen:
            self._seen.add(brought)
            columns = [[(name, text) for text in texts] for name, texts in brought]
            self._values.update(itertools.islice(itertools.product(*columns), MAX_BROUGHT))


def brought_in(entries: Sequence[Entry], start: int, end: int) -> list[Brought]:
    """What the entries [start, end) bring, each once, the newest first."""
    found: dict[Brought, None] = {}
    values = _Values()
    for place in range(end - 1, start - 1, -1):
        brought = entries[place].brought
        found[brought] = None
        values.add(brought)
        if values.enough:
            break
    return list(found)


class Late:
    """An entry that came into windows whose matches had satisfied the condition before it."""

    def __init__(self, entries: Sequence[Entry], place: int, timespan_ms: int) -> None:
        """The entry at a place, among the others."""
        self._entries = entries
        self._place = place
        self._timespan_ms = timespan_ms
        mine = entries[place].brought
        self._same = [one.at for number, one in enumerate(entries) if number != place and one.brought == mine]
        self._newer = _Values()
        self._counted = place + 1

    def reached(self, begin: int, end: int) -> Iterator[tuple[int, Brought]]:
        """Places in the instant [begin, end), with what they did not reach without it; instants ascend."""
        entries, at = self._entries, self._entries[begin].at
        if begin <= self._place < end:
            start = bisect_right(entries, at - self._timespan_ms, key=lambda entry: entry.at)
            yield from ((self._place, each) for each in brought_in(entries, start, end))
        for place in range(self._counted, end):
            self._newer.add(entries[place].brought)
        self._counted = max(self._counted, end)
        if self._newer.enough:  # in order it would have been too old for this window
            return
        last = bisect_right(self._same, at)
        if not last or self._same[last - 1] <= at - self._timespan_ms:
            mine = entries[self._place].brought
            others = (place for place in range(begin, end) if place != self._place)
            yield from ((place, mine) for place in others if entries[place].told & FIRED)
