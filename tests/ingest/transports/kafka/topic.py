"""A topic of its own on the real Kafka, and ways to read it as a source."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.structs import TopicPartition

from ingest.transports.kafka.client import options_of
from ingest.transports.kafka.settings import KafkaSourceSettings
from ingest.transports.kafka.transport import KafkaSource
from skytrail.local.engines import EngineState
from tests.ingest.fakes import Told
from tests.ingest.transports.contract import Harness

_LARGEST = 9 * 1024 * 1024


@dataclass
class Topic(Harness):
    """A topic, a group of its own, and the place of a collector that reads it."""

    engines: EngineState
    directory: Path
    options: dict[str, object] = field(default_factory=dict)
    partitions: int = 1
    name: str = field(default_factory=lambda: f"skytrail-test.source.{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.told = Told(self.directory)
        self.password_file = self.directory / "password"
        self.password_file.write_text(self.engines.kafka_password + "\n")

    def settings(self, **changes: object) -> KafkaSourceSettings:
        values: dict[str, object] = {
            "bootstrap_servers": self.engines.kafka_bootstrap,
            "topics": [self.name],
            "group_id": self.name,
            "security_protocol": self.engines.kafka_security_protocol,
            "sasl_mechanism": self.engines.kafka_mechanism,
            "username": self.engines.kafka_username,
            "password_file": self.password_file,
            "commit_interval_s": 0.1,
            "session_timeout_s": 6,
        }
        return KafkaSourceSettings.model_validate(values | self.options | changes)

    async def open(self, **changes: object) -> KafkaSource:
        return KafkaSource(self.settings(**changes), self.told.place)

    async def send(self, bodies: Sequence[bytes | None], partition: int = 0) -> None:
        producer = AIOKafkaProducer(max_request_size=_LARGEST, **options_of(self.settings()))
        await producer.start()
        try:
            for body in bodies:
                await producer.send_and_wait(self.name, body, key=b"k", partition=partition)
        finally:
            await producer.stop()

    async def transact(self, bodies: Sequence[bytes], *, commit: bool) -> None:
        """Send in one transaction, which ends either way."""
        producer = AIOKafkaProducer(transactional_id=self.name, **options_of(self.settings()))
        await producer.start()
        try:
            await producer.begin_transaction()
            for body in bodies:
                await producer.send_and_wait(self.name, body, partition=0)
            await (producer.commit_transaction() if commit else producer.abort_transaction())
        finally:
            await producer.stop()

    async def create(self) -> None:
        async with self.admin() as admin:
            options = {"max.message.bytes": str(_LARGEST)}
            await admin.create_topics([NewTopic(self.name, self.partitions, 1, topic_configs=options)])

    async def add_partitions(self, total: int) -> None:
        async with self.admin() as admin:
            await admin.create_partitions({self.name: NewPartitions(total)})

    async def delete_before(self, offset: int) -> None:
        """Let the topic forget what lies before an offset, as its retention does."""
        async with self.admin() as admin:
            await admin.delete_records({TopicPartition(self.name, 0): RecordsToDelete(before_offset=offset)})

    async def committed(self) -> dict[int, int]:
        """What the group has committed, by partition."""
        async with self.admin() as admin:
            found = await admin.list_consumer_group_offsets(self.name)
            return {partition.partition: meta.offset for partition, meta in found.items() if meta.offset >= 0}

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**options_of(self.settings()))
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    async def drop(self) -> None:
        async with self.admin() as admin:
            await admin.delete_topics([self.name])
