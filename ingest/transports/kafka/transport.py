"""Topics of a Kafka as a source. Oracle's Streaming is one, and so is an Event Hub by its Kafka endpoint.

Delivery: at least once. Offsets are committed by hand, per partition up to the first message that the brokers of
          Skytrail did not acknowledge; a crash repeats what came after, and the records' ids make it duplicates.
Bodies:   The value of a message. Neighbours in a partition that are a line of JSON each travel as one body, whose
          origin names first and last offset. Key and headers are not kept. A message without a value is an empty body.
Rebalance: What is in flight has a third of the session to be acknowledged and is then committed; what comes later
          counts for nothing, and comes again to whoever has the partition.
Loss:     If what the group's offset says no longer exists (the topic's retention overtook us), the number of messages
          that are gone is told; so is that the brokers forgot the offset itself (the topic was made anew, the group's
          offsets expired). Reading goes on with the first message that is there.
Order:    Of each partition, as delivered.
Tests:    tests/ingest/transports/kafka/
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
)

from ingest.backoff import Backoff
from ingest.schema.envelope import Origin
from ingest.schema.errors import SkytrailError, SourceRefused, SourceUnavailable
from ingest.transports.contract import Place
from ingest.transports.kafka.assignment import Assignment
from ingest.transports.kafka.beginning import Beginnings, forgotten, left_out
from ingest.transports.kafka.client import diagnose, meaning, new_consumer, options_of
from ingest.transports.kafka.settings import KafkaSourceSettings
from ingest.transports.messages.delivery import MessageDelivery
from ingest.transports.messages.runs import cut_runs, joined

_NAME = "kafka"
_POLL_MS = 1000
_CLOSE_GRACE_S = 10.0
_TELL_AFTER_S = 5.0  # brokers that are away for less are no news


class Run(NamedTuple):
    """Messages of one partition, without a gap, that are one body."""

    generation: int
    partition: TopicPartition
    first: int
    last: int
    body: bytes


async def open_transport(settings: KafkaSourceSettings, place: Place) -> KafkaSource:
    """A source that connects when its deliveries are asked for.

    Raises:
        ConfigError: Unsafe settings, or a file that can't be read.
    """
    return KafkaSource(settings, place)


class KafkaSource:
    """Reads topics as a member of a consumer group.

    Args:
        backoff: Waiting for brokers that are away.

    Raises:
        ConfigError: Unsafe settings, or a file that can't be read.
    """

    def __init__(self, settings: KafkaSourceSettings, place: Place, backoff: Backoff | None = None) -> None:
        options_of(settings)
        self._settings = settings
        self._place = place
        self._group_id = settings.group_id or f"skytrail-{place.name}"
        told = Backoff(alarm_after_s=_TELL_AFTER_S, on_alarm=lambda error, _seconds: place.warn(error))
        self._backoff = backoff or told
        self._assignment = Assignment(
            settings.session_timeout_s / 3, on_lost=self._lose, warn=place.warn, error_of=self._error
        )
        file = place.state_dir / "checkpoints" / f"{place.name}.kafka.json"
        self._beginnings = Beginnings(file, self._group_id, place.warn)
        self._consumer: AIOKafkaConsumer | None = None
        self._password_stamp: tuple[int, int] | None = None
        self._reading: asyncio.Task[list[Run]] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._ready: deque[Run] = deque()
        self._again: deque[MessageDelivery] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._heard_at = 0.0

    async def deliveries(self) -> AsyncIterator[MessageDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        while not self._closing:
            if self._again:
                yield self._again.popleft()
            elif self._ready:
                run = self._ready.popleft()
                if run.generation == self._assignment.generation:
                    yield self._delivery_of(run)
            else:
                await self._fill()

    async def close(self) -> None:
        """See `Transport.close`: what is acknowledged is committed, and the group knows that we left."""
        self._closing = True
        self._wake.set()
        tasks = [task for task in (self._reading, self._committing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._committing = None
        await self._disconnect()

    async def _fill(self) -> None:
        """Wait until there is something to deliver, or the transport closes."""
        self._wake.clear()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        woken = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({self._reading, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        if self._reading.done() and not self._closing:
            done, self._reading = self._reading, None
            self._ready.extend(done.result())

    async def _read(self) -> list[Run]:
        if self._consumer is not None and self._stamp() != self._password_stamp:
            await self._disconnect()  # the password was changed: old connections live on with the old one, new ones not
        consumer = self._consumer or await self._backoff.forever(self._connect)
        try:
            return await self._poll(consumer)
        except RecordTooLargeError as exc:
            # Brokers since 0.10.1 send a message that is larger than a fetch; the client would skip it otherwise.
            raise SourceRefused(f"reading topic: {exc}", mend="raise fetch_max_bytes") from exc
        except (KafkaError, TimeoutError) as exc:
            error = self._error("reading topic", exc)
            if isinstance(error, SourceRefused):
                raise error from exc
            self._place.warn(error)
            await self._disconnect()
            return []

    async def _poll(self, consumer: AIOKafkaConsumer) -> list[Run]:
        try:
            found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=self._settings.batch_messages)
        except NoOffsetForPartitionError as exc:
            await self._begin(consumer, exc.args[0])
            return []
        except OffsetOutOfRangeError as exc:
            for partition, offset in exc.args[0].items():
                await self._skip_lost(consumer, partition, offset)
            return []
        generation = self._assignment.generation  # nothing ran between the fetch and this line
        now = asyncio.get_running_loop().time()
        if found:
            self._heard_at = now
        elif now - self._heard_at >= self._settings.probe_interval_s and consumer.assignment():
            # The client retries in silence; somebody has to notice that nobody answers.
            await asyncio.wait_for(consumer.end_offsets(consumer.assignment()), self._settings.session_timeout_s)
            self._heard_at = now
        return list(self._runs(generation, found))

    def _runs(self, generation: int, found: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> Iterator[Run]:
        for partition, records in found.items():
            for part in _without_gaps(records):
                bodies = [record.value or b"" for record in part]
                for cut in cut_runs(bodies, self._settings.batch_messages, self._settings.batch_bytes):
                    run = part[cut]
                    yield Run(generation, partition, run[0].offset, run[-1].offset, joined(bodies[cut]))

    def _delivery_of(self, run: Run) -> MessageDelivery:
        offsets = str(run.first) if run.first == run.last else f"{run.first}-{run.last}"
        locator = f"{run.partition.topic}/{run.partition.partition}/{offsets}"
        settled = self._assignment.deliver(run.partition, run.last + 1)

        def returned(delivery: MessageDelivery) -> None:
            if run.generation == self._assignment.generation:
                self._again.append(delivery)
                self._wake.set()

        def given_up(reason: str) -> None:
            self._place.warn(SourceRefused(f"collecting message: given up: {reason}", where=locator))
            settled()

        origin = Origin(transport=_NAME, locator=locator)
        return MessageDelivery(
            origin,
            run.body,
            self._place.clock(),
            on_settled=settled,
            on_returned=returned,
            on_given_up=given_up,
        )

    async def _connect(self) -> AIOKafkaConsumer:
        self._password_stamp = self._stamp()
        consumer = new_consumer(self._settings, self._group_id)
        self._assignment.bind(consumer)
        try:
            async with asyncio.timeout(2 * self._settings.session_timeout_s):
                await consumer.start()
                _refuse_missing(set(self._settings.topics) - await consumer.topics())
            # Only now: the client waits without an end for a topic that is not there, and asks brokers to create it.
            consumer.subscribe(self._settings.topics, listener=self._assignment)
        except (KafkaError, OSError, TimeoutError) as exc:
            await _stop(consumer)
            cause = await diagnose(self._settings) if isinstance(exc, KafkaConnectionError) else None
            raise self._error("connecting to Kafka", cause or exc) from exc
        except BaseException:
            await _stop(consumer)
            raise
        self._consumer = consumer
        self._heard_at = asyncio.get_running_loop().time()
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_at_times())
        return consumer

    async def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await self._assignment.commit()
            self._assignment.bind(None)
            await _stop(consumer)

    async def _commit_at_times(self) -> None:
        while True:
            await asyncio.sleep(self._settings.commit_interval_s)
            await self._assignment.commit()

    async def _begin(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
        first = begin = (await consumer.beginning_offsets([partition]))[partition]
        if self._beginnings.is_known(partition):
            self._place.warn(forgotten(partition))
        elif self._settings.start_at == "latest" and not await self._beginnings.is_new(consumer, partition):
            begin = (await consumer.end_offsets([partition]))[partition]
            if begin > first:
                self._place.warn(left_out(partition, first, begin))
        consumer.seek(partition, begin)
        await self._assignment.begin(partition, begin)
        self._beginnings.note(partition)

    async def _skip_lost(self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> None:
        first = (await consumer.beginning_offsets([partition]))[partition]
        where = f"{partition.topic}/{partition.partition}/{offset}"
        if offset < first:
            what = f"reading topic: {first - offset} messages were deleted before they were read"
            mend = "they are lost at the source: keep messages longer there, and do not stop this collector for longer"
        else:
            what = (
                "reading topic: the offset lies behind the end, the topic was made anew or cut; reading its beginning"
            )
            mend = "find out who did it; what was cut off and not read before is lost at the source"
        self._place.warn(SourceUnavailable(what, where=where, mend=mend))
        consumer.seek(partition, first)

    def _lose(self) -> None:
        self._ready.clear()
        self._again.clear()

    def _error(self, doing: str, exc: BaseException) -> SkytrailError:
        return meaning(doing, exc, self._settings)

    def _stamp(self) -> tuple[int, int] | None:
        if self._settings.password_file is None:
            return None
        try:
            found = self._settings.password_file.stat()
        except OSError:
            return self._password_stamp  # being replaced: the next look shows the new one
        return found.st_ino, found.st_mtime_ns


def _refuse_missing(topics: set[str]) -> None:
    if topics:
        mend = "create them, or correct topics; without the right to describe a topic it looks missing"
        raise SourceRefused(f"reading topics: the brokers do not know {', '.join(sorted(topics))}", mend=mend)


def _without_gaps(records: Sequence[ConsumerRecord]) -> Iterator[Sequence[ConsumerRecord]]:
    """Cut where offsets are missing (compaction, transactions): a run's n-th message is at its first offset + n."""
    start = 0
    for at in range(1, len(records) + 1):
        if at == len(records) or records[at].offset != records[at - 1].offset + 1:
            yield records[start:at]
            start = at


async def _stop(consumer: AIOKafkaConsumer) -> None:
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        await asyncio.wait_for(consumer.stop(), _CLOSE_GRACE_S)
    with contextlib.suppress(KafkaError, OSError):
        await consumer._client.close()  # noqa: SLF001 - a stop that was cut short leaves connections open
