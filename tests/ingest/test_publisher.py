"""A publish that returns is in the brokers; one that raises promises nothing. One suite for the fake and the real."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import SecretStr

from ingest.kafka_client import client_options
from ingest.publisher import KafkaPublisher, Publisher
from ingest.schema import dead_letter, envelope
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.envelope import Envelope, Header, Origin
from ingest.schema.errors import BrokerUnavailable, ConfigError
from ingest.settings import KafkaSettings
from skytrail.local.engines import EngineState
from tests.ingest.fakes import NOW, Fault, MemoryPublisher

HEADER = Header(
    format="lines", namespace="acme", collector="mine", received_at=NOW, origin=Origin(transport="t", locator="l")
)


def one(*records: bytes) -> Envelope:
    """An envelope of these records."""
    return Envelope(header=HEADER, records=records)


def letter(body: bytes) -> DeadLetter:
    """A dead letter with these bytes."""
    return DeadLetter(
        stage="collect", reason="MalformedBody", message="", refused_at=NOW, body=body, size=len(body), header=HEADER
    )


class Stage(ABC):
    """A publisher and what the brokers have."""

    publisher: Publisher

    @abstractmethod
    async def envelopes(self) -> list[Envelope]:
        """Everything in the raw topic."""

    @abstractmethod
    async def letters(self) -> list[DeadLetter]:
        """Everything in the dead letters."""


class PublisherContract:
    @pytest.fixture
    def stage(self) -> Stage:
        raise NotImplementedError

    async def test_what_is_published_is_there_at_the_position_that_is_returned(self, stage: Stage) -> None:
        sent = [one(b"%d" % number) for number in range(20)]
        positions = await stage.publisher.publish(sent)
        assert len(set(positions)) == 20
        found = await stage.envelopes()
        assert sorted(each.records for each in found) == sorted(each.records for each in sent)

    async def test_dead_letters_go_to_their_own_topic(self, stage: Stage) -> None:
        await stage.publisher.publish_dead_letters([letter(b"refused")])
        assert await stage.letters() == [letter(b"refused")]
        assert await stage.envelopes() == []

    async def test_nothing_is_published_for_nothing(self, stage: Stage) -> None:
        assert await stage.publisher.publish([]) == []
        assert await stage.publisher.publish_dead_letters([]) == []

    async def test_concurrent_publishes_all_arrive(self, stage: Stage) -> None:
        await asyncio.gather(*(stage.publisher.publish([one(b"%d" % number)]) for number in range(50)))
        assert len({each.records for each in await stage.envelopes()}) == 50

    async def test_the_largest_record_travels(self, stage: Stage) -> None:
        record = secrets.token_bytes(envelope.MAX_RECORD_BYTES)
        await stage.publisher.publish([one(record)])
        await stage.publisher.publish_dead_letters([letter(record)])
        assert [each.records for each in await stage.envelopes()] == [(record,)]
        assert [each.body for each in await stage.letters()] == [record]

    async def test_closing_twice_is_harmless(self, stage: Stage) -> None:
        await stage.publisher.publish([one(b"x")])
        await stage.publisher.close()
        await stage.publisher.close()
        assert len(await stage.envelopes()) == 1


class MemoryStage(Stage):
    def __init__(self) -> None:
        self.publisher: MemoryPublisher = MemoryPublisher()

    async def envelopes(self) -> list[Envelope]:
        return self.publisher.envelopes

    async def letters(self) -> list[DeadLetter]:
        return self.publisher.letters


class TestFake(PublisherContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return MemoryStage()

    @pytest.mark.parametrize(("fault", "kept"), [("lost", 0), ("applied", 1), ("slow", 1)])
    async def test_each_fault_does_what_its_name_says(self, fault: Fault, kept: int) -> None:
        publisher = MemoryPublisher([fault])
        with contextlib.suppress(BrokerUnavailable):
            await publisher.publish([one(b"x")])
        assert len(publisher.envelopes) == kept
        await publisher.publish([one(b"x")])
        assert len(publisher.envelopes) == kept + 1


def settings_of(engines: EngineState, **changes: object) -> KafkaSettings:
    """How to reach the engines of the test suite."""
    values: dict[str, object] = {
        "bootstrap_servers": engines.kafka_bootstrap,
        "security_protocol": engines.kafka_security_protocol,
        "sasl_mechanism": engines.kafka_mechanism,
        "username": engines.kafka_username,
        "password": SecretStr(engines.kafka_password),
        "publish_deadline_s": 20,
    }
    return KafkaSettings.model_validate(values | changes)


class KafkaStage(Stage):
    """Topics of its own on the real Kafka."""

    def __init__(self, settings: KafkaSettings) -> None:
        name = f"skytrail-test.publisher.{secrets.token_hex(4)}"
        self.raw, self.dead = f"{name}.raw", f"{name}.dead"
        self._settings = settings
        self.publisher = KafkaPublisher(settings, raw_topic=lambda _format: self.raw, dead_letter_topic=self.dead)

    async def create(self) -> None:
        async with self._admin() as admin:
            await admin.create_topics(
                [
                    NewTopic(topic, 2, 1, topic_configs={"max.message.bytes": str(self._settings.max_message_bytes)})
                    for topic in (self.raw, self.dead)
                ]
            )

    async def delete(self) -> None:
        await self.publisher.close()
        async with self._admin() as admin:
            await admin.delete_topics([self.raw, self.dead])

    async def envelopes(self) -> list[Envelope]:
        return [envelope.decode(value) for value in await self._read(self.raw)]

    async def letters(self) -> list[DeadLetter]:
        return [dead_letter.decode(value) for value in await self._read(self.dead)]

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**client_options(self._settings))
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    async def _read(self, topic: str) -> list[bytes]:
        consumer = AIOKafkaConsumer(
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_bytes=64 * 1024 * 1024,
            max_partition_fetch_bytes=self._settings.max_message_bytes,
            **client_options(self._settings),
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, number) for number in range(2)]
            consumer.assign(partitions)
            found: list[bytes] = []
            total = sum((await consumer.end_offsets(partitions)).values())
            async with asyncio.timeout(30):
                while len(found) < total:
                    batches = await consumer.getmany(timeout_ms=500)
                    found += [message.value for batch in batches.values() for message in batch]
            return found
        finally:
            await consumer.stop()


@pytest.mark.engines
class TestKafka(PublisherContract):
    @pytest.fixture
    async def stage(self, engines: EngineState) -> AsyncIterator[Stage]:  # type: ignore[override]
        stage = KafkaStage(settings_of(engines))
        await stage.create()
        yield stage
        await stage.delete()

    async def test_a_topic_that_is_not_there_is_named_with_the_command_that_creates_it(
        self, engines: EngineState
    ) -> None:
        settings = settings_of(engines, publish_deadline_s=3)
        publisher = KafkaPublisher(settings, raw_topic="skytrail-test.no.{}".format, dead_letter_topic="none")
        with pytest.raises(BrokerUnavailable, match=r"skytrail-test\.no\.lines.*skytrail topics"):
            await publisher.publish([one(b"x")])
        await publisher.close()

    async def test_a_wrong_password_is_named_and_is_not_shown(self, engines: EngineState) -> None:
        settings = settings_of(engines, password="wrong-password", publish_deadline_s=5)
        publisher = KafkaPublisher(settings, raw_topic=str, dead_letter_topic="none")
        with pytest.raises(BrokerUnavailable, match="connecting to Kafka") as raised:
            await publisher.probe()
        assert "wrong-password" not in str(raised.value)
        assert engines.kafka_bootstrap in str(raised.value)
        await publisher.close()

    async def test_a_publish_after_a_failed_one_begins_anew(self, stage: Stage) -> None:
        assert isinstance(stage, KafkaStage)
        assert isinstance(stage.publisher, KafkaPublisher)
        await stage.publisher.publish([one(b"before")])
        producer = stage.publisher._producer
        stage.publisher._give_up(producer)
        await stage.publisher.publish([one(b"after")])
        assert stage.publisher._producer is not producer
        assert sorted(each.records for each in await stage.envelopes()) == [(b"after",), (b"before",)]


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


async def test_brokers_that_are_away_are_named_with_what_to_do() -> None:
    address = nobody()
    settings = KafkaSettings(bootstrap_servers=address, security_protocol="PLAINTEXT", publish_deadline_s=2)
    publisher = KafkaPublisher(settings, raw_topic=str, dead_letter_topic="dead")
    before = asyncio.all_tasks()
    for _ in range(2):
        with pytest.raises(BrokerUnavailable, match=rf"connecting to Kafka.*{address}.*skytrail doctor"):
            await publisher.publish([one(b"x")])
    await publisher.close()
    assert asyncio.all_tasks() == before


async def test_a_broker_that_accepts_and_never_answers_ends_at_the_deadline() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    settings = KafkaSettings(bootstrap_servers=address, security_protocol="PLAINTEXT", publish_deadline_s=0.5)
    publisher = KafkaPublisher(settings, raw_topic=str, dead_letter_topic="dead")
    async with asyncio.timeout(5):
        with pytest.raises(BrokerUnavailable, match="connecting to Kafka"):
            await publisher.publish([one(b"x")])
        await publisher.close()
    server.close()


def test_an_authority_that_cannot_be_read_is_refused() -> None:
    settings = KafkaSettings.model_validate({"security_protocol": "SSL", "ca_file": "/nonexistent/ca.pem"})
    with pytest.raises(ConfigError, match=r"reading the brokers' authority.*/nonexistent/ca\.pem"):
        client_options(settings)
