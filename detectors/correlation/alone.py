"""Correlations without Kafka: for files, tests and back-tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from detectors.correlation.correlator import SEGMENT_MS, Correlator, Found
from detectors.correlation.signals import Router
from detectors.correlation.state import Signal
from detectors.detection import Detection


class Alone:
    """A correlator without a clock of its own: event times are the clock."""

    def __init__(self, router: Router) -> None:
        """Start empty."""
        self._correlator = Correlator(router)
        self._router = router
        self._newest = 0

    @property
    def notes(self) -> Counter[str]:
        """Counts of what was left out, as `Correlator.notes`."""
        return self._correlator.notes

    @property
    def noted(self) -> Counter[tuple[str, str]]:
        """The same by correlation, as `Correlator.noted`."""
        return self._correlator.noted

    def follow(self, signals: Iterable[Signal]) -> list[Detection]:
        """The detections some signals lead to, those of correlations upon correlations included."""
        found: list[Detection] = []
        for signal in signals:
            found.extend(self._until(min(signal.at, signal.seen)))
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
