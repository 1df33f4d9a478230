"""Progress in one partition, and the deliveries of its events. Pure: no network."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ingest.schema.envelope import Origin


@dataclass(slots=True)
class Reach:
    """One event that was delivered.

    Attributes:
        sequence: Its number in the partition; they are consecutive.
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

    def is_new(self, sequence: int) -> bool:
        """Whether an event was not delivered yet."""
        return self.last is None or sequence > self.last

    def deliver(self, sequence: int, offset: str) -> Reach:
        """Note that an event is delivered; what it returns is settled when the event is."""
        reach = Reach(sequence, offset)
        self.last = sequence
        self._pending.append(reach)
        return reach

    def settle(self, reach: Reach) -> None:
        """Note an acknowledgement; `reached` never passes an event without one."""
        reach.settled = True
        while self._pending and self._pending[0].settled:
            self.reached = self._pending.popleft()

    @property
    def unsaved(self) -> Reach | None:
        """What a checkpoint should say and does not yet."""
        if self.reached is None or self.reached.sequence == self.saved:
            return None
        return self.reached


class EventDelivery:
    """One event."""

    source = ""

    def __init__(
        self,
        origin: Origin,
        body: bytes,
        received_at: dt.datetime,
        *,
        on_settled: Callable[[EventDelivery], None],
        on_returned: Callable[[EventDelivery], None],
        on_given_up: Callable[[EventDelivery, str], None],
    ) -> None:
        self.origin = origin
        self.body = body
        self.received_at = received_at
        self._on_settled = on_settled
        self._on_returned = on_returned
        self._on_given_up = on_given_up
        self._settled = False

    async def acknowledge(self) -> None:
        """See `Delivery.acknowledge`."""
        if not self._settled:
            self._settled = True
            self._on_settled(self)

    async def reject(self, reason: str, *, retry: bool) -> None:
        """See `Delivery.reject`."""
        if self._settled:
            return
        if retry:
            self._on_returned(self)
            return
        self._settled = True
        self._on_given_up(self, reason)
        self._on_settled(self)
