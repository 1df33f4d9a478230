"""Steps of the correlations that judge windows: counts, sums, averages, temporal. `step.py` has the guarantee."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from detectors.correlation.bringing import Late, brought_in
from detectors.correlation.conditions import Window, begin_of, end_of, satisfying
from detectors.correlation.group import Group, at_of
from detectors.correlation.state import FIRED, NEXT_CELL, OWN_CELL, Alert, Brought, Entry, GroupState, Signal


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
    alerts = _decide(group, _affected(group, place), signal, new=place)
    group.drop_until(oldest)
    group.cut()
    return alerts


def _affected(group: Group, place: int) -> range:
    """Places of the matches whose window contains the entry at `place`: those of its instant, and the next timespan."""
    entries = group.state.entries
    end = place + 1
    if end < len(entries):
        end = bisect_left(entries, entries[place].at + group.correlation.timespan_ms, lo=end, key=at_of)
    return range(begin_of(entries, place), end)


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
    alerts = _decide(group, range(start, end), state.face, new=None)
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
    reached: list[tuple[int, Brought]] = field(default_factory=list)


def _decide(group: Group, places: range, signal: Signal, *, new: int | None) -> list[Alert]:
    """Judge the matches at some places, instant by instant; marks in the entries who was told.

    Args:
        group: Where they are.
        places: Whole instants.
        signal: Whose words and context the alerts show.
        new: Where matches are decided at once: the entry that was not there before. Everything else is told.

    Returns:
        One alert per cell, the earliest first.
    """
    entries, found = group.state.entries, dict[int, _Told]()
    late: Late | None = None
    begin = places.start
    while begin < places.stop:
        end = end_of(entries, begin)
        if new is not None and _fired(group, begin, end):
            _join(group, begin, end, new, found)
            if group.correlation.brought:
                late = late or Late(entries, new, group.correlation.timespan_ms)
                _reach(group, begin, end, late, found)
        else:
            _judge(group, begin, end, found)
        begin = end
    return [_alert(group.state, str(cell), told, signal) for cell, told in sorted(found.items())]


def _fired(group: Group, begin: int, end: int) -> bool:
    """Whether an instant satisfied the condition before one of its matches arrived.

    What is decided at once holds for an instant as a whole, and for ever: so the other end answers for all, however
    many there are.
    """
    entries = group.state.entries
    return bool((entries[begin].told | entries[end - 1].told) & FIRED)


def _join(group: Group, begin: int, end: int, new: int, found: dict[int, _Told]) -> None:
    """Tell the alert of an instant that fired before of a new entry in its window."""
    entries, cell_ms = group.state.entries, group.correlation.cell_ms
    cell = entries[begin].at // cell_ms
    mark = _mark(entries[new], cell * cell_ms)
    fires = begin <= new < end
    if entries[new].told & mark and not fires:
        return
    told = found.setdefault(cell, _Told(begin, begin, end, measure=None, opens=False))
    if not entries[new].told & mark:
        told.news.append(new)
    entries[new].told |= mark | (FIRED if fires else 0)
    if fires:
        told.fired.append(new)


def _reach(group: Group, begin: int, end: int, late: Late, found: dict[int, _Told]) -> None:
    """Tell correlations above what an entry brings to an instant that fired before it."""
    reached = list(late.reached(begin, end))
    if reached:
        cell = group.state.entries[begin].at // group.correlation.cell_ms
        found.setdefault(cell, _Told(begin, begin, end, measure=None, opens=False)).reached.extend(reached)


def _judge(group: Group, begin: int, end: int, found: dict[int, _Told]) -> None:
    """Judge the matches of one instant, which share a window."""
    fired, window = satisfying(group, begin, end)
    if window is None:
        return
    entries, cell_ms = group.state.entries, group.correlation.cell_ms
    cell = entries[begin].at // cell_ms
    start, news = _untold(group, begin, window, cell)
    for place in news:
        entries[place].told |= _mark(entries[place], cell * cell_ms)
    for place in fired:
        entries[place].told |= FIRED
    told = found.setdefault(cell, _Told(fired[0], start, end, window.measure, opens=len(news) == end - start))
    told.news.extend(news)
    told.fired.extend(fired)
    if group.correlation.brought:
        brought = brought_in(entries, window.start, end)
        told.reached.extend((place, each) for place in fired for each in brought)


def _mark(entry: Entry, cell_start: int) -> int:
    """What says that the alert of a cell knows an entry."""
    return OWN_CELL if entry.at >= cell_start else NEXT_CELL


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
        reached=tuple((entries[i], brought) for i, brought in told.reached),
    )


def _untold(group: Group, begin: int, window: Window, cell: int) -> tuple[int, list[int]]:
    """Where the window of an instant starts, and the places in it that the alert of its cell does not know.

    When the match before fired for the same alert, everything up to it was told then: a burst costs nothing per match.
    The start is then that match, since only an alert that opens asks for it.
    """
    entries, cell_start = group.state.entries, cell * group.correlation.cell_ms
    before = begin - 1
    if begin and entries[before].told & FIRED and entries[before].at >= cell_start and _reaches(group, before, begin):
        start = before
    else:
        start = begin = window.start
    news = [i for i in range(begin, window.end) if not entries[i].told & _mark(entries[i], cell_start)]
    return start, news


def _reaches(group: Group, before: int, place: int) -> bool:
    """Whether the window of a match contains the entry before it."""
    entries = group.state.entries
    return entries[before].at > entries[place].at - group.correlation.timespan_ms
