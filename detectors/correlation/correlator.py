"""The groups of many correlations in memory: bounded, none at the cost of another, forgotten segment by segment."""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from detectors.correlation.alerts import detections_of
from detectors.correlation.group import Group
from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import Alert, Entry, GroupState, Signal
from detectors.correlation.step import due, expires, new_group, settle, step
from detectors.detection import Detection

MAX_WEIGHT = 400_000
"""Kept signals of all groups of a worker; one takes about 600 bytes."""
SEGMENT_MS = 3600 * 1000
SPARE_DUES = 1000
"""Dues of forgotten groups that may wait in the heap, beside as many as there are of live ones."""
SLEW_MS = 5 * 60 * 1000
"""The clock goes this far at once at most, where correlations build upon settled ones: their signals are on the way."""
Key = tuple[str, str, str]
"""Correlation, namespace, group."""
_NO_GROUPS: Mapping[Key, Group] = {}


@dataclass(slots=True)
class Budget:
    """Memory that the correlators of a worker share, in kept signals.

    Attributes:
        holders: Correlators that share it; each is sure of an equal part.
    """

    limit: int = MAX_WEIGHT
    used: int = 0
    holders: int = 0

    def exceeded_by(self, own: int) -> bool:
        """Whether a correlator that holds so much has to give some up."""
        return self.used > self.limit and own * self.holders > self.limit


@dataclass(slots=True)
class Found:
    """What some signals led to.

    Attributes:
        alerts: (Group, cell) → the alert as it was first told of, and all that joined it since.
        chained: Signals for correlations that build upon others.
    """

    alerts: dict[tuple[Key, str], tuple[Correlation, Alert, list[Entry]]] = field(default_factory=dict)
    chained: list[Signal] = field(default_factory=list)

    @property
    def detections(self) -> list[Detection]:
        """What is to be told, in the order in which it was found."""
        return [one for told in self.alerts.values() for one in detections_of(*told)]

    def tell(self, key: Key, correlation: Correlation, alert: Alert) -> None:
        """Add an alert; more members of one that is here already join it."""
        known = self.alerts.get((key, alert.cell))
        if known is None:
            self.alerts[key, alert.cell] = correlation, alert, []
        else:
            known[2].extend(alert.events)


@dataclass(frozen=True, slots=True)
class _Before:
    """A group, and its numbers before something happened to it; without weight it is new."""

    group: Group
    weight: int
    late: int
    repeats: int
    cut: int
    surplus: int

    @classmethod
    def of(cls, group: Group, weight: int) -> _Before:
        state = group.state
        return cls(group, weight, state.late, state.repeats, state.cut, state.surplus)


class Correlator:
    """Steps of every group; the owner makes `changed` durable.

    Attributes:
        clock: Event time that everything is settled by; 0 while unknown.
        changed: Groups whose state changed, or was forgotten, since the owner last looked.
        notes: Counts of what was left out: `late`; beyond the limit of a group `repeats`, `surplus` (what it had enough
            of) and `cut` (other); `forgotten` (groups beyond the budget); of correlations that are not loaded, or
            read other fields, `outdated` (of a rule set before this one) and `unknown`; the owner adds `unsaved`.
        noted: The same, but `outdated`, `unknown` and `unsaved`, by correlation: (reason, id) → count.
    """

    def __init__(self, router: Router, *, budget: Budget | None = None) -> None:
        """Start empty."""
        self.clock = 0
        self.changed: set[Key] = set()
        self.notes: Counter[str] = Counter()
        self.noted: Counter[tuple[str, str]] = Counter()
        self._router = router
        self._budget = budget or Budget()
        self._budget.holders += 1
        loaded = router.correlations
        self._slew = any(not loaded[n].at_once for one in loaded.values() for n in one.chained if n in loaded)
        self._groups: dict[str, OrderedDict[Key, Group]] = {}  # a plain dict walks over what was taken from its front
        self._weights: Counter[str] = Counter()
        self._dues: list[tuple[int, Key]] = []
        self._due_of: dict[Key, int] = {}
        self._segments: dict[int, set[Key]] = {}
        self._segment_of: dict[Key, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def state(self, key: Key) -> GroupState | None:
        """The state of a group."""
        group = self._groups.get(key[0], _NO_GROUPS).get(key)
        return group.state if group else None

    def states(self) -> Iterator[tuple[Key, GroupState]]:
        """All of them, the longest unused of each correlation first."""
        for groups in self._groups.values():
            for key, group in groups.items():
                yield key, group.state

    def put(self, key: Key, state: GroupState) -> bool:
        """Take over a group from elsewhere; whether its correlation is loaded and still the same."""
        correlation = self._router.correlations.get(key[0])
        if correlation is None or state.version != correlation.state_version:
            return False
        group = Group(correlation, state)
        self._groups.setdefault(key[0], OrderedDict())[key] = group
        self._weigh(correlation, group.weight)
        self._remember(key, group)
        return True

    def leave(self) -> None:
        """Give back the memory; this correlator is not used again."""
        self._budget.used -= self._weights.total()
        self._budget.holders -= 1
        self._groups.clear()
        self._weights.clear()

    def follow(self, signals: Iterable[Signal]) -> Found:
        """Step through signals in their order."""
        found = Found()
        touched: dict[Key, _Before] = {}
        correlations, succession = self._router.correlations, self._router.succession
        for given in signals:
            signal = succession.usable(given)
            if signal is None:
                self.notes["unknown" if succession.awaits(given) else "outdated"] += 1
                continue
            name = signal.correlation
            correlation = correlations[name]
            key = (name, signal.namespace, signal.group)
            before = touched.get(key)
            if before is None:
                before = touched[key] = self._touch(key, correlation)
            alerts = step(before.group, signal)
            if alerts:
                self._tell(key, correlation, alerts, found)
        for key, before in touched.items():
            self._since(key, before)
            if not before.group.correlation.at_once:
                self._settle(key, before.group, found)
        self._make_room()
        return found

    def _touch(self, key: Key, correlation: Correlation) -> _Before:
        """The group of a key, made where there is none, and now the one used last."""
        groups = self._groups.setdefault(key[0], OrderedDict())
        known = groups.pop(key, None)
        group = groups[key] = known or new_group(correlation)
        return _Before.of(group, 0 if known is None else group.weight)

    def _since(self, key: Key, before: _Before) -> None:
        """Account for what changed in a group."""
        group, state = before.group, before.group.state
        self.changed.add(key)
        self._weigh(group.correlation, group.weight - before.weight)
        surplus = state.surplus - before.surplus
        self._note("late", key, state.late - before.late)
        self._note("repeats", key, state.repeats - before.repeats)
        self._note("surplus", key, surplus)
        self._note("cut", key, state.cut - before.cut - surplus)
        if not before.weight:
            self._remember(key, group)

    def advance(self, clock: int) -> Found:
        """Decide and forget what the clock allows; it never goes back, and may need several calls to arrive."""
        found = Found()
        if clock <= self.clock:
            return found
        if self._slew and self.clock:
            clock = min(clock, self.clock + SLEW_MS)
        self.clock = clock
        while self._dues and self._dues[0][0] <= clock:
            moment, key = heapq.heappop(self._dues)
            if self._due_of.get(key) == moment:
                del self._due_of[key]
                group = self._groups.get(key[0], _NO_GROUPS).get(key)
                if group is not None:
                    self._settle(key, group, found)
        for segment in [number for number in self._segments if (number + 1) * SEGMENT_MS <= clock]:
            for key in self._segments.pop(segment):
                self._expire(key)
        return found

    def next_due(self) -> int | None:
        """The clock at which the next group can be settled."""
        return self._dues[0][0] if self._dues else None

    def _note(self, why: str, key: Key, number: int) -> None:
        if number:
            self.notes[why] += number
            self.noted[why, key[0]] += number

    def _weigh(self, correlation: Correlation, more: int) -> None:
        self._weights[correlation.id] += more
        self._budget.used += more

    def _remember(self, key: Key, group: Group) -> None:
        """Plan when to settle and when to forget a group."""
        self._file(key, expires(group.correlation, group.state))
        if not group.correlation.at_once:
            self._schedule(key, group)

    def _settle(self, key: Key, group: Group, found: Found) -> None:
        if self.clock:
            before = _Before.of(group, group.weight)
            self._tell(key, group.correlation, settle(group, self.clock), found)
            self._since(key, before)
        self._schedule(key, group)

    def _schedule(self, key: Key, group: Group) -> None:
        wanted = due(group)
        if wanted is None:
            return
        wanted = max(wanted, self.clock + 1)
        known = self._due_of.get(key)
        if known is None or wanted < known:
            self._due_of[key] = wanted
            heapq.heappush(self._dues, (wanted, key))
        if len(self._dues) > 2 * len(self._due_of) + SPARE_DUES:  # most are of groups that were forgotten
            self._dues = [(moment, waiting) for waiting, moment in self._due_of.items()]
            heapq.heapify(self._dues)

    def _tell(self, key: Key, correlation: Correlation, alerts: Iterable[Alert], found: Found) -> None:
        for alert in alerts:
            if alert.events and not correlation.silent:
                found.tell(key, correlation, alert)
            found.chained.extend(self._router.chained(correlation, alert))

    def _make_room(self) -> None:
        """Forget groups until the budget holds: the longest unused of the correlation that holds most.

        So a correlation with a flood of groups loses its own, and never those of another.
        """
        while self._budget.exceeded_by(self._weights.total()):
            heaviest = max(self._weights, key=lambda name: self._weights[name])
            key = next(iter(self._groups[heaviest]))
            self._forget(key)
            self._note("forgotten", key, 1)

    def _expire(self, key: Key) -> None:
        """Forget a group whose time is over; one that was used since moves to a later segment."""
        group = self._groups.get(key[0], _NO_GROUPS).get(key)
        if group is None:
            return
        until = expires(group.correlation, group.state)
        if until <= self.clock:
            self._forget(key)
        else:
            self._file(key, until)

    def _file(self, key: Key, until: int) -> None:
        """Put a group into the segment in which it ends, and out of the one it was in."""
        self._unfile(key)
        segment = self._segment_of[key] = until // SEGMENT_MS
        self._segments.setdefault(segment, set()).add(key)

    def _unfile(self, key: Key) -> None:
        segment = self._segment_of.pop(key, -1)
        keys = self._segments.get(segment)
        if keys is not None:
            keys.discard(key)
            if not keys:
                del self._segments[segment]

    def _forget(self, key: Key) -> None:
        """Drop a group with all that refers to it: invented groups must not fill the memory by name."""
        group = self._groups[key[0]].pop(key)
        self._weigh(group.correlation, -group.weight)
        self._due_of.pop(key, None)
        self._unfile(key)
        self.changed.add(key)
