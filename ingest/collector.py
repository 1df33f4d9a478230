"""One collector: transport → inflate → split → envelopes → publisher → acknowledge.

The order is the promise: the source is told to forget a body only after the brokers have every record of it, and every
refused byte as a dead letter. A crash anywhere before repeats the body; the records' ids make the repeat a duplicate.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from ingest.backoff import Backoff
from ingest.formats.contract import Format
from ingest.formats.recognition import AUTO
from ingest.publisher import Publisher
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.envelope import MAX_RECORD_BYTES, Context, Envelope, Header, pack
from ingest.schema.errors import OversizedRecord, RejectedRecord, TransientError, UnrecognisedRecord
from ingest.transports.contract import Delivery, Transport
from ingest.unpacking import Contexts, Repeats, Run, Unpacked, unpack

_STEP_BYTES = 8 * 1024 * 1024  # records published and awaited at once
_INLINE_BYTES = MAX_RECORD_BYTES  # a larger refused body lies in the archive, its letter points there
_THREAD_BYTES = 128 * 1024  # a larger body is unpacked off the event loop
_SLACK_BYTES = 64 * 1024 * 1024  # bodies held beside the one being unpacked

PutObject = Callable[[str, bytes], str]
"""Archives bytes too large for Kafka: (namespace, bytes) → key. Raises StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a collector has done; ``received == published + dead_lettered`` at every moment.

    Attributes:
        bodies: Bodies acknowledged.
        bytes: Bytes of those bodies, as received.
        received: Records taken over; a body refused from some byte on counts as one more.
        published: Records in the raw topic.
        dead_lettered: Records and bodies in the dead letters.
    """

    bodies: int = 0
    bytes: int = 0
    received: int = 0
    published: int = 0
    dead_lettered: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who collects what.

    Attributes:
        collector: Id of the collector, as in the settings.
        namespace: Tenant or business unit.
        format: Format of what arrives; None: each record's own, by its content.
        context: What is known of the records where a body does not say it itself.
    """

    collector: str
    namespace: str
    format: Format | None
    context: Context = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a collector may hold.

    Attributes:
        max_inflated_bytes: Largest inflated body: beyond it a gzip is a bomb.
        max_in_flight: Bodies published at once.
        grace_s: Seconds that a stop waits for what is in flight.
    """

    max_inflated_bytes: int = 256 * 1024 * 1024
    max_in_flight: int = 8
    grace_s: float = 20.0


class Collector:
    """Runs one transport into one raw topic.

    Args:
        put_object: Keeps bytes that are too large for Kafka; called in a thread.
        backoff: Reaction to brokers or an archive that are away.
        on_progress: Called after each body.
        clock: Time of refusal for dead letters (UTC).
    """

    def __init__(
        self,
        identity: Identity,
        transport: Transport,
        publisher: Publisher,
        *,
        put_object: PutObject,
        clock: Callable[[], dt.datetime],
        limits: Limits | None = None,
        backoff: Backoff | None = None,
        on_progress: Callable[[Counts], None] = lambda _counts: None,
    ) -> None:
        self._identity = identity
        self._transport = transport
        self._publisher = publisher
        self._put_object = put_object
        self._clock = clock
        self._limits = limits or Limits()
        self._backoff = replace(backoff or Backoff(), on_alarm=self._alarm)
        self._on_alarm = (backoff or Backoff()).on_alarm
        self._alarmed_at = -math.inf
        self._on_progress = on_progress
        self._repeats = Repeats()
        self._contexts = Contexts()
        self._stopping = asyncio.Event()
        self._freed = asyncio.Event()
        self._in_flight: dict[asyncio.Task[None], int] = {}
        self._broken: BaseException | None = None
        self.counts = Counts()

    def stop(self) -> None:
        """Stop pulling; `run` finishes what it holds within the grace period and returns."""
        self._stopping.set()

    async def run(self) -> Counts:
        """Collect until the source ends or `stop` is called.

        Raises:
            SourceRefused: Something could not be read; everything else was collected.
        """
        pulling = asyncio.create_task(self._pull())
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({pulling, stopped}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._stopping.set()  # an interrupt is a stop: what is in flight has the grace period
            raise
        finally:
            for task in (pulling, stopped):
                task.cancel()
            ended = (await asyncio.gather(pulling, stopped, return_exceptions=True))[0]
            await self._settle()
            await self._transport.close()
        if self._broken:
            raise self._broken
        if isinstance(ended, BaseException) and not isinstance(ended, asyncio.CancelledError):
            raise ended
        return self.counts

    async def _pull(self) -> None:
        async for delivery in self._transport.deliveries():
            try:
                unpacked = await self._unpack(delivery)
                size = len(delivery.body) + sum(map(len, unpacked.records))
                await self._wait_for_room()
            except asyncio.CancelledError:
                await delivery.reject("the collector stops", retry=True)
                raise
            task = asyncio.create_task(self._deliver(delivery, unpacked))
            self._in_flight[task] = size
            task.add_done_callback(self._delivered)

    async def _unpack(self, delivery: Delivery) -> Unpacked:
        before = self._contexts.format_of(delivery.origin)
        arguments = (delivery.body, self._identity.format, self._limits.max_inflated_bytes, before)
        if len(delivery.body) < _THREAD_BYTES:
            unpacked = unpack(*arguments)
        else:
            unpacked = await asyncio.to_thread(unpack, *arguments)
        unpacked.repeats = self._repeats.of(delivery.origin, unpacked.records)
        unpacked.runs = self._contexts.completed(delivery.origin, unpacked.runs, self._identity.context)
        return unpacked

    async def _wait_for_room(self) -> None:
        while len(self._in_flight) >= self._limits.max_in_flight or sum(self._in_flight.values()) >= _SLACK_BYTES:
            self._freed.clear()
            await self._freed.wait()

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._in_flight.pop(task, None)
        if not task.cancelled() and task.exception() and self._broken is None:
            self._broken = task.exception()
            self._stopping.set()
        self._freed.set()

    async def _settle(self) -> None:
        """Wait for what is in flight; once stopped, only for the grace period: then it is the source's again."""
        stopped = asyncio.create_task(self._stopping.wait())
        while self._in_flight and not stopped.done():
            await asyncio.wait({*self._in_flight, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not self._in_flight:
            return
        _, late = await asyncio.wait(set(self._in_flight), timeout=self._limits.grace_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _deliver(self, delivery: Delivery, unpacked: Unpacked) -> None:
        try:
            await self._publish(delivery, unpacked)
        except asyncio.CancelledError:
            await delivery.reject("the collector stops", retry=True)
            raise
        await delivery.acknowledge()
        self.counts = replace(self.counts, bodies=self.counts.bodies + 1, bytes=self.counts.bytes + len(delivery.body))
        self._on_progress(self.counts)

    async def _publish(self, delivery: Delivery, unpacked: Unpacked) -> None:
        header = self._header(delivery, unpacked)
        for step in _steps(_envelopes(header, unpacked)):
            await self._backoff.forever(functools.partial(self._publisher.publish, step))
            self._count(published=sum(len(each.records) for each in step))
        for run in unpacked.runs:
            for ordinal in range(run.start, run.end):
                error = _refusal(run, unpacked.records[ordinal], header, ordinal)
                if error:
                    letter = _letter_header(header, run, ordinal)
                    await self._refuse(letter, unpacked.records[ordinal], error, unpacked.repeats.get(ordinal, 0))
        if unpacked.fault:
            await self._refuse(_advanced(header, len(unpacked.records)), delivery.body, unpacked.fault)

    def _header(self, delivery: Delivery, unpacked: Unpacked) -> Header:
        name, format_ = self._identity.collector, self._identity.format
        return Header(
            format=format_.name if format_ else AUTO,
            namespace=self._identity.namespace,
            collector=f"{name}/{delivery.source}" if delivery.source else name,
            received_at=delivery.received_at,
            origin=msgspec.structs.replace(delivery.origin, sha256=unpacked.sha256),
            context=unpacked.runs[0].context if format_ and unpacked.runs else self._identity.context,
        )

    async def _refuse(self, header: Header, body: bytes, error: RejectedRecord, repeat: int = 0) -> None:
        """Make the bytes a dead letter; those too large for Kafka go to the archive, the letter points there."""
        key = ""
        if len(body) > _INLINE_BYTES or isinstance(error, OversizedRecord):
            keep = functools.partial(asyncio.to_thread, self._put_object, header.namespace, body)
            key = await self._backoff.forever(keep)
        letter = DeadLetter(
            stage="collect",
            reason=error.kind,
            message=str(error),
            refused_at=self._clock(),
            body=b"" if key else body,
            size=len(body),
            header=header,
            format_version=self._identity.format.version if self._identity.format else "",
            object_key=key,
            repeat=repeat,
        )
        await self._backoff.forever(functools.partial(self._publisher.publish_dead_letters, [letter]))
        self._count(dead_lettered=1)

    def _alarm(self, error: TransientError, seconds: float) -> None:
        """One alarm for all bodies in flight: they fail together."""
        now = asyncio.get_running_loop().time()
        if now - self._alarmed_at >= self._backoff.alarm_after_s:
            self._alarmed_at = now
            self._on_alarm(error, seconds)

    def _count(self, *, published: int = 0, dead_lettered: int = 0) -> None:
        self.counts = replace(
            self.counts,
            received=self.counts.received + published + dead_lettered,
            published=self.counts.published + published,
            dead_lettered=self.counts.dead_lettered + dead_lettered,
        )


def _envelopes(header: Header, unpacked: Unpacked) -> Iterator[Envelope]:
    """Envelopes of the records of one format between oversized ones, with the ordinals of the whole body."""
    for run in unpacked.runs:
        if run.format is None:
            continue
        start = run.start
        own = msgspec.structs.replace(header, format=run.format.name, context=run.context)
        oversized = [i for i in range(run.start, run.end) if len(unpacked.records[i]) > MAX_RECORD_BYTES]
        for end in [*oversized, run.end]:
            repeats = {i - start: n for i, n in unpacked.repeats.items() if start <= i < end}
            yield from pack(_advanced(own, start), unpacked.records[start:end], repeats)
            start = end + 1


def _letter_header(header: Header, run: Run, ordinal: int) -> Header:
    """The header of a record that is refused."""
    name = run.format.name if run.format else header.format
    return _advanced(msgspec.structs.replace(header, format=name, context=run.context), ordinal)


def _refusal(run: Run, record: bytes, header: Header, ordinal: int) -> RejectedRecord | None:
    """Why a record can't go into an envelope."""
    if len(record) > MAX_RECORD_BYTES:
        return _oversized(record, header, ordinal)
    if run.format is None:
        where = f"{header.origin.locator} record {header.origin.first_ordinal + ordinal}"
        return UnrecognisedRecord(f"recognising record: {run.why}", where=where)
    return None


def _steps(envelopes: Iterator[Envelope]) -> Iterator[Sequence[Envelope]]:
    step: list[Envelope] = []
    size = 0
    for each in envelopes:
        if step and size + each.size > _STEP_BYTES:
            yield step
            step, size = [], 0
        step.append(each)
        size += each.size
    if step:
        yield step


def _advanced(header: Header, records: int) -> Header:
    first = header.origin.first_ordinal + records
    return msgspec.structs.replace(header, origin=msgspec.structs.replace(header.origin, first_ordinal=first))


def _oversized(record: bytes, header: Header, ordinal: int) -> OversizedRecord:
    digest = hashlib.sha256(record).hexdigest()
    return OversizedRecord(
        f"collecting record: {len(record)} bytes, more than the limit of {MAX_RECORD_BYTES} (SHA-256 {digest})",
        where=f"{header.origin.locator} record {header.origin.first_ordinal + ordinal}",
    )
