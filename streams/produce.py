"""The workers' Kafka producer: a send is done when all required brokers have it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from ingest.kafka_client import client_options
from ingest.settings import KafkaSettings

Message = tuple[bytes | None, bytes, int | None]
"""Key, value (empty: the key is deleted), partition (None: by key, or any)."""


class Sink(Protocol):
    """Where agents send; tests give a list-backed one with faults."""

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Return when every message is acknowledged by the brokers; retries for ever, cancellable."""
        ...

    async def partitions(self, topic: str) -> int:
        """Number of partitions of a topic."""
        ...


def partition_for(key: bytes, partitions: int) -> int:
    """The partition of a key, as the Java client's default partitioner places it."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class Producer:
    """Idempotent, acks=all; retries until the brokers are back, because what is sent here must not be lost."""

    def __init__(self, settings: KafkaSettings, on_wait: Callable[[str], None]) -> None:
        """Build; the first send connects.

        Args:
            on_wait: Told in words why a send is waiting, at each retry.
        """
        self._settings = settings
        self._on_wait = on_wait
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._client()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Flush and close; a later send opens a new connection."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    async def _client(self) -> AIOKafkaProducer:
        """The connected client; waits until the brokers answer."""
        async with self._starting:
            attempt = 0
            while self._producer is None:
                producer = self._build()
                try:
                    await producer.start()
                    self._producer = producer
                except KafkaError as exc:
                    await producer.stop()
                    attempt += 1
                    await self._pause(f"Kafka does not answer: {exc!r}", attempt)
            return self._producer

    def _build(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **client_options(self._settings),
            enable_idempotence=True,
            compression_type="zstd",
            linger_ms=5,
            max_batch_size=512 * 1024,
            max_request_size=self._settings.max_message_bytes,
            request_timeout_ms=int(self._settings.publish_deadline_s * 1000),
        )

    async def _pause(self, reason: str, attempt: int) -> None:
        self._on_wait(reason)
        await asyncio.sleep(random.uniform(0.1, min(30.0, 0.5 * 2**attempt)))  # noqa: S311 - jitter, not a secret

    async def partitions(self, topic: str) -> int:
        """Number of partitions of a topic."""
        return len(await (await self._client()).partitions_for(topic))

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Send and wait until all are acknowledged; what failed is sent again."""
        left = list(messages)
        attempt = 0
        while left:
            left, problem = await self._try(topic, left)
            if left:
                attempt += 1
                await self._pause(f"Kafka does not take messages for {topic}: {problem}", attempt)

    async def _try(self, topic: str, messages: Sequence[Message]) -> tuple[list[Message], str]:
        producer = await self._client()
        futures = []
        failed: list[Message] = []
        problem = ""
        for message in messages:
            key, value, partition = message
            try:
                futures.append((message, await producer.send(topic, value or None, key=key, partition=partition)))
            except KafkaError as exc:
                failed.append(message)
                problem = repr(exc)
        for message, future in futures:
            try:
                await future
            except KafkaError as exc:
                failed.append(message)
                problem = repr(exc)
        return failed, problem
