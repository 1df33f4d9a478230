"""What a worker knows of its own progress; read by the watchdog and the health endpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """Beats of one worker, in seconds of the monotonic clock.

    Attributes:
        lag: Messages not yet done per (topic, partition), as last seen.
        waiting_for: Why the worker waits, in words; empty while it works.
        failed: Why background work ended, in words; the worker is ending then, and the batch comes again.
        retired: The worker has ended by itself; nobody is to watch it any more.
    """

    clock: Callable[[], float] = time.monotonic
    started: float = 0.0
    loop_beat: float = 0.0
    done_beat: float = 0.0
    wait_beat: float = 0.0
    waiting_for: str = ""
    failed: str = ""
    failed_at: float = 0.0
    retired: bool = False
    assigned: bool = False
    lag: Mapping[tuple[str, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started = self.loop_beat = self.done_beat = self.clock()

    def done(self) -> None:
        """A batch is finished and acknowledged."""
        self.done_beat = self.clock()
        self.waiting_for = ""

    def waiting(self, reason: str) -> None:
        """Something outside keeps us from finishing; restarting us would not help."""
        self.wait_beat = self.clock()
        self.waiting_for = reason

    def fail(self, reason: str) -> None:
        """Background work ended for good; the first reason counts."""
        if not self.failed:
            self.failed, self.failed_at = reason, self.clock()

    def looped(self, lag: Mapping[tuple[str, int], int], *, assigned: bool) -> None:
        """The event loop runs, and this is the lag."""
        self.loop_beat = self.clock()
        self.lag = lag
        self.assigned = assigned
        if not any(lag.values()):
            self.done_beat = self.loop_beat

    def stuck(self, limit_s: float) -> str:
        """Why this worker should end, in words; empty while all is well.

        It should end when its event loop stands still, or when it has lag, finishes nothing and gives no reason.
        """
        now = self.clock()
        if self.retired:
            return ""
        if self.failed and now - self.failed_at > limit_s:
            return f"{self.failed}, and the worker has not ended for {now - self.failed_at:.0f} s"
        if now - self.loop_beat > limit_s:
            return f"the event loop has not run for {now - self.loop_beat:.0f} s"
        last = max(self.done_beat, self.wait_beat, self.started)
        if any(self.lag.values()) and now - last > limit_s:
            return f"lag of {sum(self.lag.values())} messages and nothing finished for {now - last:.0f} s"
        return ""
