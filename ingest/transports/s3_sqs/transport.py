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
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from ingest.schema.errors import MalformedBody, SkytrailError
from ingest.transports.aws.bodies import ObjectBodies
from ingest.transports.aws.calls import AwsCalls
from ingest.transports.aws.objects import ObjectReader, ObjectRef, overwritten
from ingest.transports.aws.patience import Patience
from ingest.transports.contract import Place
from ingest.transports.messages.delivery import MessageDelivery
from ingest.transports.s3_sqs.notifications import announced
from ingest.transports.s3_sqs.queue import Message, Queue
from ingest.transports.s3_sqs.settings import S3SqsSettings

T = TypeVar("T")

_NAME = "s3_sqs"
_FEW = 10  # objects waiting to be fetched, below which messages are asked for


async def open_transport(settings: S3SqsSettings, place: Place, patience: Patience | None = None) -> S3Sqs:
    """Open the queue.

    Raises:
        SourceUnavailable: AWS does not answer.
        SourceRefused: There is no such queue, or we may not read it.
    """
    settings = settings.located
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
        self._changed = asyncio.Event()
        self._bodies: ObjectBodies[_Announcement] = ObjectBodies(
            place, patience, most=settings.fetch_ahead, on_change=self._changed.set, on_done=self._settle
        )
        self._closing = False

    async def deliveries(self) -> AsyncIterator[MessageDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        while not self._closing:
            self._changed.clear()
            self._take_messages()
            if again := self._bodies.handed_back():
                yield again
            elif bodies := self._bodies.next_object():
                async for delivery in bodies:
                    yield delivery
            else:
                await self._changed.wait()

    async def close(self) -> None:
        """See `Transport.close`: what is not acknowledged is visible in the queue again."""
        self._closing = True
        self._changed.set()
        await self._bodies.close()
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
        if self._poll is None and self._bodies.later < _FEW:
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
        for ref in refs:
            self._bodies.add(self._reader(ref), announcement)

    def _reader(self, ref: ObjectRef) -> ObjectReader:
        return ObjectReader(self._calls, ref, transport=_NAME, limit=self._place.max_body_bytes)

    def _settle(self, of: _Announcement, reader: ObjectReader, error: SkytrailError | None) -> None:
        """Note that an object is done; the last one of a message decides about the message."""
        if lost := overwritten(reader):
            self._place.warn(lost)
        if error is not None:
            of.failed = True
            self._place.warn(type(error)(f"{error.what} ({_nth(of.message)})", where=error.where, mend=error.mend))
        of.waiting -= 1
        if of.waiting:
            return
        if of.failed:
            self._queue.give_back(of.message, self._settings.retry_after_s)
        else:
            self._queue.done(of.message)

    def _started(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _task: self._changed.set())
        return task


def _nth(message: Message) -> str:
    return f"message received {message.receptions} times" if message.receptions > 1 else "message received once"
