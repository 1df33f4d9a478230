"""Proves topics of a Kafka as a source: Oracle's Streaming, the Kafka endpoint of an Event Hub, one of your own.

Nothing is changed and no group is joined: a collector that reads is not disturbed. What fills the topic (for Oracle the
connector of the audit log) is not asked: the reader may not see it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from ingest.schema.errors import SkytrailError
from ingest.transports.kafka.client import diagnose, meaning, new_consumer, options_of
from ingest.transports.kafka.settings import KafkaSourceSettings
from skytrail.diagnosis.check import Check
from skytrail.onboarding.proving import Asked, Plan, ProofStep

T = TypeVar("T")

_FIRST_S = {"oci.audit": 1800.0}  # audit events appear within about 15 minutes, says Oracle; a connector adds some
_OTHERS_S = 60.0
_FETCH_S = 5.0


@contextlib.asynccontextmanager
async def open_plan(asked: Asked) -> AsyncIterator[Plan]:
    """The steps for a collector of the transport kafka."""
    own = asked.settings.own
    assert isinstance(own, KafkaSourceSettings)
    proof = _TopicProof(own, own.group_id or f"skytrail-{asked.name}")
    steps = [
        ProofStep("brokers", proof.connect),
        ProofStep("topics", proof.topics, ("brokers",)),
        ProofStep("consumer group", proof.group, ("topics",)),
        ProofStep("messages", proof.read, ("topics",)),
    ]
    try:
        yield Plan(steps, _FIRST_S.get(asked.settings.format, _OTHERS_S))
    finally:
        await proof.close()


class _TopicProof:
    """What the brokers say. Partitions are assigned by hand: nobody else in the group loses one."""

    def __init__(self, settings: KafkaSourceSettings, group_id: str) -> None:
        self._settings = settings
        self._group_id = group_id
        self._consumer: AIOKafkaConsumer | None = None
        self._ends: dict[TopicPartition, int] = {}
        self._begins: dict[TopicPartition, int] = {}

    async def close(self) -> None:
        """End the connection."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def connect(self) -> Iterable[Check]:
        """Whether a broker answers, and takes our credentials."""
        consumer = new_consumer(self._settings, self._group_id)
        try:
            await consumer.start()
        except KafkaConnectionError as exc:
            await consumer.stop()
            raise self._error("connecting", await diagnose(self._settings) or exc) from exc
        except (KafkaError, OSError) as exc:
            await consumer.stop()
            raise self._error("connecting", exc) from exc
        self._consumer = consumer
        return [Check("brokers", "ok", f"{self._settings.bootstrap_servers} answers and takes our credentials")]

    async def topics(self) -> Iterable[Check]:
        """Whether each topic is there, and what it holds."""
        rows = await self._answered("listing topics", self._described())
        if missing := [row["topic"] for row in rows if row["error_code"]]:
            mend = "create it or correct topics; a user that may not read a topic does not see it either"
            return [Check("topics", "fail", f"there is no {topic}", mend) for topic in missing]
        places = [TopicPartition(row["topic"], each["partition"]) for row in rows for each in row["partitions"]]
        consumer = self._asking()
        consumer.assign(places)
        self._ends = await self._answered("reading offsets", consumer.end_offsets(places))
        self._begins = await self._answered("reading offsets", consumer.beginning_offsets(places))
        held = sum(self._ends[place] - self._begins[place] for place in places)
        if not held:
            mend = "does anything write to it? For Oracle: is the service connector active?"
            return [Check("topics", "warn", f"{', '.join(self._settings.topics)}: empty", mend)]
        told = f"{', '.join(self._settings.topics)}: {len(places)} partitions, {held:,} messages"
        return [Check("topics", "ok", told)]

    async def group(self) -> Iterable[Check]:
        """Whether we may use the group, how far it is, and whether the topic still has what comes next."""
        consumer = self._asking()
        behind = 0
        for place, end in self._ends.items():
            offset = await self._answered("reading the group's offsets", consumer.committed(place))
            if offset is not None and offset < self._begins[place]:
                gone = self._begins[place] - offset
                mend = "raise the retention of the topic above the longest pause of this collector"
                told = f"{gone:,} messages of {place.topic}/{place.partition} expired before {self._group_id} read them"
                return [Check("consumer group", "warn", told, mend)]
            behind += end - (self._begins[place] if offset is None else offset)
        return [Check("consumer group", "ok", f"{self._group_id} may be used and is {behind:,} messages behind")]

    async def read(self) -> Iterable[Check]:
        """Whether a message can be read."""
        consumer = self._asking()
        filled = next((place for place, end in self._ends.items() if end > self._begins[place]), None)
        if filled is None:
            return [Check("messages", "skipped", "there is none that could be read")]
        consumer.assign([filled])
        consumer.seek(filled, self._begins[filled])
        try:
            async with asyncio.timeout(_FETCH_S):
                await self._answered("reading a message", consumer.getone(filled))
        except TimeoutError:
            mend = "messages of an unfinished transaction can't be read yet; else see the brokers' logs"
            return [Check("messages", "warn", f"none came of {filled.topic}/{filled.partition}", mend)]
        return [Check("messages", "ok", "we may read messages")]

    async def _described(self) -> Sequence[Mapping[str, Any]]:
        """The topics with their partitions; the consumer knows those of a group alone."""
        admin = AIOKafkaAdminClient(**options_of(self._settings))
        await admin.start()
        try:
            found: Sequence[Mapping[str, Any]] = await admin.describe_topics(list(self._settings.topics))
        finally:
            await admin.close()
        return found

    def _asking(self) -> AIOKafkaConsumer:
        assert self._consumer is not None
        return self._consumer

    async def _answered(self, doing: str, call: Awaitable[T]) -> T:
        try:
            return await call
        except (KafkaError, OSError) as exc:
            raise self._error(doing, exc) from exc

    def _error(self, doing: str, error: BaseException) -> SkytrailError:
        return meaning(doing, error, self._settings)
