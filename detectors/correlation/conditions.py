"""Whether the window that ends with a match satisfies the condition of its correlation. Pure functions over entries.

A window is (end − timespan, end]; matches of one instant share a window. Entries are ordered by `Entry.place`.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from detectors.correlation.model import TEMPORAL, Alternative, Correlation
from detectors.correlation.state import Entry

Entries = Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Window:
    """Entries [start, end) and the number that was compared."""

    start: int
    end: int
    measure: float | None = None


def at_of(entry: Entry) -> int:
    """Key of binary searches by time."""
    return entry.at


def window_of(correlation: Correlation, entries: Entries, place: int) -> Window | None:
    """The window ending with the entry at `place`, if it satisfies the condition."""
    at = entries[place].at
    start = bisect_right(entries, at - correlation.timespan_ms, hi=place, key=at_of)
    end = place + 1
    while end < len(entries) and entries[end].at == at:
        end += 1
    if correlation.kind in TEMPORAL:
        return _temporal(correlation, entries, place, Window(start, end))
    measure = _measure(correlation, entries, place, start, end)
    if measure is None or correlation.threshold is None or not correlation.threshold.holds(measure):
        return None
    return Window(start, end, measure)


def _measure(correlation: Correlation, entries: Entries, place: int, start: int, end: int) -> float | None:
    """The number that the condition compares; None when there is nothing to compute with."""
    if correlation.kind == "event_count":
        if correlation.counts_units:
            return len({entries[i].unit for i in range(start, end)})
        return end - start
    if correlation.kind == "value_count":
        return len({value for i in range(start, end) for value in entries[i].values})
    if correlation.kind == "value_percentile" and correlation.percentile is None:
        return _share(entries, place, start, end)
    numbers = [value for i in range(start, end) for value in entries[i].values if isinstance(value, float)]
    if not numbers:
        return None
    if correlation.kind == "value_sum":
        return math.fsum(numbers)
    if correlation.kind == "value_avg":
        return statistics.fmean(numbers)
    if correlation.kind == "value_median":
        return statistics.median(numbers)
    return quantile(numbers, (correlation.percentile or 0) / 100)


def quantile(numbers: Sequence[float], part: float) -> float:
    """The smallest number that at least this part of the numbers does not exceed (nearest rank)."""
    ordered = sorted(numbers)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def _share(entries: Entries, place: int, start: int, end: int) -> float | None:
    """How many percent of the window have a value of this entry."""
    mine = set(entries[place].values)
    if not mine:
        return None
    return 100.0 * sum(not mine.isdisjoint(entries[i].values) for i in range(start, end)) / (end - start)


def _temporal(correlation: Correlation, entries: Entries, place: int, window: Window) -> Window | None:
    if not correlation.looks_ahead:
        present = {entries[i].rule for i in range(window.start, window.end)}
        candidates = [a for a in correlation.alternatives if present.issuperset(a.needs)]
    else:  # a match judged by what is absent must itself be a part of what is present
        present = {entries[i].rule for i in range(window.start, window.end)}
        mine = entries[place].rule
        candidates = [a for a in correlation.alternatives if mine in a.needs and present.issuperset(a.needs)]
    for alternative in candidates:
        if correlation.kind == "temporal":
            if _absent(entries, alternative.lacks, entries[place].at, correlation.timespan_ms):
                return window
        elif _ordered(correlation, entries, place, alternative, window):
            return window
    return None


def _absent(entries: Entries, lacks: tuple[int, ...], at: int, timespan: int) -> bool:
    """Whether none of some rules matched within the timespan before or after a time."""
    if not lacks:
        return True
    start = bisect_right(entries, at - timespan, key=at_of)
    end = bisect_left(entries, at + timespan, key=at_of)
    return not any(entries[i].rule in lacks for i in range(start, end))


def _ordered(correlation: Correlation, entries: Entries, place: int, wanted: Alternative, window: Window) -> bool:
    """Whether the needed rules match one after the other; the latest such sequence is judged for what it lacks."""
    last = entries[place].at
    if wanted.lacks and entries[place].rule != wanted.needs[-1]:
        return False
    found = _sequence(entries, wanted.needs, last, window, ())
    if found is None:
        return False
    return all(_lacking(correlation, entries, lack, wanted.needs, found) for lack in wanted.lacks)


def _sequence(
    entries: Entries, needs: tuple[int, ...], bound: int, window: Window, used: tuple[str, ...]
) -> list[int] | None:
    """Times of the latest matches of some rules, one after the other and none after `bound`, each another event.

    An event that matches two of the rules has one time, so only matches of one instant can stand in each other's way;
    among those, as many as there are rules are tried.
    """
    if not needs:
        return []
    tried = 0
    level: int | None = None
    for i in range(window.end - 1, window.start - 1, -1):
        entry = entries[i]
        if entry.at > bound or entry.rule != needs[-1] or entry.member in used:
            continue
        if tried > len(used) + len(needs) or (level is not None and entry.at < level):
            return None
        level = entry.at
        tried += 1
        before = _sequence(entries, needs[:-1], entry.at, window, (*used, entry.member))
        if before is not None:
            return [*before, entry.at]
    return None


def _lacking(correlation: Correlation, entries: Entries, lack: int, needs: tuple[int, ...], times: list[int]) -> bool:
    """Whether a rule is absent where the order puts it: before the first, between two, or after the last."""
    before = [time for need, time in zip(needs, times, strict=True) if need < lack]
    after = [time for need, time in zip(needs, times, strict=True) if need > lack]
    start = before[-1] if before else times[-1] - correlation.timespan_ms + 1
    end = after[0] if after else times[0] + correlation.timespan_ms - 1
    first = bisect_left(entries, start, key=at_of)
    stop = bisect_right(entries, end, key=at_of)
    return not any(entries[i].rule == lack for i in range(first, stop))
