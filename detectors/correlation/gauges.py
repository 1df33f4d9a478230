"""Gauges: what stands in a window of entries, kept up to date as the window moves.

Judging a match would otherwise mean reading its whole window: at a hot key that is hundreds of entries per signal. A
gauge covers the entries [lo, hi) of a group; moving it costs the entries that enter and leave. It follows from the
entries alone, so it is never written, and a group that comes from elsewhere starts with an empty one.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence

from detectors.correlation.model import Correlation, Kind
from detectors.correlation.state import Entry


class Gauge:
    """Covers entries [lo, hi); subclasses say what is measured of them.

    The owner tells it of every change of the entries (`inserted`, `dropping`), and calls `cover` before `measure`.
    """

    __slots__ = ("hi", "lo")

    def __init__(self) -> None:
        """Cover nothing."""
        self.lo = 0
        self.hi = 0

    def add(self, entry: Entry) -> None:
        """An entry comes into the window."""
        raise NotImplementedError

    def remove(self, entry: Entry) -> None:
        """An entry leaves the window."""
        raise NotImplementedError

    def measure(self, entry: Entry) -> float | None:
        """The number that the condition compares for the match that ends the window; None: nothing to compute with."""
        raise NotImplementedError

    def cover(self, entries: Sequence[Entry], end: int, bound: int) -> None:
        """Move to the entries later than `bound` (ms) and before the place `end`."""
        lo, hi = self.lo, self.hi
        while hi < end:
            self.add(entries[hi])
            hi += 1
        while hi > end:
            hi -= 1
            if hi >= lo:
                self.remove(entries[hi])
        lo = min(lo, hi)
        while lo and entries[lo - 1].at > bound:
            lo -= 1
            self.add(entries[lo])
        while lo < hi and entries[lo].at <= bound:
            self.remove(entries[lo])
            lo += 1
        self.lo, self.hi = lo, hi

    def inserted(self, entry: Entry, place: int) -> None:
        """An entry was inserted at a place."""
        if place <= self.lo:
            self.lo += 1
            self.hi += 1
        elif place < self.hi:
            self.add(entry)
            self.hi += 1

    def dropping(self, entries: Sequence[Entry], start: int, end: int) -> None:
        """The entries [start, end) are about to be deleted."""
        for place in range(max(start, self.lo), min(end, self.hi)):
            self.remove(entries[place])
        self.lo -= max(0, min(self.lo, end) - start)
        self.hi -= max(0, min(self.hi, end) - start)


class _Tally(Gauge):
    """How often each thing stands in the window."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[object, int] = {}

    def _more(self, thing: object) -> None:
        self.counts[thing] = self.counts.get(thing, 0) + 1

    def _less(self, thing: object) -> None:
        left = self.counts[thing] - 1
        if left:
            self.counts[thing] = left
        else:
            del self.counts[thing]

    def measure(self, _: Entry) -> float | None:
        """How many different things."""
        return len(self.counts)


class Units(_Tally):
    """`event_count`: different actions, or different alerts of the correlation below."""

    __slots__ = ()

    def add(self, entry: Entry) -> None:
        """One of its unit more."""
        self.counts[entry.unit] = self.counts.get(entry.unit, 0) + 1

    def remove(self, entry: Entry) -> None:
        """One of its unit less."""
        self._less(entry.unit)


class Values(_Tally):
    """`value_count`: different values."""

    __slots__ = ()

    def add(self, entry: Entry) -> None:
        """Its values."""
        for value in entry.values:
            self._more(value)

    def remove(self, entry: Entry) -> None:
        """Without its values."""
        for value in entry.values:
            self._less(value)


class Rules(_Tally):
    """Temporal kinds: `counts` has the position of every rule that matched."""

    __slots__ = ()

    def add(self, entry: Entry) -> None:
        """A match of its rule."""
        self._more(entry.rule)

    def remove(self, entry: Entry) -> None:
        """A match of its rule less."""
        self._less(entry.rule)


class Share(_Tally):
    """`value_percentile` without percentile: how many percent of the window have a value of the last match."""

    __slots__ = ("_listed", "_window")

    def __init__(self) -> None:
        super().__init__()
        self._window: dict[int, Entry] = {}
        self._listed = 0

    def add(self, entry: Entry) -> None:
        """Its values; entries with several are remembered, their shares overlap."""
        for value in entry.values:
            self._more(value)
        self._window[id(entry)] = entry
        self._listed += len(entry.values) > 1

    def remove(self, entry: Entry) -> None:
        """Without its values."""
        for value in entry.values:
            self._less(value)
        del self._window[id(entry)]
        self._listed -= len(entry.values) > 1

    def measure(self, entry: Entry) -> float | None:
        """Percent of the entries that have a value in common with this one."""
        if not entry.values:
            return None
        if self._listed:
            mine = set(entry.values)
            same = sum(not mine.isdisjoint(other.values) for other in self._window.values())
        else:
            same = self.counts[entry.values[0]]
        return 100.0 * same / len(self._window)


class Sum(Gauge):
    """`value_sum` and `value_avg`, exact: rounded once, when it is asked for, whatever came and went before."""

    __slots__ = ("_mean", "_number", "_partials")

    def __init__(self, *, mean: bool) -> None:
        """Sum up, or take the mean."""
        super().__init__()
        self._mean = mean
        self._number = 0
        self._partials: list[float] = []

    def add(self, entry: Entry) -> None:
        """Its numbers."""
        for value in _numbers(entry):
            self._number += 1
            _accumulate(self._partials, value)

    def remove(self, entry: Entry) -> None:
        """Without its numbers."""
        for value in _numbers(entry):
            self._number -= 1
            _accumulate(self._partials, -value)

    def measure(self, _: Entry) -> float | None:
        """The sum, or the mean."""
        if not self._number:
            return None
        total = math.fsum(self._partials)
        return total / self._number if self._mean else total


class Ordered(Gauge):
    """`value_median` and `value_percentile`: the numbers in order."""

    __slots__ = ("_numbers", "_part")

    def __init__(self, part: float | None) -> None:
        """Take the number that this part of all does not exceed; None: the median."""
        super().__init__()
        self._part = part
        self._numbers: list[float] = []

    def add(self, entry: Entry) -> None:
        """Its numbers."""
        for value in _numbers(entry):
            insort(self._numbers, value)

    def remove(self, entry: Entry) -> None:
        """Without its numbers."""
        for value in _numbers(entry):
            del self._numbers[bisect_left(self._numbers, value)]

    def measure(self, _: Entry) -> float | None:
        """The median, or the number at the rank."""
        numbers = self._numbers
        if not numbers:
            return None
        if self._part is not None:
            return quantile(numbers, self._part)
        middle = len(numbers) // 2
        return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


def quantile(ordered: Sequence[float], part: float) -> float:
    """The smallest number that at least this part of some ordered numbers does not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def _numbers(entry: Entry) -> list[float]:
    return [value for value in entry.values if isinstance(value, float)]


def _accumulate(partials: list[float], value: float) -> None:
    """Add a number to a sum held as non-overlapping partials, without rounding (Shewchuk 1997, grow expansion)."""
    place = 0
    for partial in partials:
        high, low = (value, partial) if abs(value) >= abs(partial) else (partial, value)
        value = high + low
        rest = low - (value - high)
        if rest:
            partials[place] = rest
            place += 1
    partials[place:] = [value] if value else []


def _percentile(correlation: Correlation) -> Gauge:
    return Share() if correlation.percentile is None else Ordered(correlation.percentile / 100)


_GAUGES: Mapping[Kind, Callable[[Correlation], Gauge]] = {
    "event_count": lambda _: Units(),
    "value_count": lambda _: Values(),
    "value_sum": lambda _: Sum(mean=False),
    "value_avg": lambda _: Sum(mean=True),
    "value_median": lambda _: Ordered(None),
    "value_percentile": _percentile,
    "temporal": lambda _: Rules(),
    "temporal_ordered": lambda _: Rules(),
}


def gauge_for(correlation: Correlation) -> Gauge:
    """A gauge of what a correlation measures; for the kinds that judge windows."""
    return _GAUGES[correlation.kind](correlation)
