"""Puts envelopes and dead letters into Kafka; resolves only when the brokers have them.

Delivery: at least once. The producer is idempotent, so its own retries make no duplicates; a caller's retry after
`BrokerUnavailable` may. One publisher per process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from ingest.kafka_client import client_options
from ingest.schema import dead_letter, envelope
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.envelope import Envelope, Position
from ingest.schema.errors import BrokerUnavailable
from ingest.settings import KafkaSettings

_BATCH_BYTES = 512 * 1024  # compressed together; a larger message still travels, alone
_CLOSE_GRACE_S = 10.0


class Publisher(Protocol):
    """The way to the brokers."""

    async def publish(self, envelopes: Sequence[Envelope]) -> list[Position]:
        """Write envelopes to the raw topics of their formats; where each lies, in order.

        When this returns, every broker that acks=all asks for has all of them.

        Raises:
            BrokerUnavailable: Not acknowledged before the deadline. Nothing may be assumed; call again with the same.
        """
        ...

    async def publish_dead_letters(self, letters: Sequence[DeadLetter]) -> list[Position]:
        """The same for dead letters."""
        ...

    async def close(self) -> None:
        """Flush and disconnect."""
        ...


class KafkaPublisher:
    """The publisher on real brokers. Connects at the first publish.

    Args:
        raw_topic: Topic name of a format's envelopes (topic names are spelled in one place, above this layer).
        dead_letter_topic: Topic of dead letters.
        client_id: Name under which the brokers log this process.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        raw_topic: Callable[[str], str],
        dead_letter_topic: str,
        client_id: str = "skytrail-collector",
    ) -> None:
        self._settings = settings
        self._raw_topic = raw_topic
        self._dead_letter_topic = dead_letter_topic
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._connecting: asyncio.Task[AIOKafkaProducer] | None = None
        self._discarding: set[asyncio.Task[None]] = set()

    async def publish(self, envelopes: Sequence[Envelope]) -> list[Position]:
        """See `Publisher.publish`."""
        return await self._send([(self._raw_topic(each.header.format), envelope.encode(each)) for each in envelopes])

    async def publish_dead_letters(self, letters: Sequence[DeadLetter]) -> list[Position]:
        """See `Publisher.publish_dead_letters`."""
        return await self._send([(self._dead_letter_topic, dead_letter.encode(each)) for each in letters])

    async def probe(self) -> None:
        """Connect, so that a start-up can say at once what is wrong.

        Raises:
            BrokerUnavailable: No broker answers, or they refuse our credentials.
        """
        await self._connected()

    async def close(self) -> None:
        """See `Publisher.close`."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        producer, self._producer = self._producer, None
        if producer is not None:
            # What is not flushed in time was never reported as published: its callers still hold it.
            with contextlib.suppress(TimeoutError, KafkaError):
                await asyncio.wait_for(producer.flush(), _CLOSE_GRACE_S)
            self._discard(producer)
        if self._discarding:
            await asyncio.wait(self._discarding, timeout=_CLOSE_GRACE_S)

    async def _send(self, messages: Sequence[tuple[str, bytes]]) -> list[Position]:
        if not messages:
            return []
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(self._settings.publish_deadline_s):
                producer = await self._connected()
                futures = [await producer.send(topic, value) for topic, value in messages]
                done = await asyncio.gather(*futures)
        except (TimeoutError, KafkaError) as exc:
            if producer is None:
                raise self._unavailable("connecting to Kafka", exc, set(), set()) from exc
            self._give_up(producer)
            topics = {topic for topic, _ in messages}
            unknown = {topic for topic in topics if producer.client.cluster.partitions_for_topic(topic) is None}
            raise self._unavailable("publishing", exc, topics, unknown) from exc
        return [Position(each.topic, each.partition, each.offset) for each in done]

    def _give_up(self, producer: AIOKafkaProducer) -> None:
        """Never reuse a producer that failed.

        An idempotent one keeps its unacknowledged batches and retries them for ever, so every retry of ours would pile
        up behind them in memory. Others that wait on it fail with it and call again.
        """
        if self._producer is producer:
            self._producer = None
            self._discard(producer)

    def _discard(self, producer: AIOKafkaProducer) -> None:
        task = asyncio.get_running_loop().create_task(_shut(producer))
        self._discarding.add(task)
        task.add_done_callback(self._discarding.discard)

    async def _connected(self) -> AIOKafkaProducer:
        """The producer; callers that come while it connects share the attempt and its failure."""
        if self._producer is not None:
            return self._producer
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(self._connect_ended)
        return await asyncio.shield(self._connecting)

    def _connect_ended(self, task: asyncio.Task[AIOKafkaProducer]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # told to whoever waits; perhaps all of them were cancelled

    async def _connect(self) -> AIOKafkaProducer:
        producer = self._new_producer()
        try:
            await asyncio.wait_for(producer.start(), self._settings.publish_deadline_s)
        except (TimeoutError, KafkaError, OSError) as exc:
            self._discard(producer)
            raise self._unavailable("connecting to Kafka", exc, set(), set()) from exc
        except BaseException:
            self._discard(producer)
            raise
        self._producer = producer
        return producer

    def _new_producer(self) -> AIOKafkaProducer:
        settings = self._settings
        deadline_ms = int(settings.publish_deadline_s * 1000)
        return AIOKafkaProducer(
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            compression_type="zstd",
            linger_ms=settings.linger_ms,
            max_batch_size=_BATCH_BYTES,
            max_request_size=settings.max_message_bytes,
            request_timeout_ms=deadline_ms,
            **client_options(settings),
        )

    def _unavailable(self, doing: str, exc: BaseException, topics: set[str], unknown: set[str]) -> BrokerUnavailable:
        where = self._settings.bootstrap_servers or "(no brokers set)"
        if topics:
            where += f", topic {', '.join(sorted(topics))}"
        mend = ""
        if unknown:
            what = f"{doing}: the brokers do not know topic {', '.join(sorted(unknown))}"
            mend = "create the topics: `skytrail topics`; if they are there, check the brokers: `skytrail doctor`"
        elif isinstance(exc, TimeoutError):
            what = f"{doing}: not acknowledged within {self._settings.publish_deadline_s:g} s"
        else:
            what = f"{doing}: {str(exc) or type(exc).__name__}"
        if isinstance(exc, MessageSizeTooLargeError):
            mend = "the topic accepts smaller messages than kafka.max_message_bytes says: `skytrail topics` shows it"
        return BrokerUnavailable(what, where=where, mend=mend)


async def _shut(producer: AIOKafkaProducer) -> None:
    """Close without waiting for what can't be sent. `AIOKafkaProducer.stop` would wait for the brokers for ever."""
    producer._closed = True  # noqa: SLF001 - else its finaliser reports a leak; there is no public abort
    steps: list[Callable[[], Coroutine[Any, Any, None]]] = [producer._sender.close, producer.client.close]  # noqa: SLF001
    for step in steps:
        try:
            await asyncio.wait_for(step(), _CLOSE_GRACE_S)
        except (TimeoutError, KafkaError, OSError, asyncio.CancelledError):
            continue  # nothing of it was acknowledged to anyone; the sockets go with the client below
