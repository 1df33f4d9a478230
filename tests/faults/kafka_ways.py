"""A topic of a real Kafka as a source: its group changes, its brokers throttle, its producers repeat and abort."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from kafka import KafkaAdminClient
from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest

from ingest.kafka_client import client_options
from tests.faults.aws_ways import trail
from tests.faults.killing import REPEATED
from tests.faults.material import CLOUDTRAIL
from tests.faults.road import SESSION_S, Road

PARTITIONS = 4
_BYTES_A_SECOND = 20_000.0  # that a throttled reader may have: about three bodies
_GUESTS = 2
_STAYS_S = 1.0


class TopicWay:
    """A topic with four partitions.

    Args:
        producers: One that writes plainly, and one whose transactions are aborted.

    Attributes:
        name: Of the topic, its group, and the client that reads it.
        guests: Members that joined the group and left it.
    """

    transport = "kafka"
    format = CLOUDTRAIL

    def __init__(self, road: Road, name: str, producers: tuple[AIOKafkaProducer, AIOKafkaProducer]) -> None:
        self.name = name
        self.guests = 0
        self._road = road
        self._plain, self._aborting = producers
        self._written: list[tuple[int, int]] = []
        self._troubles: asyncio.Task[None] | None = None

    def records(self, rng: random.Random, count: int) -> dict[str, bytes]:
        return trail(rng, count)

    def settings(self, directory: Path) -> dict[str, Any]:
        state = self._road.state
        password = directory / "source.password"
        password.write_text(state.kafka_password)
        return {
            "bootstrap_servers": state.kafka_bootstrap,
            "topics": [self.name],
            "group_id": self.name,
            "security_protocol": state.kafka_security_protocol,
            "sasl_mechanism": state.kafka_mechanism,
            "username": state.kafka_username,
            "password_file": str(password),
            "batch_messages": 5,
            "commit_interval_s": 0.5,
            "session_timeout_s": SESSION_S,
        }

    async def put(self, number: int, records: Sequence[bytes]) -> None:
        """Write a message per record, some of them twice; sometimes other messages go before and are taken back."""
        partition = number % PARTITIONS
        if number % REPEATED == 1:
            await self._aborting.begin_transaction()
            for record in trail(random.Random(number), len(records)).values():
                await self._aborting.send_and_wait(self.name, record, partition=partition)
            await self._aborting.abort_transaction()
        for record in [*records, *(records if number % REPEATED == 0 else ())]:
            there = await self._plain.send_and_wait(self.name, record, partition=partition)
            self._written.append((partition, there.offset))

    async def left(self) -> int:
        """Messages that the group has not committed."""
        async with self._admin() as admin:
            found = await admin.list_consumer_group_offsets(self.name)
        done = {place.partition: meta.offset for place, meta in found.items()}
        return sum(offset >= done.get(partition, 0) for partition, offset in self._written)

    async def members(self) -> int:
        """How many have joined the group and have partitions of it."""
        async with self._admin() as admin:
            (answer,) = await admin.describe_consumer_groups([self.name])
        (group,) = answer.groups
        state, joined = group[2], group[5]
        return len(joined) if state == "Stable" else 0

    def trouble(self) -> None:
        """Throttle the reader, and let others join the group, read nothing and leave."""
        self._troubles = asyncio.create_task(self._throttled_and_visited())

    async def over(self) -> None:
        """Wait for the end of the trouble."""
        if self._troubles is not None:
            await self._troubles

    async def _throttled_and_visited(self) -> None:
        await asyncio.to_thread(self._throttle, _BYTES_A_SECOND)
        try:
            for _ in range(_GUESTS):
                guest = AIOKafkaConsumer(
                    self.name,
                    group_id=self.name,
                    enable_auto_commit=False,
                    session_timeout_ms=int(SESSION_S * 1000),
                    **client_options(self._road.settings.kafka),
                )
                await guest.start()
                await asyncio.sleep(_STAYS_S)
                await guest.stop()
                self.guests += 1
        finally:
            await asyncio.to_thread(self._throttle, None)

    def _throttle(self, bytes_a_second: float | None) -> None:
        """Let the brokers limit what they give to the client of this name; None: no more."""
        asked = AlterClientQuotasRequest.EntryData(
            entity=[AlterClientQuotasRequest.EntryData.EntityData(entity_type="client-id", entity_name=self.name)],
            ops=[
                AlterClientQuotasRequest.EntryData.OpData(
                    key="consumer_byte_rate", value=bytes_a_second or 0.0, remove=bytes_a_second is None
                )
            ],
        )
        with contextlib.closing(KafkaAdminClient(**client_options(self._road.settings.kafka))) as client:
            manager = client._manager  # it has no call for quotas
            answer = manager.run(manager.send, AlterClientQuotasRequest(entries=[asked], validate_only=False))
        assert [entry.error_code for entry in answer.entries] == [0], answer

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**client_options(self._road.settings.kafka))
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


@contextlib.asynccontextmanager
async def topic(road: Road) -> AsyncIterator[TopicWay]:
    """A topic on the engines of the road, which are its sink as well."""
    name = f"orchard.trail.{secrets.token_hex(4)}"
    options = client_options(road.settings.kafka)
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    plain, aborting = AIOKafkaProducer(**options), AIOKafkaProducer(transactional_id=name, **options)
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
        await plain.start()
        await aborting.start()
        way = TopicWay(road, name, (plain, aborting))
        yield way
        await way.over()
    finally:
        await plain.stop()
        await aborting.stop()
        await admin.close()
