"""How far an ordered part of a source (a partition, a shard) is acknowledged. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

MarkT = TypeVar("MarkT")


@dataclass(slots=True, eq=False)
class Reach(Generic[MarkT]):
    """Up to where the part is done once every body up to this one is.

    Attributes:
        mark: What to note then, e.g. the first offset behind the body.
    """

    mark: MarkT
    settled: bool = False


class Progress(Generic[MarkT]):
    """The bodies of one part, from when it became ours until it is another's."""

    def __init__(self) -> None:
        self._pending: deque[Reach[MarkT]] = deque()

    @property
    def unsettled(self) -> int:
        """Bodies that are delivered and not settled."""
        return sum(not reach.settled for reach in self._pending)

    def deliver(self, mark: MarkT) -> Reach[MarkT]:
        """Note that a body is delivered, in the order of the part."""
        reach = Reach(mark)
        self._pending.append(reach)
        return reach

    def settle(self, reach: Reach[MarkT]) -> MarkT | None:
        """Note that a body is done; the mark that now holds, never beyond one that is not done."""
        reach.settled = True
        reached = None
        while self._pending and self._pending[0].settled:
            reached = self._pending.popleft().mark
        return reached
