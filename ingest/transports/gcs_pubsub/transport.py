"""Objects of Cloud Storage that a Pub/Sub subscription announces.

Announced: by notifications of a bucket, with or without the object's resource.
           https://cloud.google.com/storage/docs/pubsub-notifications
Delivery:  at least once. A message is acknowledged after every record of its object is in the brokers; until then its
           lease is extended, and at a stop it is given back at once.
Refused:   A message that is no notification, and one whose object is gone, too large or not permitted, is told, and
           handed back after `retry_after_s`; the subscription's dead-letter policy takes it away after its attempts.
Origin:    `bucket/name`, the generation as version, its CRC32C. Exactly the announced generation is read.
Bounded:   `fetch_ahead` objects, about 64 MiB of them, lie ready.
Order:     None.
Tests:     tests/ingest/transports/gcs_pubsub/
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from google.cloud.pubsub_v1.subscriber.message import Message

from ingest.backoff import Backoff
from ingest.schema.errors import MalformedBody, SkytrailError, SourceRefused
from ingest.transports.contract import Place
from ingest.transports.gcs_pubsub.notifications import announced
from ingest.transports.gcs_pubsub.settings import GcsPubSubSettings
from ingest.transports.google_cloud.objects import ObjectDelivery, ObjectReader, Piece
from ingest.transports.google_cloud.read_ahead import ReadAhead
from ingest.transports.google_cloud.storage import Storage
from ingest.transports.google_cloud.stream import refuse_unsafe
from ingest.transports.google_cloud.subscription import Subscription

_NAME = "gcs_pubsub"
_FEW = 10  # objects waiting to be read, below which messages are taken
_PATIENCE_S = 300.0  # with one object that can't be read now


async def open_transport(settings: GcsPubSubSettings, place: Place) -> GcsPubSub:
    """A source that connects when its deliveries are asked for.

    Raises:
        ConfigError: Unsafe settings.
    """
    return GcsPubSub(settings, place)


@dataclass(slots=True, eq=False)
class _Announced:
    """An object on its way: read to its end and settled piece by piece, in any order.

    Attributes:
        lost: The message can't be settled any more and comes again.
    """

    message: Message
    reader: ObjectReader
    unsettled: int = 0
    read: bool = False
    failed: bool = False
    lost: bool = False


class GcsPubSub:
    """See the module.

    Args:
        backoff: Waiting for an object that can't be read now.

    Raises:
        ConfigError: Unsafe settings.
    """

    def __init__(self, settings: GcsPubSubSettings, place: Place, backoff: Backoff | None = None) -> None:
        refuse_unsafe(settings)
        self._settings = settings
        self._place = place
        self._backoff = replace(backoff or Backoff(), give_up_after_s=_PATIENCE_S)
        self._storage = Storage(settings.credentials_file, settings.storage_endpoint, threads=settings.fetch_ahead + 1)
        self._subscription = Subscription(settings, surrender=self._surrender, warn=place.warn)
        self._ahead: ReadAhead[_Announced] = ReadAhead(settings.fetch_ahead, self._next, self._on_ready)
        self._held: set[_Announced] = set()
        self._resting: dict[Message, asyncio.TimerHandle] = {}
        self._again: deque[ObjectDelivery] = deque()
        self._pulling: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._closing = False

    async def deliveries(self) -> AsyncIterator[ObjectDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        self._pulling = asyncio.create_task(self._pull())
        self._pulling.add_done_callback(lambda _task: self._changed.set())
        while not self._closing:
            self._changed.clear()
            await self._take_messages()
            if self._again:
                yield self._again.popleft()
            elif self._ahead.ready:
                async for delivery in self._bodies():
                    yield delivery
            elif self._pulling.done():
                self._pulling.result()
                return
            else:
                await self._changed.wait()

    async def close(self) -> None:
        """See `Transport.close`: what is not acknowledged is the subscription's again, at once."""
        self._closing = True
        self._changed.set()
        self._room.set()
        await self._subscription.close()
        await self._ahead.end()
        if self._pulling is not None:
            await asyncio.wait({self._pulling})
        await self._storage.close()

    async def _pull(self) -> None:
        """Wait for messages; they are taken where there is room for their objects."""
        while not self._closing:
            await self._subscription.fill()
            if self._subscription.arrived:
                self._room.clear()
                self._changed.set()
                await self._room.wait()

    async def _take_messages(self) -> None:
        while self._subscription.arrived and len(self._ahead) < _FEW:
            await self._note(self._subscription.take())
        if not self._subscription.arrived:
            self._room.set()

    async def _note(self, message: Message) -> None:
        where = f"{self._settings.path}/{message.message_id}"
        try:
            ref = announced(message.attributes, message.data)
        except MalformedBody as exc:
            self._place.warn(MalformedBody(exc.what, where=where, mend=exc.mend))
            self._rest(message)
            return
        if ref is None or not ref.name.startswith(self._settings.prefix):
            await self._subscription.acknowledge([message], where)
            return
        reader = ObjectReader(self._storage, ref, transport=_NAME, limit=self._place.max_body_bytes)
        one = _Announced(message, reader)
        self._held.add(one)
        self._ahead.add(one)

    async def _next(self, one: _Announced) -> Piece | None:
        return await self._backoff.forever(one.reader.next)

    async def _bodies(self) -> AsyncIterator[ObjectDelivery]:
        """The bodies of the object that waits first."""
        async with contextlib.aclosing(self._ahead.pieces()) as pieces:
            async for one, piece in pieces:
                if self._closing or one.lost:
                    return
                if isinstance(piece, SkytrailError):
                    self._fail(one, piece)
                if isinstance(piece, Piece):
                    one.read = piece.last  # known now: nobody may ever ask for what follows the last piece
                    yield self._delivery_of(one, piece)
                else:
                    one.read = True
                    await self._settle(one)

    def _delivery_of(self, one: _Announced, piece: Piece) -> ObjectDelivery:
        one.unsettled += 1

        async def settled(given_up: str) -> None:
            one.unsettled -= 1
            if given_up:
                self._fail(one, SourceRefused(f"collecting body: given up: {given_up}", where=one.reader.ref.locator))
            await self._settle(one)

        return ObjectDelivery(piece, self._place.clock(), settled, self._return)

    def _fail(self, one: _Announced, error: SkytrailError) -> None:
        one.failed = True
        attempt = one.message.delivery_attempt
        nth = f" (attempt {attempt} of its message)" if attempt else ""
        self._place.warn(type(error)(f"{error.what}{nth}", where=error.where, mend=error.mend))

    async def _settle(self, one: _Announced) -> None:
        """An object that is read and settled to its end decides about its message."""
        if not one.read or one.unsettled or one.lost or one not in self._held:
            return
        self._held.discard(one)
        if one.failed:
            self._rest(one.message)
        else:
            await self._subscription.acknowledge([one.message], one.reader.ref.locator)

    def _rest(self, message: Message) -> None:
        """Keep a message for a while before it is handed back: the service may deliver it again at once."""

        def over() -> None:
            del self._resting[message]
            self._subscription.give_back([message])

        loop = asyncio.get_running_loop()
        self._resting[message] = loop.call_later(self._settings.retry_after_s, over)

    def _surrender(self) -> list[Message]:
        held = [*(one.message for one in self._held), *self._resting]
        for one in self._held:
            one.lost = True
        for timer in self._resting.values():
            timer.cancel()
        self._held.clear()
        self._resting.clear()
        return held

    def _return(self, delivery: ObjectDelivery) -> None:
        self._again.append(delivery)
        self._on_ready()

    def _on_ready(self) -> None:
        self._changed.set()
