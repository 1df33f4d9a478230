"""Whether the window that ends with a match satisfies the condition of its correlation. Pure functions over entries.

A window is (end − timespan, end]; matches of one instant share a window. Entries are ordered by `Entry.place`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from detectors.correlation.gauges import Rules
from detectors.correlation.group import Group, at_of
from detectors.correlation.model import Alternative, Correlation
from detectors.correlation.state import Entry

Entries = Sequence[Entry]
_rule_of: Callable[[Entry], Hashable] = attrgetter("rule")
_values_of: Callable[[Entry], Hashable] = attrgetter("values")


@dataclass(frozen=True, slots=True)
class Window:
    """Entries [start, end) and the number that was compared."""

    start: int
    end: int
    measure: float | None = None


def begin_of(entries: Entries, place: int) -> int:
    """The first entry of the instant of the one at `place`."""
    at = entries[place].at
    if not place or entries[place - 1].at != at:
        return place
    return bisect_left(entries, at, hi=place, key=at_of)


def end_of(entries: Entries, place: int) -> int:
    """Behind the last entry of the instant of the one at `place`."""
    at, after = entries[place].at, place + 1
    if after == len(entries) or entries[after].at != at:
        return after
    return bisect_right(entries, at, lo=after, key=at_of)


def satisfying(group: Group, begin: int, end: int) -> tuple[Sequence[int], Window | None]:
    """The places of an instant whose matches satisfy the condition, and the window that they share.

    Matches of an instant differ in what the condition asks of the match itself, if it does; those that don't are judged
    once. Otherwise a burst with one time would cost its square.
    """
    entries = group.state.entries
    asks = _asks(group.correlation)
    if asks is None:
        window = _window_of(group, begin, end)
        return (range(begin, end), window) if window else ((), None)
    judged: dict[Hashable, Window | None] = {}
    places: list[int] = []
    for place in range(begin, end):
        sort = asks(entries[place])
        if sort not in judged:
            judged[sort] = _window_of(group, place, end)
        if judged[sort]:
            places.append(place)
    return places, judged[asks(entries[places[0]])] if places else None


def _asks(correlation: Correlation) -> Callable[[Entry], Hashable] | None:
    """What a condition asks of the match that it judges; None: nothing, only of its window."""
    if correlation.looks_ahead:
        return _rule_of
    if correlation.kind == "value_percentile" and correlation.percentile is None:
        return _values_of
    return None


def _window_of(group: Group, place: int, end: int) -> Window | None:
    """The window ending with the entry at `place`, if it satisfies the condition; `end` is that of its instant."""
    correlation, entries, gauge = group.correlation, group.state.entries, group.gauge
    assert gauge is not None  # the kinds without one judge no windows
    entry = entries[place]
    gauge.cover(entries, end, entry.at - correlation.timespan_ms)
    if isinstance(gauge, Rules):
        window = Window(gauge.lo, end)
        return window if _temporal(correlation, entries, place, gauge, window) else None
    measure = gauge.measure(entry)
    if measure is None or correlation.threshold is None or not correlation.threshold.holds(measure):
        return None
    return Window(gauge.lo, end, measure)


def _temporal(correlation: Correlation, entries: Entries, place: int, gauge: Rules, window: Window) -> bool:
    mine = entries[place].rule
    for alternative in correlation.alternatives:
        if not all(need in gauge.counts for need in alternative.needs):
            continue
        # a match judged by what is absent must itself be a part of what is present
        if correlation.looks_ahead and mine not in alternative.needs:
            continue
        if correlation.kind == "temporal":
            if _absent(entries, alternative.lacks, entries[place].at, correlation.timespan_ms):
                return True
        elif _ordered(correlation, entries, place, alternative, window):
            return True
    return False


def _absent(entries: Entries, lacks: tuple[int, ...], at: int, timespan: int) -> bool:
    """Whether none of some rules matched within the timespan before or after a time."""
    if not lacks:
        return True
    start = bisect_right(entries, at - timespan, key=at_of)
    end = bisect_left(entries, at + timespan, key=at_of)
    return not any(entries[i].rule in lacks for i in range(start, end))


def _ordered(correlation: Correlation, entries: Entries, place: int, wanted: Alternative, window: Window) -> bool:
    """Whether the needed rules match one after the other; the latest such sequence is judged for what it lacks."""
    if wanted.lacks and entries[place].rule != wanted.needs[-1]:
        return False
    found = _sequence(entries, wanted.needs, window, ())
    if found is None:
        return False
    return all(_lacking(correlation, entries, lack, wanted.needs, found) for lack in wanted.lacks)


def _sequence(entries: Entries, needs: tuple[int, ...], window: Window, used: tuple[str, ...]) -> list[int] | None:
    """Times of the latest matches of some rules in a window, one after the other, each another event.

    An event that matches two of the rules has one time, so only matches of one instant can stand in each other's way;
    among those, as many as there are rules are tried.
    """
    if not needs:
        return []
    tried = 0
    level: int | None = None
    for i in range(window.end - 1, window.start - 1, -1):
        entry = entries[i]
        if entry.rule != needs[-1] or entry.member in used:
            continue
        if tried > len(used) + len(needs) or (level is not None and entry.at < level):
            return None
        level = entry.at
        tried += 1
        earlier = Window(window.start, min(window.end, end_of(entries, i)))
        before = _sequence(entries, needs[:-1], earlier, (*used, entry.member))
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
