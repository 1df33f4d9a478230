"""Progress in one partition. Pure: no network."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Reach:
    """A body that was delivered.

    Attributes:
        sequence: Number of its last event in the partition; they are consecutive.
        offset: Where Event Hubs goes on after it.
    """

    sequence: int
    offset: str
    settled: bool = False


@dataclass(slots=True)
class Partition:
    """What was delivered of a partition, and how far it is acknowledged without a gap.

    It outlives a lost link: Event Hubs then gives again what came after the checkpoint, and what is already delivered
    is recognised by its number.

    Attributes:
        name: Id of the partition.
        last: Number of the last event delivered, at first of the checkpoint; None without either.
        reached: The event up to which all are acknowledged; what a checkpoint may say.
        saved: Number that the checkpoint says.
    """

    name: str
    last: int | None = None
    reached: Reach | None = None
    saved: int | None = None
    _pending: deque[Reach] = field(default_factory=deque)

    def missing(self, sequence: int) -> int:
        """How many events before this one were never given; 0 while nothing is known."""
        return 0 if self.last is None else max(0, sequence - self.last - 1)

    def new_runs(self, sequences: Sequence[int]) -> list[list[int]]:
        """Which of some events are to be delivered: their places, in runs of consecutive numbers.

        After a lost link the hub gives again what was not in the checkpoint; that is left out.
        """
        runs: list[list[int]] = []
        before = self.last
        for place, sequence in enumerate(sequences):
            if before is not None and sequence <= before:
                continue
            if not runs or sequence != sequences[runs[-1][-1]] + 1:
                runs.append([])
            runs[-1].append(place)
            before = sequence
        return runs

    def deliver(self, sequence: int, offset: str) -> Reach:
        """Note that a body is delivered, up to this event; what it returns is settled when the body is."""
        reach = Reach(sequence, offset)
        self.last = sequence
        self._pending.append(reach)
        return reach

    def settle(self, reach: Reach) -> None:
        """Note an acknowledgement; `reached` never passes a body without one."""
        reach.settled = True
        while self._pending and self._pending[0].settled:
            self.reached = self._pending.popleft()

    @property
    def unsaved(self) -> Reach | None:
        """What a checkpoint should say and does not yet."""
        if self.reached is None or self.reached.sequence == self.saved:
            return None
        return self.reached
