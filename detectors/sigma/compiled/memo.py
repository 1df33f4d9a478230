"""What was worked out for a value, remembered in bounded space.

Two generations instead of an exact least-recently-used order: a hit is one look into a dict, and a flood of new values
throws out only what nobody has asked for since the generation began.
"""

from __future__ import annotations

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

LONGEST_TEXT = 512  # characters; longer values are worked out each time, so that no client decides on our memory


class Memo(Generic[Key, Value]):
    """Keeps between `limit` and twice as many of the newest entries.

    Attributes:
        young: The present generation; the dict itself never changes, so a hot loop may hold its `get`.
        fills: How often something was put in.
    """

    __slots__ = ("_limit", "_old", "fills", "young")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._old: dict[Key, Value] = {}
        self.young: dict[Key, Value] = {}
        self.fills = 0

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def older(self, key: Key) -> Value | None:
        """The value of a key that is not young, which makes it young again; None when it is forgotten."""
        value = self._old.pop(key, None)
        if value is not None:
            self._keep(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Remember."""
        self.fills += 1
        self._keep(key, value)

    def _keep(self, key: Key, value: Value) -> None:
        if len(self.young) >= self._limit:
            self._old = dict(self.young)
            self.young.clear()
        self.young[key] = value
