"""Keeps accounts in a compacted topic: reads them at assignment, saves them batch by batch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from ingest.kafka_client import client_options
from ingest.settings import KafkaSettings
from streams.accounting import Account, encode, merge_latest
from streams.produce import Sink
from streams.topics import ACCOUNTING

Read = Callable[[str], Awaitable[list[tuple[bytes, bytes]]]]
"""Reads a compacted topic to its present end."""

STALL_S = 20.0


async def read_compacted(settings: KafkaSettings, topic: str) -> list[tuple[bytes, bytes]]:
    """Every (key, value) of a topic up to its present end, oldest first; deleted keys are left out.

    Raises:
        KafkaError: The brokers do not answer, or went silent for `STALL_S` seconds.
    """
    found: list[tuple[bytes, bytes]] = []
    consumer = AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        partitions = [
            TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or await _fetch(consumer, topic)
        ]
        if not partitions:
            return found
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        while waiting := [tp for tp in partitions if await consumer.position(tp) < ends[tp]]:
            batches = await consumer.getmany(*waiting, timeout_ms=int(STALL_S * 1000))
            if not batches:
                raise KafkaTimeoutError(f"reading {topic}: nothing came for {STALL_S:g} s")
            for messages in batches.values():
                found.extend((m.key, m.value) for m in messages if m.value is not None and m.key is not None)
        return found
    finally:
        await consumer.stop()


async def _fetch(consumer: AIOKafkaConsumer, topic: str) -> Iterable[int]:
    """Partitions of a topic that the client has not heard of yet."""
    await consumer._client.force_metadata_update()  # noqa: SLF001 - no public call asks for one topic
    metadata = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - same
    return set(metadata.partitions_for_topic(topic) or ())


class Accounts:
    """The accounts of one role in this worker."""

    def __init__(self, role: str, read: Read, sink: Sink) -> None:
        """Start with nothing known; `of` reads what others saved."""
        self._role = role
        self._read = read
        self._sink = sink
        self._known: dict[tuple[str, int], Account] = {}

    def forget(self) -> None:
        """After a rebalance another worker may have counted further: read again at next use."""
        self._known.clear()

    async def of(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Account]:
        """Accounts of these partitions, read from Kafka where not known yet."""
        wanted = set(partitions)
        if missing := wanted - self._known.keys():
            saved = merge_latest([value for _, value in await self._read(ACCOUNTING)])
            for topic, partition in missing:
                account = saved.get((self._role, topic, partition))
                self._known[topic, partition] = account or Account(self._role, topic, partition)
        return {key: self._known[key] for key in wanted}

    async def save(self, accounts: Iterable[Account]) -> None:
        """Make the counts durable; afterwards the messages may be acknowledged."""
        await self._sink.send(ACCOUNTING, [(account.key, encode(account), None) for account in accounts])
