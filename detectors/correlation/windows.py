"""Steps of the correlations that judge windows: counts, sums, averages, temporal. Pure; `step.py` has the guarantee."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from detectors.correlation.conditions import Window, at_of, window_of
from detectors.correlation.model import Correlation
from detectors.correlation.state import FIRED, NEXT_CELL, OWN_CELL, Alert, Entry, GroupState, Signal


def entry_of(correlation: Correlation, signal: Signal) -> Entry:
    """A signal as its group keeps it."""
    rule = correlation.rules.index(signal.rule)
    return Entry(signal.at, signal.member, rule, signal.event, signal.values, signal.unit)


def place_for(entries: tuple[Entry, ...], entry: Entry) -> int | None:
    """Where an entry belongs; None when it is there already."""
    if not entries or entries[-1].at < entry.at:
        return len(entries)
    wanted = entry.place
    place = bisect_left(entries, wanted, key=_place_of)
    if place < len(entries) and entries[place].place == wanted:
        return None
    return place


def _place_of(entry: Entry) -> tuple[int, str, int]:
    return entry.place


def take_at_once(correlation: Correlation, state: GroupState, signal: Signal) -> tuple[GroupState, list[Alert]]:
    """Add a signal and decide every match whose window it is in."""
    newest = max(state.newest, signal.at)
    oldest = newest - correlation.lateness_ms - correlation.timespan_ms
    if signal.at <= oldest:
        return msgspec.structs.replace(state, late=state.late + 1), []
    entry = entry_of(correlation, signal)
    place = place_for(state.entries, entry)
    if place is None:
        return state, []
    entries = [*state.entries[:place], entry, *state.entries[place:]]
    alerts = _decide(correlation, entries, _affected(correlation, entries, place), signal)
    drop = bisect_right(entries, oldest, key=at_of)
    cut = max(0, len(entries) - drop - correlation.limit)
    return (
        GroupState(
            version=state.version,
            entries=tuple(entries[drop + cut :]),
            newest=newest,
            cut=state.cut + cut,
            late=state.late,
        ),
        alerts,
    )


def _affected(correlation: Correlation, entries: list[Entry], place: int) -> range:
    """Places of the matches whose window contains the entry at `place`: those of its instant, and the next timespan."""
    at = entries[place].at
    start = place
    while start and entries[start - 1].at == at:
        start -= 1
    end = place + 1
    if end < len(entries):
        end = bisect_left(entries, at + correlation.timespan_ms, lo=end, key=at_of)
    return range(start, end)


def take_settled(correlation: Correlation, state: GroupState, signal: Signal) -> tuple[GroupState, list[Alert]]:
    """Add a signal; `settle_windows` decides later."""
    if signal.at <= state.settled:
        return msgspec.structs.replace(state, late=state.late + 1), []
    entry = entry_of(correlation, signal)
    place = place_for(state.entries, entry)
    if place is None:
        return state, []
    entries = (*state.entries[:place], entry, *state.entries[place:])
    cut = max(0, len(entries) - correlation.limit)
    face = signal if state.face is None or signal.at >= state.newest else state.face
    newest = max(state.newest, signal.at)
    changed = msgspec.structs.replace(state, entries=entries[cut:], newest=newest, face=face, cut=state.cut + cut)
    return changed, []


def settle_windows(correlation: Correlation, state: GroupState, clock: int) -> tuple[GroupState, list[Alert]]:
    """Decide every match that no signal within the lateness can change any more.

    Args:
        clock: No signal older than this by more than the lateness will come.
    """
    until = clock - correlation.lateness_ms
    if until <= state.settled or state.face is None:
        return state, []
    ahead = correlation.timespan_ms if correlation.looks_ahead else 0
    entries = list(state.entries)
    start = bisect_right(entries, state.settled - ahead, key=at_of)
    end = bisect_right(entries, until - ahead, key=at_of)
    alerts = _decide(correlation, entries, range(start, end), state.face)
    drop = bisect_right(entries, until - ahead - correlation.timespan_ms, key=at_of)
    return msgspec.structs.replace(state, entries=tuple(entries[drop:]), settled=until), alerts


def next_settlement(correlation: Correlation, state: GroupState) -> int | None:
    """Clock at which the oldest undecided match can be decided."""
    ahead = correlation.timespan_ms if correlation.looks_ahead else 0
    start = bisect_right(state.entries, state.settled - ahead, key=at_of)
    if start == len(state.entries):
        return None
    return state.entries[start].at + ahead + correlation.lateness_ms


@dataclass(slots=True)
class _Told:
    """What one step tells of one cell."""

    place: int
    window: Window
    opens: bool
    news: list[int] = field(default_factory=list)
    fired: list[int] = field(default_factory=list)


def _decide(correlation: Correlation, entries: list[Entry], places: Iterable[int], signal: Signal) -> list[Alert]:
    """Judge the matches at some places; marks in `entries` who was told. One alert per cell, the earliest first."""
    found: dict[int, _Told] = {}
    for place in places:
        fired = bool(entries[place].told & FIRED)
        window = _known(correlation, entries, place) if fired else window_of(correlation, entries, place)
        if window is None:
            continue
        cell = entries[place].at // correlation.cell_ms
        news, fresh = _untold(correlation, entries, place, window)
        _mark(correlation, entries, news, cell)
        entries[place] = _with(entries[place], FIRED)
        if news or not fired:
            told = found.setdefault(cell, _Told(place, window, fresh))
            told.news.extend(news)
            told.fired.extend(() if fired else (place,))
    return [
        Alert(
            cell=str(cell),
            at=entries[told.place].at,
            member=entries[told.place].member,
            events=tuple(entries[i] for i in sorted(told.news)),
            opens=told.opens,
            signal=signal,
            seen=tuple(entries[told.window.start : told.window.end]) if told.opens else (),
            measure=told.window.measure,
            fired=tuple(entries[i] for i in told.fired),
        )
        for cell, told in sorted(found.items())
    ]


def _known(correlation: Correlation, entries: list[Entry], place: int) -> Window:
    """The window of a match that satisfied the condition before: where matches are decided at once, it still does."""
    at = entries[place].at
    end = place + 1
    while end < len(entries) and entries[end].at == at:
        end += 1
    return Window(bisect_right(entries, at - correlation.timespan_ms, hi=place, key=at_of), end)


def _untold(correlation: Correlation, entries: list[Entry], place: int, window: Window) -> tuple[list[int], bool]:
    """Places in a window that the alert of its cell does not know, and whether it knows none of them.

    When the match before fired for the same alert, everything up to it was told then: a burst costs nothing per match.
    """
    cell = entries[place].at // correlation.cell_ms
    begin = place
    while begin > window.start and entries[begin - 1].at == entries[place].at:
        begin -= 1
    runs = begin > window.start and entries[begin - 1].told & FIRED
    if not (runs and entries[begin - 1].at // correlation.cell_ms == cell):
        begin = window.start
    start = cell * correlation.cell_ms
    news = [
        i for i in range(begin, window.end) if not entries[i].told & (OWN_CELL if entries[i].at >= start else NEXT_CELL)
    ]
    return news, len(news) == window.end - window.start


def _mark(correlation: Correlation, entries: list[Entry], places: Iterable[int], cell: int) -> None:
    start = cell * correlation.cell_ms
    for place in places:
        entries[place] = _with(entries[place], OWN_CELL if entries[place].at >= start else NEXT_CELL)


def _with(entry: Entry, flag: int) -> Entry:
    if entry.told & flag:
        return entry
    return Entry(entry.at, entry.member, entry.rule, entry.event, entry.values, entry.unit, entry.told | flag)
