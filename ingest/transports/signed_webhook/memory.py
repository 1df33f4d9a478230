"""Requests that were answered, for as long as they could be sent again. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Hashable


class Memory:
    """Keys with an end, at most so many.

    Args:
        most: Keys kept; while there are that many, `full` is true.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: dict[Hashable, tuple[float, bytes]] = {}
        self._ends: list[tuple[float, int, Hashable]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._values)

    def full(self, now_s: float) -> bool:
        """Whether nothing more can be remembered."""
        self._forget(now_s)
        return len(self._values) >= self._most

    def note(self, key: Hashable, value: bytes, until_s: float) -> None:
        """Remember a value of a key; the latest end counts."""
        end = max(until_s, self._values.get(key, (until_s, b""))[0])
        self._values[key] = (end, value)
        self._count += 1
        heapq.heappush(self._ends, (end, self._count, key))

    def value(self, key: Hashable, now_s: float) -> bytes | None:
        """What is remembered of a key."""
        self._forget(now_s)
        found = self._values.get(key)
        return found[1] if found else None

    def take(self, key: Hashable, now_s: float) -> bytes | None:
        """What is remembered of a key, which is forgotten with that."""
        found = self.value(key, now_s)
        self._values.pop(key, None)
        return found

    def _forget(self, now_s: float) -> None:
        while self._ends and self._ends[0][0] < now_s:
            end, _, key = heapq.heappop(self._ends)
            if self._values.get(key, (0.0, b""))[0] == end:
                del self._values[key]
