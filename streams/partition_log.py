"""Reads stretches of single partitions, beside the consumer group: what a worker needs to take over a partition."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from ingest.kafka_client import client_options
from ingest.settings import KafkaSettings

STALL_S = 20.0
AT_ONCE_BYTES = 64 * 1024 * 1024  # held in memory
Kept = tuple[int, bytes, bytes]
"""Offset, key, value; a deleted key has the value b""."""
Patiently = Callable[[Callable[[], Awaitable[tuple[list[Kept], int]]]], Awaitable[tuple[list[Kept], int]]]


class PartitionLog(Protocol):
    """What is kept in the partitions of topics; tests give a list-backed one."""

    def stretch(self, topic: str, partition: int, start: int = 0, end: int | None = None) -> AsyncIterator[Kept]:
        """The messages [start, end) that the brokers still hold, in order; without `end`, all there are now."""
        ...


class KafkaLog:
    """A log on brokers; waits for those that are away."""

    def __init__(self, settings: KafkaSettings, patiently: Patiently) -> None:
        """Compose.

        Args:
            patiently: Calls again until Kafka answers.
        """
        self._settings = settings
        self._patiently = patiently

    async def stretch(self, topic: str, partition: int, start: int = 0, end: int | None = None) -> AsyncIterator[Kept]:
        """As `PartitionLog.stretch`."""
        place, position, stop = TopicPartition(topic, partition), start, end
        while stop is None or position < stop:
            begin, until = position, stop
            found, stop = await self._patiently(lambda: _read(self._settings, place, begin, until))  # noqa: B023
            for one in found:
                yield one
            if not found:
                return
            position = found[-1][0] + 1


async def _read(settings: KafkaSettings, place: TopicPartition, start: int, end: int | None) -> tuple[list[Kept], int]:
    """Some messages from `start` on, and where the stretch ends.

    Raises:
        KafkaError: The brokers do not answer, or went silent for `STALL_S` seconds.
    """
    found: list[Kept] = []
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=settings.max_message_bytes,
    )
    try:
        await consumer.start()
        consumer.assign([place])
        first = (await consumer.beginning_offsets([place]))[place]
        last = (await consumer.end_offsets([place]))[place]
        stop = last if end is None else min(end, last)
        consumer.seek(place, max(start, first))
        size = 0
        while size < AT_ONCE_BYTES and await consumer.position(place) < stop:
            messages = (await consumer.getmany(place, timeout_ms=int(STALL_S * 1000))).get(place, [])
            if not messages:
                raise KafkaTimeoutError(f"reading {place.topic}/{place.partition}: nothing came for {STALL_S:g} s")
            found.extend((m.offset, m.key or b"", m.value or b"") for m in messages if m.offset < stop)
            size += sum(len(m.value or b"") for m in messages)
        return found, stop
    finally:
        await consumer.stop()
