"""Times as a service writes them, told from all others without parsing each.

A plain time is UTC to the second, perhaps with decimals: `2026-11-22T03:04:05Z`. The format reads each as the moment
that its digits say, so plain times of one form are in the order of their texts, and what is plain can be placed in
time. Only the beginnings of times are given to the format's own parser, each once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from detectors.sigma.compiled.memo import Memo

_HOUR: Final = len("2026-11-22T03:")
_SECOND: Final = len("2026-11-22T03:04:05")
_REST: Final = frozenset(f"{minute:02}:{second:02}" for minute in range(60) for second in range(60))
_REMEMBERED: Final = 1024


class PlainTimes:
    """Plain times with so many decimals.

    Attributes:
        example: One of them.
    """

    __slots__ = ("_accepts", "_end", "_hours", "_length", "example")

    def __init__(self, accepts: Callable[[str], bool], decimals: int) -> None:
        """Define the form.

        Args:
            accepts: Whether the format reads a text as a time.
            decimals: Digits below the second.
        """
        self.example = "2026-11-22T03:04:05" + ("." + "0" * decimals if decimals else "") + "Z"
        self._accepts = accepts
        self._length = len(self.example)
        self._end = _SECOND + 1 if decimals else _SECOND
        self._hours: Memo[str, bool] = Memo(_REMEMBERED)

    def all_plain(self, texts: Sequence[str | None]) -> bool:
        """Whether each is a plain time."""
        if self._end != _SECOND:
            return all(map(self.is_plain, texts))
        hours = self._hours.young
        for text in texts:
            if text is None or text[:_HOUR] not in hours or text[_HOUR:-1] not in _REST or text[-1] != "Z":
                return all(map(self.is_plain, texts))
        return True

    def is_plain(self, text: str | None) -> bool:
        """Whether it is a plain time."""
        if text is None or len(text) != self._length or text[-1] != "Z" or text[_HOUR:_SECOND] not in _REST:
            return False
        digits = text[self._end : -1]
        if self._end != _SECOND and not (text[_SECOND] == "." and digits.isascii() and digits.isdecimal()):
            return False
        hour = text[:_HOUR]
        return self._hours.young.get(hour) or self._hours.older(hour) or self._is_hour(hour)

    def _is_hour(self, hour: str) -> bool:
        """Whether it is a date and an hour; remembered when it is."""
        if not (hour[:4].isdecimal() and hour[0] != "0" and hour[4] == hour[7] == "-" and hour[10] + hour[13] == "T:"):
            return False
        if not self._accepts(f"{hour}00:00Z"):
            return False
        self._hours.put(hour, value=True)
        return True
