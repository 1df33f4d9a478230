"""The groups of many correlations in memory: bounded, each correlation on its own, forgotten segment by segment."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from detectors.correlation.alerts import detections_of
from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import Alert, GroupState, Signal
from detectors.correlation.step import due, expires, settle, step
from detectors.detection import Detection

MAX_GROUPS = 100_000  # of one correlation
SEGMENT_MS = 3600 * 1000
SLEW_MS = 5 * 60 * 1000
"""The clock goes this far at once at most, where correlations build upon settled ones: their signals are on the way."""
Key = tuple[str, str, str]
"""Correlation, namespace, group."""


@dataclass(slots=True)
class Found:
    """What some signals led to.

    Attributes:
        chained: Signals for correlations that build upon others.
    """

    detections: list[Detection] = field(default_factory=list)
    chained: list[Signal] = field(default_factory=list)


class Correlator:
    """Steps of every group; the owner makes `changed` durable.

    Attributes:
        clock: Event time that everything is settled by; 0 while unknown.
        changed: Groups whose state changed, or was forgotten, since the owner last looked.
        notes: Counts of what was left out: `late`, `cut` (beyond the limit of a group), `forgotten` (groups beyond
            their number), `unknown` (signals for correlations that are not loaded).
    """

    def __init__(self, router: Router, *, max_groups: int = MAX_GROUPS) -> None:
        """Start empty."""
        self.clock = 0
        self.changed: set[Key] = set()
        self.notes: Counter[str] = Counter()
        self._router = router
        self._max_groups = max_groups
        loaded = router.correlations
        self._slew = any(not loaded[n].at_once for one in loaded.values() for n in one.chained if n in loaded)
        self._states: dict[Key, GroupState] = {}
        self._recent: dict[str, dict[Key, None]] = {}
        self._dues: list[tuple[int, Key]] = []
        self._due_of: dict[Key, int] = {}
        self._segments: dict[int, set[Key]] = {}

    def __len__(self) -> int:
        return len(self._states)

    def state(self, key: Key) -> GroupState | None:
        """The state of a group."""
        return self._states.get(key)

    def put(self, key: Key, state: GroupState) -> bool:
        """Take over a group from elsewhere; whether its correlation is loaded and still the same."""
        correlation = self._router.correlations.get(key[0])
        if correlation is None or state.version != correlation.state_version:
            return False
        self._keep(key, correlation, state)
        return True

    def follow(self, signals: Iterable[Signal]) -> Found:
        """Step through signals in their order."""
        found = Found()
        touched: dict[Key, Correlation] = {}
        for signal in signals:
            correlation = self._router.correlations.get(signal.correlation)
            if correlation is None or signal.rule not in correlation.rules:
                self.notes["unknown"] += 1
                continue
            key = (signal.correlation, signal.namespace, signal.group)
            known = self._states.get(key)
            state, alerts = step(correlation, known, signal)
            if state is not known:
                self._change(key, correlation, known, state)
                if not correlation.at_once:
                    touched[key] = correlation
            self._tell(correlation, alerts, found)
        for key, correlation in touched.items():
            self._settle(key, correlation, found)
        return found

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
                self._settle(key, self._router.correlations[key[0]], found)
        for segment in [number for number in self._segments if (number + 1) * SEGMENT_MS <= clock]:
            for key in self._segments.pop(segment):
                self._expire(key)
        return found

    def next_due(self) -> int | None:
        """The clock at which the next group can be settled."""
        return self._dues[0][0] if self._dues else None

    def _settle(self, key: Key, correlation: Correlation, found: Found) -> None:
        known = self._states.get(key)
        if known is None:
            return
        state = known
        if self.clock:
            state, alerts = settle(correlation, known, self.clock)
            if state is not known:
                self._change(key, correlation, known, state)
            self._tell(correlation, alerts, found)
        self._schedule(key, correlation, state)

    def _schedule(self, key: Key, correlation: Correlation, state: GroupState) -> None:
        wanted = due(correlation, state)
        if wanted is None:
            return
        wanted = max(wanted, self.clock + 1)
        known = self._due_of.get(key)
        if known is None or wanted < known:
            self._due_of[key] = wanted
            heapq.heappush(self._dues, (wanted, key))

    def _tell(self, correlation: Correlation, alerts: Iterable[Alert], found: Found) -> None:
        for alert in alerts:
            if not correlation.silent:
                found.detections.extend(detections_of(correlation, alert))
            found.chained.extend(self._router.chained(correlation, alert))

    def _change(self, key: Key, correlation: Correlation, known: GroupState | None, state: GroupState) -> None:
        for name in ("late", "cut"):
            more = getattr(state, name) - (getattr(known, name) if known else 0)
            if more:
                self.notes[name] += more
        self.changed.add(key)
        self._keep(key, correlation, state)

    def _keep(self, key: Key, correlation: Correlation, state: GroupState) -> None:
        is_new = key not in self._states
        self._states[key] = state
        recent = self._recent.setdefault(key[0], {})
        recent.pop(key, None)
        recent[key] = None
        if is_new:
            self._segments.setdefault(expires(correlation, state) // SEGMENT_MS, set()).add(key)
            if not correlation.at_once:
                self._schedule(key, correlation, state)
            if len(recent) > self._max_groups:
                self._forget(next(iter(recent)))
                self.notes["forgotten"] += 1

    def _expire(self, key: Key) -> None:
        """Forget a group whose time is over; one that was used since moves to a later segment."""
        state = self._states.get(key)
        if state is None:
            return
        until = expires(self._router.correlations[key[0]], state)
        if until <= self.clock:
            self._forget(key)
        else:
            self._segments.setdefault(until // SEGMENT_MS, set()).add(key)

    def _forget(self, key: Key) -> None:
        del self._states[key]
        self._due_of.pop(key, None)
        self._recent[key[0]].pop(key, None)
        self.changed.add(key)


class Alone:
    """A correlator without a clock of its own: event times are the clock. For files, tests and back-tests."""

    def __init__(self, router: Router) -> None:
        """Start empty."""
        self._correlator = Correlator(router)
        self._router = router
        self._newest = 0

    def follow(self, signals: Iterable[Signal]) -> list[Detection]:
        """The detections some signals lead to, those of correlations upon correlations included."""
        found: list[Detection] = []
        for signal in signals:
            found.extend(self._until(signal.at))
            found.extend(self._through(self._correlator.follow([signal])))
        return found

    def finish(self) -> list[Detection]:
        """No more signals will come: decide everything."""
        spans = [one.delay_ms + one.timespan_ms for one in self._router.correlations.values()]
        return list(self._until(self._newest + sum(spans) + SEGMENT_MS))

    def _until(self, at: int) -> Iterator[Detection]:
        """Let the time pass, one settlement after the other, so that those above get the signals of those below."""
        self._newest = max(self._newest, at)
        while self._correlator.clock < self._newest:
            due = self._correlator.next_due()
            step = self._newest if due is None else max(self._correlator.clock + 1, min(due, self._newest))
            yield from self._through(self._correlator.advance(step))

    def _through(self, found: Found) -> Iterator[Detection]:
        yield from found.detections
        while found.chained:
            found = self._correlator.follow(found.chained)
            yield from found.detections
