"""How far this worker has evaluated its raw partitions, in event time; correlations that settle by time need it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from detectors.correlation.wire import Clock

IDLE_S = 30.0
"""A partition is at the present when it had no lag for so long; a lag is not known right after an assignment."""


class EventClock:
    """Latest event times per raw partition."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self._newest: dict[tuple[str, int], int] = {}
        self._idle_since: dict[tuple[str, int], float] = {}

    def forget(self) -> None:
        """After a rebalance."""
        self._newest.clear()
        self._idle_since.clear()

    def saw(self, topic: str, partition: int, at: dt.datetime) -> None:
        """An event of this time was evaluated, and its signals are with the brokers."""
        key = (topic, partition)
        self._newest[key] = max(self._newest.get(key, 0), int(at.timestamp() * 1000))

    def tick(self, lag: Mapping[tuple[str, int], int], now: dt.datetime, monotonic: float) -> Clock:
        """What to tell the correlations.

        Args:
            lag: Messages not yet evaluated, per assigned raw partition.
            now: Wall clock: where nothing waits, all events until now were seen, up to the lateness of the source.
            monotonic: Seconds, to measure how long nothing waited.
        """
        sent = int(now.timestamp() * 1000)
        sources = {}
        for key, waiting in lag.items():
            if waiting:
                self._idle_since.pop(key, None)
            idle = not waiting and monotonic - self._idle_since.setdefault(key, monotonic) >= IDLE_S
            newest = min(self._newest.get(key, 0), sent)
            sources[f"{key[0]}/{key[1]}"] = sent if idle else newest
        return Clock(sources, sent)
