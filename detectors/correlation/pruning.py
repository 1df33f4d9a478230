"""What a group that has too many entries can do without. Pure functions over entries, ordered by `Entry.place`.

Entries of one *sort* say the same: a value (`value_count`), a rule (temporal), an alert below (counts upon
correlations). A window of length T is an interval of time, so an entry between two others of its sort that lie no more
than T apart is never missed: every window with it has one of the two. Without those a sort takes about two entries per
T, however many arrive. Where no entry repeats another (sums, counts of events) nothing can be spared this way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence

from detectors.correlation.model import TEMPORAL, Alternative, Correlation
from detectors.correlation.state import Entry

FINENESS = 16
"""Where times or the order between sorts matter too, two entries of a sort lie at most timespan / FINENESS apart."""


def repeats(correlation: Correlation, entries: Sequence[Entry]) -> list[int]:
    """Places of entries that add nothing to what the others say."""
    if not _repeating(correlation):
        return []
    exact = correlation.at_once and correlation.kind != "temporal_ordered"
    gap = correlation.timespan_ms if exact else max(1, correlation.timespan_ms // FINENESS)
    sorts = [_sorts(correlation, entry) for entry in entries]
    following = _following(sorts)
    kept: dict[Hashable, int] = {}  # sort → time of the last entry of it that stays
    other = _Foreign(correlation, entries)
    spare = []
    for place, entry in enumerate(entries):
        mine = sorts[place]
        covered = bool(mine) and all(
            sort in kept
            and (later := following[place][number]) is not None
            and entries[later].at - kept[sort] <= gap
            and not other.between(entry.rule, kept[sort], entries[later].at)
            for number, sort in enumerate(mine)
        )
        if covered:
            spare.append(place)
        else:
            kept.update(dict.fromkeys(mine, entry.at))
    return spare


def needed(correlation: Correlation, entries: Sequence[Entry]) -> set[int]:
    """Places of the entries that the next match needs: the newest of each sort, or the latest sequence of an order."""
    if not _repeating(correlation):
        return set()
    if correlation.kind == "temporal_ordered":
        return _latest_sequences(correlation.alternatives, entries)
    newest = {sort: place for place, entry in enumerate(entries) for sort in _sorts(correlation, entry)}
    return set(newest.values())


class _Foreign:
    """Whether an order has matches of other rules within a time; a sequence may go through them."""

    def __init__(self, correlation: Correlation, entries: Sequence[Entry]) -> None:
        """Look at the entries if the order between rules matters."""
        self._times: dict[int, list[int]] = {}
        if correlation.kind == "temporal_ordered":
            rules = {entry.rule for entry in entries}
            self._times = {rule: [entry.at for entry in entries if entry.rule != rule] for rule in rules}

    def between(self, rule: int, start: int, end: int) -> bool:
        """Whether a match of another rule lies in [start, end]."""
        times = self._times.get(rule, ())
        place = bisect_left(times, start)
        return place < len(times) and times[place] <= end


def _repeating(correlation: Correlation) -> bool:
    if correlation.kind == "event_count":
        return correlation.counts_units
    return correlation.kind == "value_count" or correlation.kind in TEMPORAL


def _sorts(correlation: Correlation, entry: Entry) -> tuple[Hashable, ...]:
    if correlation.kind == "value_count":
        said: tuple[Hashable, ...] = entry.values
    else:
        said = (entry.unit,) if correlation.kind == "event_count" else (entry.rule,)
    return tuple((each, entry.brought) for each in said) if entry.brought else said


def _following(sorts: Sequence[tuple[Hashable, ...]]) -> list[list[int | None]]:
    """For each sort of each entry the place of the next entry of it."""
    known: dict[Hashable, int] = {}
    found: list[list[int | None]] = []
    for place in range(len(sorts) - 1, -1, -1):
        found.append([known.get(sort) for sort in sorts[place]])
        known.update(dict.fromkeys(sorts[place], place))
    return found[::-1]


def _latest_sequences(alternatives: Sequence[Alternative], entries: Sequence[Entry]) -> set[int]:
    """The latest way to have come as far as each step of an order, and the newest match of what it must lack."""
    places: dict[int, list[int]] = {}
    for place, entry in enumerate(entries):
        places.setdefault(entry.rule, []).append(place)
    found: set[int] = set()
    for alternative in alternatives:
        found.update(places[rule][-1] for rule in alternative.lacks if rule in places)
        for steps in range(1, len(alternative.needs) + 1):
            found.update(_latest(alternative.needs[:steps], places, entries))
    return found


def _latest(needs: Sequence[int], places: dict[int, list[int]], entries: Sequence[Entry]) -> list[int]:
    """Places of the latest matches of some rules, one at or after the other, each of another action."""
    found: list[int] = []
    used: set[str] = set()
    until = len(entries)
    for rule in reversed(needs):
        candidates = places.get(rule, ())
        number = bisect_left(candidates, until) - 1
        while number >= 0 and entries[candidates[number]].member in used:
            number -= 1
        if number < 0:
            return []
        place = candidates[number]
        found.append(place)
        used.add(entries[place].member)
        until = place
        while until < len(entries) and entries[until].at == entries[place].at:
            until += 1
    return found
