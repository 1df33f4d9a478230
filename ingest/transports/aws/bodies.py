"""Objects that become bodies one after the other; the first pieces of the next few are fetched meanwhile."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ingest.schema.errors import SkytrailError, SourceRefused
from ingest.transports.aws.objects import ObjectReader, Piece
from ingest.transports.aws.patience import Patience
from ingest.transports.contract import Place
from ingest.transports.messages.delivery import MessageDelivery

OfT = TypeVar("OfT")

_MOST_BYTES = 64 * 1024 * 1024
_UNKNOWN_BYTES = 8 * 1024 * 1024  # of an object whose size nobody told
_PATIENCE_S = 300.0  # with one object that S3 can't give now

Done = Callable[[OfT, ObjectReader, SkytrailError | None], None]


@dataclass(slots=True, eq=False)
class _Object(Generic[OfT]):
    """An object on its way: read to its end, and settled piece by piece in any order.

    Attributes:
        first: Its first piece, once it is fetched.
        error: Why it could not be read, or was given up: the first reason.
    """

    reader: ObjectReader
    of: OfT
    first: asyncio.Task[Piece | None] | None = field(default=None, repr=False)
    unsettled: int = 0
    read: bool = False
    settled: bool = False
    error: SkytrailError | None = None


class ObjectBodies(Generic[OfT]):
    """The objects to come, in their order.

    Args:
        most: Objects fetched at once; beside that about 64 MiB, and at least one.
        on_change: Called when `handed_back` or `next_object` may have something.
        on_done: Called once for each object that is read to its end and settled, with what it belongs to, its reader,
            and what went wrong. Not called for one that a close interrupts.
    """

    def __init__(
        self, place: Place, patience: Patience, *, most: int, on_change: Callable[[], None], on_done: Done[OfT]
    ) -> None:
        self._place = place
        self._patience = patience
        self._most = most
        self._on_change = on_change
        self._on_done = on_done
        self._later: deque[_Object[OfT]] = deque()
        self._fetching: deque[_Object[OfT]] = deque()
        self._again: deque[MessageDelivery] = deque()
        self._closing = False

    @property
    def later(self) -> int:
        """Objects of which nothing is fetched yet."""
        return len(self._later)

    def add(self, reader: ObjectReader, of: OfT) -> None:
        """Let an object wait for its turn, as the last one."""
        self._later.append(_Object(reader, of))

    def handed_back(self) -> MessageDelivery | None:
        """A body that is wanted again, if there is one."""
        return self._again.popleft() if self._again else None

    def next_object(self) -> AsyncIterator[MessageDelivery] | None:
        """The bodies of the next object, perhaps none; None while its first piece is being fetched."""
        self._fetch_ahead()
        if self._fetching and (first := self._fetching[0].first) and first.done():
            return self._bodies_of(self._fetching.popleft(), first)
        return None

    async def close(self) -> None:
        """Fetch no more."""
        self._closing = True
        reading = [one.first for one in self._fetching if one.first]
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    def _fetch_ahead(self) -> None:
        while self._later and len(self._fetching) < self._most:
            held = sum(map(_weight, self._fetching))
            if self._fetching and held + _weight(self._later[0]) > _MOST_BYTES:
                return
            one = self._later.popleft()
            one.first = asyncio.create_task(self._fetch(one.reader))
            one.first.add_done_callback(lambda _task: self._on_change())
            self._fetching.append(one)

    async def _fetch(self, reader: ObjectReader) -> Piece | None:
        return await self._patience.within(_PATIENCE_S, reader.next)

    async def _bodies_of(self, one: _Object[OfT], first: asyncio.Task[Piece | None]) -> AsyncIterator[MessageDelivery]:
        try:
            piece = await first
            while piece and not self._closing:
                one.unsettled += 1
                one.read = one.reader.ended  # known now: nobody may ever ask for what follows the last piece
                yield self._delivery_of(piece, one)
                piece = await self._fetch(one.reader)
            one.read = piece is None  # else the transport closes: the object is the source's again, as a whole
        except SkytrailError as exc:
            one.error = one.error or exc
            one.read = True
        self._settle(one)

    def _delivery_of(self, piece: Piece, one: _Object[OfT]) -> MessageDelivery:
        def settled() -> None:
            one.unsettled -= 1
            self._settle(one)

        def returned(delivery: MessageDelivery) -> None:
            self._again.append(delivery)
            self._on_change()

        def given_up(reason: str) -> None:
            refused = SourceRefused(f"collecting body: given up: {reason}", where=piece.origin.locator)
            one.error = one.error or refused
            settled()

        return MessageDelivery(
            piece.origin,
            piece.body,
            self._place.clock(),
            on_settled=settled,
            on_returned=returned,
            on_given_up=given_up,
        )

    def _settle(self, one: _Object[OfT]) -> None:
        if one.read and not one.unsettled and not one.settled:
            one.settled = True
            self._on_done(one.of, one.reader, one.error)


def _weight(one: _Object[OfT]) -> int:
    size = one.reader.ref.size
    return _UNKNOWN_BYTES if size is None else size
