"""Times as a service writes them, told from all others without parsing each.

A plain time is UTC to the second, perhaps with decimals: `2026-11-22T03:04:05Z`. The format reads each as the moment
that its digits say, so plain times of one form are in the order of their texts, and what is plain can be placed in
time. Only the beginnings of times are given to the format's own parser, each once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final

from detectors.sigma.compiled.memo import Memo

_HOUR: Final = len("2026-11-22T03:")
_SECOND: Final = len("2026-11-22T03:04:05")
_hour_of = itemgetter(slice(0, _HOUR))
_REMEMBERED: Final = 1024


class PlainTimes:
    """Plain times with so many decimals.

    Attributes:
        example: One of them.
    """

    __slots__ = ("_accepts", "_decimals", "_hours", "_rest_of", "_rests", "example")

    def __init__(self, accepts: Callable[[str], bool], decimals: int) -> None:
        """Define the form.

        Args:
            accepts: Whether the format reads a text as a time.
            decimals: Digits below the second.
        """
        mark, point = ("Z", ".") if decimals else ("", "Z")
        self.example = f"2026-11-22T03:04:05{point}{'0' * decimals}{mark}"
        self._accepts = accepts
        self._hours: Memo[str, bool] = Memo(_REMEMBERED)
        self._rests = frozenset(f"{minute:02}:{second:02}{point}" for minute in range(60) for second in range(60))
        self._rest_of = itemgetter(slice(_HOUR, _SECOND + 1 if decimals else None))
        self._decimals = decimals

    def all_plain(self, texts: Sequence[str | None]) -> bool:
        """Whether each is a plain time."""
        try:
            known = self._hours.young.keys() >= set(map(_hour_of, texts))  # type: ignore[arg-type]
            if not known or not self._rests.issuperset(map(self._rest_of, texts)):  # type: ignore[arg-type]
                return all(map(self.is_plain, texts))
        except TypeError:
            return False  # one is absent
        return not self._decimals or all(map(self._ends_plain, texts))  # type: ignore[arg-type]

    def is_plain(self, text: str | None) -> bool:
        """Whether it is a plain time."""
        if text is None or self._rest_of(text) not in self._rests or not (not self._decimals or self._ends_plain(text)):
            return False
        hour = _hour_of(text)
        return self._hours.young.get(hour) or self._hours.older(hour) or self._is_hour(hour)

    def _ends_plain(self, text: str) -> bool:
        """Whether nothing but digits and the mark of UTC follow the second."""
        return (
            len(text) == len(self.example) and text[-1] == "Z" and text[_SECOND + 1 : -1].isdigit() and text.isascii()
        )

    def _is_hour(self, hour: str) -> bool:
        """Whether it is a date and an hour; remembered when it is."""
        if not (hour[:4].isdecimal() and hour[0] != "0" and hour[4] == hour[7] == "-" and hour[10] + hour[13] == "T:"):
            return False
        if not self._accepts(f"{hour}00:00Z"):
            return False
        self._hours.put(hour, value=True)
        return True
