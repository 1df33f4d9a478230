"""Steps of the correlations that judge windows: counts, sums, averages, temporal. `step.py` has the guarantee."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from detectors.correlation.conditions import Window, end_of, start_of, window_of
from detectors.correlation.group import Group, at_of
from detectors.correlation.state import FIRED, NEXT_CELL, OWN_CELL, Alert, GroupState, Signal


def take_at_once(group: Group, signal: Signal) -> list[Alert]:
    """Add a signal and decide every match whose window it is in."""
    correlation, state = group.correlation, group.state
    state.newest = max(state.newest, min(signal.at, signal.seen))
    oldest = state.newest - correlation.lateness_ms - correlation.timespan_ms
    if signal.at <= oldest:
        state.late += 1
        return []
    place = group.insert(signal)
    if place is None:
        return []
    alerts = _decide(group, _affected(group, place), signal)
    group.drop_until(oldest)
    group.cut()
    return alerts


def _affected(group: Group, place: int) -> range:
    """Places of the matches whose window contains the entry at `place`: those of its instant, and the next timespan."""
    entries = group.state.entries
    at = entries[place].at
    start = place
    while start and entries[start - 1].at == at:
        start -= 1
    end = place + 1
    if end < len(entries):
        end = bisect_left(entries, at + group.correlation.timespan_ms, lo=end, key=at_of)
    return range(start, end)


def take_settled(group: Group, signal: Signal) -> list[Alert]:
    """Add a signal; `settle_windows` decides later."""
    if signal.at <= group.state.settled:
        group.state.late += 1
        return []
    if group.insert(signal) is not None:
        group.saw(signal)
        group.cut()
    return []


def settle_windows(group: Group, clock: int) -> list[Alert]:
    """Decide every match that no signal within the lateness can change any more.

    Args:
        clock: No signal older than this by more than the lateness will come.
    """
    correlation, state = group.correlation, group.state
    until = clock - correlation.lateness_ms
    if until <= state.settled or state.face is None:
        return []
    ahead = _ahead(group)
    start = bisect_right(state.entries, state.settled - ahead, key=at_of)
    end = bisect_right(state.entries, until - ahead, key=at_of)
    alerts = _decide(group, range(start, end), state.face)
    group.drop_until(until - ahead - correlation.timespan_ms)
    state.settled = until
    return alerts


def next_settlement(group: Group) -> int | None:
    """Clock at which the oldest undecided match can be decided."""
    state, ahead = group.state, _ahead(group)
    start = bisect_right(state.entries, state.settled - ahead, key=at_of)
    if start == len(state.entries):
        return None
    return state.entries[start].at + ahead + group.correlation.lateness_ms


def _ahead(group: Group) -> int:
    """How far behind a match the condition looks."""
    return group.correlation.timespan_ms if group.correlation.looks_ahead else 0


@dataclass(slots=True)
class _Told:
    """What one step tells of one cell.

    Attributes:
        place: The match that satisfied the condition.
        start: Where its window starts.
    """

    place: int
    start: int
    end: int
    measure: float | None
    opens: bool
    news: list[int] = field(default_factory=list)
    fired: list[int] = field(default_factory=list)


def _decide(group: Group, places: Iterable[int], signal: Signal) -> list[Alert]:
    """Judge the matches at some places; marks in the entries who was told. One alert per cell, the earliest first."""
    entries, cell_ms = group.state.entries, group.correlation.cell_ms
    found: dict[int, _Told] = {}
    for place in places:
        entry = entries[place]
        fired = bool(entry.told & FIRED)  # where matches are decided at once, it still satisfies the condition
        window = None if fired else window_of(group, place)
        if window is None and not fired:
            continue
        cell = entry.at // cell_ms
        start, news = _untold(group, place, window, cell)
        for place_of_news in news:
            entries[place_of_news].told |= OWN_CELL if entries[place_of_news].at >= cell * cell_ms else NEXT_CELL
        entry.told |= FIRED
        if not news and fired:
            continue
        told = found.get(cell)
        if told is None:
            end = end_of(entries, place)
            opens = len(news) == end - start
            told = found[cell] = _Told(place, start, end, window.measure if window else None, opens)
        told.news.extend(news)
        if not fired:
            told.fired.append(place)
    return [_alert(group.state, str(cell), told, signal) for cell, told in sorted(found.items())]


def _alert(state: GroupState, cell: str, told: _Told, signal: Signal) -> Alert:
    entries = state.entries
    events = tuple(entries[i] for i in sorted(told.news))
    return Alert(
        cell=cell,
        at=entries[told.place].at,
        member=entries[told.place].member,
        events=events,
        opens=told.opens,
        signal=signal,
        seen=tuple(entries[told.start : told.end]) if told.opens else events,
        measure=told.measure,
        fired=tuple(entries[i] for i in told.fired),
    )


def _untold(group: Group, place: int, window: Window | None, cell: int) -> tuple[int, list[int]]:
    """Where the window of a match starts, and the places in it that the alert of its cell does not know.

    When the match before fired for the same alert, everything up to it was told then: a burst costs nothing per match.
    The start is then that of the instant, since only an alert that opens asks for it.
    """
    entries, correlation = group.state.entries, group.correlation
    cell_start = cell * correlation.cell_ms
    begin = place
    while begin and entries[begin - 1].at == entries[place].at:
        begin -= 1
    start = begin - 1
    if not (
        begin and entries[start].told & FIRED and entries[start].at >= cell_start and _reaches(group, start, place)
    ):
        start = begin = window.start if window else start_of(entries, place, correlation.timespan_ms)
    news = [
        i
        for i in range(begin, end_of(entries, place))
        if not entries[i].told & (OWN_CELL if entries[i].at >= cell_start else NEXT_CELL)
    ]
    return start, news


def _reaches(group: Group, before: int, place: int) -> bool:
    """Whether the window of a match contains the entry before it."""
    entries = group.state.entries
    return entries[before].at > entries[place].at - group.correlation.timespan_ms
