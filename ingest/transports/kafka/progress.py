"""How far a partition is acknowledged. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class Reach:
    """Up to where a partition is done once every body up to this one is.

    Attributes:
        next_offset: The first offset behind the body.
    """

    next_offset: int
    settled: bool = False


class PartitionProgress:
    """The bodies of one partition, from its assignment to its revocation."""

    def __init__(self) -> None:
        self._pending: deque[Reach] = deque()

    @property
    def unsettled(self) -> int:
        """Bodies that are delivered and not settled."""
        return sum(not reach.settled for reach in self._pending)

    def deliver(self, next_offset: int) -> Reach:
        """Note that a body is delivered, in the order of the partition."""
        reach = Reach(next_offset)
        self._pending.append(reach)
        return reach

    def settle(self, reach: Reach) -> int | None:
        """Note that a body is done; the offset that may now be committed, never beyond one that is not done."""
        reach.settled = True
        reached = None
        while self._pending and self._pending[0].settled:
            reached = self._pending.popleft().next_offset
        return reached
