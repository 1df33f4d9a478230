"""A group in memory: its state, and the gauge that makes judging the next match cheap."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from operator import attrgetter

from detectors.correlation import pruning
from detectors.correlation.gauges import Gauge, gauge_for
from detectors.correlation.model import NUMERIC, TEMPORAL, Correlation
from detectors.correlation.state import Entry, GroupState, Signal

WINDOWED = NUMERIC | TEMPORAL | {"event_count", "value_count"}
at_of = attrgetter("at")
"""Key of binary searches by time."""
place_of = attrgetter("place")
ENTRY_BYTES = 600
"""About what an entry takes in memory with a few short values."""
TEXT_BYTES = 60
"""What a text takes beside its characters."""


@dataclass(slots=True)
class Group:
    """Kept signals of one group, with the gauge over them.

    Attributes:
        gauge: None for the kinds that judge no windows.
        heft: What its entries weigh beyond one each, for many or long values.
    """

    correlation: Correlation
    state: GroupState
    gauge: Gauge | None = field(init=False)
    heft: int = field(init=False)

    def __post_init__(self) -> None:
        self.gauge = gauge_for(self.correlation) if self.correlation.kind in WINDOWED else None
        self.heft = sum(map(_heft, self.state.entries))

    @property
    def weight(self) -> int:
        """About how much memory it takes, in kept signals."""
        return self.state.weight + self.heft

    def insert(self, signal: Signal) -> int | None:
        """Keep a signal; its place, or None when it is kept already."""
        entries = self.state.entries
        rule = self.correlation.rules.index(signal.rule)
        entry = Entry(signal.at, signal.member, rule, signal.event, signal.values, signal.unit, 0, signal.brought)
        if not entries or entries[-1].at < signal.at:
            place = len(entries)
        else:
            wanted = entry.place
            place = bisect_left(entries, wanted, key=place_of)
            if place < len(entries) and entries[place].place == wanted:
                return None
        entries.insert(place, entry)
        self.heft += _heft(entry)
        if self.gauge is not None:
            self.gauge.inserted(entry, place)
        return place

    def drop_until(self, at: int) -> None:
        """Forget what is not later than a time."""
        entries = self.state.entries
        if entries and entries[0].at <= at:
            self.drop(0, bisect_right(entries, at, key=at_of))

    def drop(self, start: int, end: int) -> None:
        """Forget the entries [start, end)."""
        if self.gauge is not None:
            self.gauge.dropping(self.state.entries, start, end)
        self.heft -= sum(map(_heft, self.state.entries[start:end]))
        del self.state.entries[start:end]

    def cut(self) -> list[Entry]:
        """Give up what is beyond the limit: what repeats others, then the oldest that the next match does not need.

        Where most lie in the future it is the farthest ahead instead: an event time in the future is a wrong clock or
        a lie, and a flood of them must not push out what is true. Only when it is an eighth too much, so that a flood
        does not cost a deletion per signal.
        """
        state, limit = self.state, self.correlation.limit
        if len(state.entries) - limit <= limit // 8:
            return []
        spare = pruning.repeats(self.correlation, state.entries)
        if self.correlation.at_once:
            state.repeats += len(spare)
        else:  # each would have been judged itself
            state.cut += len(spare)
        lost = self._drop_places(spare)
        excess = len(state.entries) - limit
        if excess <= 0:
            return lost
        everything = range(len(state.entries))
        ahead = len(state.entries) - bisect_right(state.entries, state.newest, key=at_of)
        if ahead > limit // 2:
            given_up = list(everything[-excess:])
        else:
            wanted = pruning.needed(self.correlation, state.entries)
            given_up = sorted(sorted(everything, key=wanted.__contains__)[:excess])
        latest = state.entries[given_up[-1]].at
        lost += self._drop_places(given_up)
        state.cut += excess
        state.surplus += excess if self._has_enough(latest) else 0
        return lost

    def _has_enough(self, since: int) -> bool:
        """Whether what is kept since a time does without what was before: no later window has both, or it fires anyway.

        In the order of time, that is: a window of a match that comes late may have a part of what is kept.
        """
        correlation, entries = self.correlation, self.state.entries
        if correlation.rate:
            return True  # what is no longer kept is still counted
        if not correlation.at_once:
            return False
        if entries[-1].at - since >= correlation.timespan_ms:
            return True
        if correlation.threshold is None:
            return False
        gauge = gauge_for(correlation)
        gauge.cover(entries, len(entries), since - 1)
        measure = gauge.measure(entries[-1])
        return measure is not None and correlation.threshold.holds(measure)

    def _drop_places(self, places: list[int]) -> list[Entry]:
        """Forget the entries at some places, which ascend."""
        lost = [self.state.entries[place] for place in places]
        end = len(places)
        while end:  # neighbours go together, from the last
            start = end - 1
            while start and places[start - 1] == places[start] - 1:
                start -= 1
            self.drop(places[start], places[end - 1] + 1)
            end = start
        return lost

    def saw(self, signal: Signal) -> None:
        """Let the group's time go on, but never beyond the moment of receipt."""
        state = self.state
        state.newest = max(state.newest, min(signal.at, signal.seen))
        if state.face is None or (signal.at, signal.member) >= (state.face.at, state.face.member):
            state.face = signal


def _heft(entry: Entry) -> int:
    """What an entry weighs beyond one, for its values: somebody else chooses how many there are, and how long."""
    if not entry.values and not entry.brought:
        return 0
    texts = [value for value in entry.values if isinstance(value, str)]
    texts += [text for _, brought in entry.brought for text in brought]
    return sum(len(text) + TEXT_BYTES for text in texts) // ENTRY_BYTES
