"""A topic with an event a message, beside an aiokafka consumer that commits at its end."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ingest.kafka_client import client_options
from ingest.schema.errors import ConfigError
from ingest.settings import KafkaSettings
from ingest.transports.contract import Place, Transport
from ingest.transports.kafka.settings import KafkaSourceSettings
from ingest.transports.kafka.transport import open_transport
from skytrail.bench.collecting import Load


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Topic]:
    """A topic of the brokers at hand, which is deleted again.

    Raises:
        ConfigError: There are no brokers.
    """
    if load.kafka is None:
        raise ConfigError("looking for brokers: there are none", mend="run `skytrail up`, or set kafka")
    admin = AIOKafkaAdminClient(**client_options(load.kafka))
    await admin.start()
    name = f"skytrail-bench-{uuid.uuid4().hex[:8]}"
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
        with TemporaryDirectory() as folder:
            topic = Topic(load.kafka, name, load, Path(folder))
            await topic.put(load)
            yield topic
    finally:
        await admin.delete_topics([name])
        await admin.close()


class Topic:
    """See `Source`; each run has a consumer group of its own, so that one filling is enough."""

    sdk = "aiokafka"

    def __init__(self, kafka: KafkaSettings, name: str, load: Load, directory: Path) -> None:
        self._kafka = kafka
        self._name = name
        self._password_file = directory / "password"
        self._password_file.write_text(kafka.password.get_secret_value())
        self.size = load.size

    async def put(self, load: Load) -> None:
        """Put the records once."""
        producer = AIOKafkaProducer(**client_options(self._kafka))
        await producer.start()
        try:
            for line in load.lines:
                await producer.send(self._name, line)
        finally:
            await producer.stop()

    async def fill(self) -> None:
        """Nothing: reading does not empty it."""

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        same = {"bootstrap_servers", "security_protocol", "allow_plaintext", "sasl_mechanism", "username", "ca_file"}
        settings = KafkaSourceSettings.model_validate(
            self._kafka.model_dump(include=same)
            | {"topics": (self._name,), "group_id": self._group(), "password_file": self._password_file}
        )
        return await open_transport(settings, place)

    async def alone(self) -> int:
        """See `Source.alone`."""
        consumer = AIOKafkaConsumer(
            self._name,
            group_id=self._group(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **client_options(self._kafka),
        )
        await consumer.start()
        taken = 0
        try:
            while taken < self.size:
                for messages in (await consumer.getmany(timeout_ms=1000)).values():
                    taken += sum(len(message.value or b"") for message in messages)
            await consumer.commit()
        finally:
            await consumer.stop()
        return taken

    def _group(self) -> str:
        return f"{self._name}-{uuid.uuid4().hex[:8]}"
