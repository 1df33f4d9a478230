"""Follows the accounts of every role, so that a look at all counts costs what changed since the last one."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from ingest.kafka_client import client_options
from ingest.settings import KafkaSettings
from streams.accounting import Account, decode
from streams.topics import ACCOUNTING


class AccountsFeed:
    """The latest account per role and partition, read from a consumer that stays connected."""

    def __init__(self, kafka: KafkaSettings) -> None:
        """Connect at the first look."""
        self._kafka = kafka
        self._consumer: AIOKafkaConsumer | None = None
        self._latest: dict[tuple[str, str, int], Account] = {}

    async def look(self, topics: Sequence[str]) -> tuple[list[Account], dict[tuple[str, int], int]]:
        """The accounts as they are now, and the end offset of every partition of these topics.

        Raises:
            KafkaError: The brokers do not answer; the next look connects again.
        """
        try:
            consumer = await self._connected()
            # The ends first: what arrives and is done in between would else look like a backlog.
            partitions = [TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t) or ()]
            found = await consumer.end_offsets(partitions)
            followed = consumer.assignment()
            ends = await consumer.end_offsets(followed)
            while any([await consumer.position(tp) < ends[tp] for tp in followed]):
                for messages in (await consumer.getmany(timeout_ms=1000)).values():
                    for message in messages:
                        if message.value is not None:
                            self._take(decode(message.value))
        except BaseException:
            await self.close()
            raise
        return list(self._latest.values()), {(tp.topic, tp.partition): end for tp, end in found.items()}

    async def close(self) -> None:
        """Disconnect; what was read stays."""
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await consumer.stop()

    def _take(self, account: Account) -> None:
        """Keep the account with the higher offset: a stopped worker's late write never wins."""
        key = (account.role, account.topic, account.partition)
        if key not in self._latest or account.next_offset >= self._latest[key].next_offset:
            self._latest[key] = account

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **client_options(self._kafka), enable_auto_commit=False, auto_offset_reset="earliest"
            )
            self._consumer = consumer
            await consumer.start()
            await consumer._client.force_metadata_update()  # noqa: SLF001 - no public call asks for all topics
            metadata = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - same
            partitions = [TopicPartition(ACCOUNTING, p) for p in metadata.partitions_for_topic(ACCOUNTING) or ()]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
        return self._consumer
