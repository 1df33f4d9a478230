"""A road through Kafka: envelopes are sent, a running role accounts for their records."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from ingest.kafka_client import client_options
from ingest.publisher import KafkaPublisher
from ingest.schema.envelope import Envelope
from ingest.schema.errors import EngineError
from ingest.settings import KafkaSettings
from streams.accounting import CONFLICT, CREATED, DEAD_LETTERED, FILTERED, Account, decode
from streams.topics import ACCOUNTING, DEAD_LETTERS, raw_topic

PER_PUBLISH = 16  # envelopes, up to 16 MiB
_OUTCOMES = (CREATED, CONFLICT, DEAD_LETTERED, FILTERED)


class Road:
    """Sends envelopes and waits until a role has accounted for them.

    A role saves its account when the outcome of a batch is durable, and just before it acknowledges it: what the
    account says is done. So the end of the road is seen without asking what is being measured.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        namespace: str,
        alive: Callable[[], None],
        *,
        role: str = "index",
        good: str = CREATED,
    ) -> None:
        """Connect later, with `open`.

        Args:
            kafka: Brokers that no other role reads from.
            namespace: Of the records; others are not counted.
            alive: Raises when the role has ended.
            role: Whose account is followed.
            good: What must become of every record.
        """
        self._role = role
        self._good = good
        self._outcomes = _OUTCOMES if good in _OUTCOMES else (good,)
        self._publisher = KafkaPublisher(kafka, raw_topic=raw_topic, dead_letter_topic=DEAD_LETTERS)
        self._consumer = AIOKafkaConsumer(**client_options(kafka), enable_auto_commit=False)
        self._partitions = kafka.partitions
        self._namespace = f"{namespace}|"
        self._alive = alive
        self._accounts: dict[bytes, Account] = {}
        self._sent = 0

    async def open(self) -> None:
        """Connect to the brokers and to the topic of the accounts."""
        await self._publisher.probe()
        await self._consumer.start()
        partitions = [TopicPartition(ACCOUNTING, number) for number in range(self._partitions)]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_beginning(*partitions)

    async def close(self) -> None:
        """Disconnect."""
        await self._publisher.close()
        await self._consumer.stop()

    async def travel(self, envelopes: Sequence[Envelope], timeout_s: float) -> None:
        """Publish, and return when every record is done.

        Raises:
            EngineError: Not in time, or something else became of one than must.
        """
        await self.send(envelopes)
        await self.reach(self._sent, timeout_s)
        if self._done(self._good) != self._sent:
            raise EngineError(f"checking the records: {self._done(self._good)} {self._good} of {self._sent} sent")

    async def send(self, envelopes: Sequence[Envelope]) -> int:
        """Publish; how many records were sent so far."""
        for start in range(0, len(envelopes), PER_PUBLISH):
            await self._publisher.publish(envelopes[start : start + PER_PUBLISH])
        self._sent += sum(len(envelope.records) for envelope in envelopes)
        return self._sent

    async def reach(self, records: int, timeout_s: float) -> int:
        """Return when so many records of all that were ever sent are done; how many are.

        Raises:
            EngineError: Not in time.
        """
        deadline = time.monotonic() + timeout_s
        while (done := self._done()) < records:
            if time.monotonic() > deadline:
                raise EngineError(f"waiting for the role {self._role}: {done} of {records} records in {timeout_s:g} s")
            self._alive()
            for messages in (await self._consumer.getmany(timeout_ms=1000)).values():
                for message in messages:
                    self._accounts[message.key] = decode(message.value)
        return done

    def _done(self, *outcomes: str) -> int:
        """Records of our namespace that the role has accounted for, with these outcomes or any."""
        return sum(
            counts.get(outcome, 0)
            for account in self._accounts.values()
            if account.role == self._role
            for source, counts in account.sources.items()
            if source.startswith(self._namespace)
            for outcome in outcomes or self._outcomes
        )
