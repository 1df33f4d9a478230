"""Reads one raw message again, by its place; used for the rare second version of an event."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition

from ingest.kafka_client import client_options
from ingest.schema.envelope import Position
from ingest.settings import KafkaSettings

TIMEOUT_MS = 10_000


class Refetch:
    """A throw-away consumer a call: rare, and so without state."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Remember where Kafka is."""
        self._settings = settings

    async def __call__(self, place: Position) -> bytes | None:
        """The value at this place; None when Kafka no longer has it."""
        consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=self._settings.max_message_bytes,
        )
        await consumer.start()
        try:
            partition = TopicPartition(place.topic, place.partition)
            consumer.assign([partition])
            first = (await consumer.beginning_offsets([partition]))[partition]
            if place.offset < first:
                return None
            consumer.seek(partition, place.offset)
            found = await consumer.getmany(partition, timeout_ms=TIMEOUT_MS, max_records=1)
            messages = found.get(partition, [])
            return messages[0].value if messages and messages[0].offset == place.offset else None
        finally:
            await consumer.stop()
