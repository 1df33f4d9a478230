"""Objects of S3 that an SQS queue announces.

Announced: by S3 itself, through SNS (wrapped or raw), through EventBridge, or by CloudTrail's own topic.
          https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html
Delivery: at least once. A message is deleted only after every record of every object that it announces is in the
          brokers; until then it is kept hidden, at a stop it is made visible again at once.
Refused:  A message that is no notification, and one with an object that is missing, too large or not permitted, is told
          and not deleted: after `retry_after_s` it is received again, and the queue's redrive policy moves it to the
          dead-letter queue. Its other objects are delivered.
Bounded:  `fetch_ahead` objects, about 64 MiB of them, lie ready; messages are asked for only when few are left.
Order:    Objects come in the order of their messages. A FIFO queue holds a group back while one of its messages is in
          work.
Tests:    tests/ingest/transports/s3_sqs/, on moto
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ingest.schema.errors import MalformedBody, SkytrailError, SourceRefused
from ingest.transports.aws.calls import AwsCalls
from ingest.transports.aws.objects import ObjectReader, ObjectRef, Piece
from ingest.transports.aws.patience import Patience
from ingest.transports.contract import Place
from ingest.transports.s3_sqs.notifications import announced
from ingest.transports.s3_sqs.queue import Message, Queue
from ingest.transports.s3_sqs.settings import S3SqsSettings

T = TypeVar("T")

_NAME = "s3_sqs"
_AHEAD_BYTES = 64 * 1024 * 1024
_UNKNOWN_BYTES = 8 * 1024 * 1024  # of an object whose size the notification does not tell
_FEW = 10  # objects waiting to be fetched, below which messages are asked for
_PATIENCE_S = 300.0  # with one object that S3 can't give now
_REGION = re.compile(r"https://(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com")


async def open_transport(settings: S3SqsSettings, place: Place, patience: Patience | None = None) -> S3Sqs:
    """Open the queue.

    Raises:
        SourceUnavailable: AWS does not answer.
        SourceRefused: There is no such queue, or we may not read it.
    """
    found = _REGION.match(settings.queue_url)
    if found and not settings.region:
        settings = settings.model_copy(update={"region": found[1] or found[2]})
    calls = AwsCalls(settings, threads=settings.fetch_ahead + 2)
    queue = Queue(calls, settings, place.warn)
    try:
        await queue.open()
    except SkytrailError:
        await calls.close()
        raise
    return S3Sqs(settings, place, calls, queue, patience or Patience(place.warn))


@dataclass(slots=True, eq=False)
class _Announcement:
    """A message and what became of its objects."""

    message: Message
    waiting: int
    failed: bool = False


@dataclass(slots=True, eq=False)
class _Object:
    """An object on its way: read to its end and settled piece by piece, in any order."""

    of: _Announcement
    reader: ObjectReader
    unsettled: int = 0
    read: bool = False
    settled: bool = False
    first: asyncio.Task[Piece | None] | None = field(default=None, repr=False)

    @property
    def weight(self) -> int:
        size = self.reader.ref.size
        return _UNKNOWN_BYTES if size is None else size


class S3Sqs:
    """See the module."""

    def __init__(
        self, settings: S3SqsSettings, place: Place, calls: AwsCalls, queue: Queue, patience: Patience
    ) -> None:
        self._settings = settings
        self._place = place
        self._calls = calls
        self._queue = queue
        self._patience = patience
        self._poll: asyncio.Task[list[Message]] | None = None
        self._to_fetch: deque[_Object] = deque()
        self._fetching: deque[_Object] = deque()
        self._again: deque[ObjectDelivery] = deque()
        self._changed = asyncio.Event()
        self._closing = False

    async def deliveries(self) -> AsyncIterator[ObjectDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        while not self._closing:
            self._changed.clear()
            self._take_messages()
            self._fetch_ahead()
            if self._again:
                yield self._again.popleft()
            elif self._fetching and (first := self._fetching[0].first) and first.done():
                async for delivery in self._pieces(self._fetching.popleft()):
                    yield delivery
            else:
                await self._changed.wait()

    async def close(self) -> None:
        """See `Transport.close`: what is not acknowledged is visible in the queue again."""
        self._closing = True
        self._changed.set()
        reading = [one.first for one in self._fetching if one.first]
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        if self._poll:
            # Messages that it still brings would be hidden for visibility_s: better wait wait_s and return them.
            await asyncio.wait({self._poll}, timeout=self._settings.wait_s + 1)
            self._poll.cancel()
            await asyncio.gather(self._poll, return_exceptions=True)
        await self._queue.close()
        await self._calls.close()

    def _take_messages(self) -> None:
        """Ask for messages when few objects are left, and note what the last question brought."""
        if self._poll and self._poll.done():
            for message in self._poll.result():
                self._note(message)
            self._poll = None
        if self._poll is None and len(self._to_fetch) < _FEW and not self._again:
            self._poll = self._started(self._patience.forever(self._queue.receive))

    def _note(self, message: Message) -> None:
        try:
            refs = announced(message.body)
        except MalformedBody as exc:
            where = f"{self._settings.queue_url} message {message.id}"
            self._place.warn(MalformedBody(f"{exc.what} ({_nth(message)})", where=where, mend=exc.mend))
            self._queue.give_back(message, self._settings.retry_after_s)
            return
        if not refs:
            self._queue.done(message)
        announcement = _Announcement(message, len(refs))
        self._to_fetch.extend(_Object(announcement, self._reader(ref)) for ref in refs)

    def _reader(self, ref: ObjectRef) -> ObjectReader:
        return ObjectReader(self._calls, ref, transport=_NAME, limit=self._place.max_body_bytes)

    def _fetch_ahead(self) -> None:
        while self._to_fetch and len(self._fetching) < self._settings.fetch_ahead:
            held = sum(one.weight for one in self._fetching)
            if self._fetching and held + self._to_fetch[0].weight > _AHEAD_BYTES:
                return
            one = self._to_fetch.popleft()
            one.first = self._started(self._next(one))
            self._fetching.append(one)

    async def _next(self, one: _Object) -> Piece | None:
        return await self._patience.within(_PATIENCE_S, one.reader.next)

    async def _pieces(self, one: _Object) -> AsyncIterator[ObjectDelivery]:
        """The bodies of an object; its end settles it when all of them are."""
        assert one.first is not None
        try:
            piece = await one.first
            self._compare(one.reader)
            while piece and not self._closing:
                one.unsettled += 1
                one.read = one.reader.ended  # known now: nobody may ever ask for what follows the last piece
                yield ObjectDelivery(piece, self._place.clock(), self._settle_with(one), self._return)
                piece = await self._next(one)
            one.read = piece is None  # else the transport closes: the message is given back as a whole
        except SkytrailError as exc:
            self._fail(one, exc)
            one.read = True
        self._settle(one)

    def _compare(self, reader: ObjectReader) -> None:
        """Without versions only the latest content of a key can be read."""
        ref = reader.ref
        if ref.etag and reader.etag and not ref.version and ref.etag != reader.etag:
            what = "reading object: it was overwritten before it was read, its first content is lost"
            mend = f"switch versioning of the bucket on (announced was {ref.etag}, read {reader.etag})"
            self._place.warn(SourceRefused(what, where=ref.locator, mend=mend))

    def _settle_with(self, one: _Object) -> Callable[[str], None]:
        def settled(given_up: str) -> None:
            one.unsettled -= 1
            if given_up:
                self._fail(one, SourceRefused(f"collecting body: given up: {given_up}", where=one.reader.ref.locator))
            self._settle(one)

        return settled

    def _fail(self, one: _Object, error: SkytrailError) -> None:
        one.of.failed = True
        told = type(error)(f"{error.what} ({_nth(one.of.message)})", where=error.where, mend=error.mend)
        self._place.warn(told)

    def _settle(self, one: _Object) -> None:
        """Note that an object is done; the last one of a message decides about the message."""
        if not one.read or one.unsettled or one.settled:
            return
        one.settled = True
        one.of.waiting -= 1
        if one.of.waiting:
            return
        if one.of.failed:
            self._queue.give_back(one.of.message, self._settings.retry_after_s)
        else:
            self._queue.done(one.of.message)

    def _return(self, delivery: ObjectDelivery) -> None:
        self._again.append(delivery)
        self._changed.set()

    def _started(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _task: self._changed.set())
        return task


class ObjectDelivery:
    """A body of an object.

    Args:
        on_settled: Called once, with the reason when it was given up.
        on_returned: Called with the delivery when it is handed back.
    """

    source = ""

    def __init__(
        self,
        piece: Piece,
        received_at: dt.datetime,
        on_settled: Callable[[str], None],
        on_returned: Callable[[ObjectDelivery], None],
    ) -> None:
        self.origin = piece.origin
        self.body = piece.body
        self.received_at = received_at
        self._on_settled = on_settled
        self._on_returned = on_returned
        self._settled = False

    async def acknowledge(self) -> None:
        """See `Delivery.acknowledge`."""
        self._settle("")

    async def reject(self, reason: str, *, retry: bool) -> None:
        """See `Delivery.reject`."""
        if not retry:
            self._settle(reason)
        elif not self._settled:
            self._on_returned(self)

    def _settle(self, given_up: str) -> None:
        if not self._settled:
            self._settled = True
            self._on_settled(given_up)


def _nth(message: Message) -> str:
    return f"message received {message.receptions} times" if message.receptions > 1 else "message received once"
