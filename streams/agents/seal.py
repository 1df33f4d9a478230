"""Seal: every message of the raw topics and of the dead letters goes into the archive, exactly as received.

A batch is sealed as one segment per namespace and partition. It is acknowledged only after every segment of it is
fsynced; what the archive already holds (a replay) is compared with it and skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import faust

from ingest.backoff import Backoff
from ingest.schema import dead_letter
from ingest.schema.envelope import Position
from ingest.schema.errors import StoreUnavailable, UnsupportedEnvelope
from storage.archive.sealer import PartitionSealer, SealedMessage, SealReport
from streams.accounting import COLLECT_REFUSED, LETTERS, RECEIVED, SEALED, source_key
from streams.accounts import Accounts
from streams.runtime import BatchCount, Runtime, partitions_of, place_of
from streams.topics import DEAD_LETTERS

ROLE = "seal"
Batch = Sequence[faust.EventT[bytes]]
OpenSealer = Callable[[str, int], PartitionSealer]


class SealAgent:
    """Handler of the role seal."""

    def __init__(self, runtime: Runtime, accounts: Accounts, open_sealer: OpenSealer) -> None:
        """Compose; a sealer is opened at the first message of its partition."""
        self._runtime = runtime
        self._accounts = accounts
        self._open = open_sealer
        self._sealers: dict[tuple[str, int], PartitionSealer] = {}

    def forget(self) -> None:
        """After a rebalance another worker may have sealed further: read the chains again."""
        self._sealers.clear()

    async def handle(self, batch: Batch) -> None:
        """Seal a batch, count it, acknowledge it."""
        values: dict[tuple[str, int], dict[int, bytes]] = {}
        for event in batch:
            message = event.message
            values.setdefault((message.topic, message.partition), {})[message.offset] = message.value or b""
        sealed_messages: dict[tuple[str, int], list[SealedMessage]] = {}
        with self._runtime.telemetry.stage.labels(ROLE, "seal").time():
            for place, of_partition in values.items():
                try:
                    sealed_messages[place] = await self._seal(place, of_partition)
                except BaseException:
                    self._sealers.pop(place, None)  # it may hold half a batch; a new one reads where the chains end
                    raise
        accounts = await self._accounts.of(partitions_of(batch))
        count = BatchCount(accounts, self._runtime.telemetry, ROLE)
        for (topic, partition), messages in sealed_messages.items():
            for sealed in messages:
                self._count(count, topic, partition, sealed, values[topic, partition][sealed.offset])
        await self._accounts.save(count.finish(place_of(event) for event in batch))
        for event in batch:
            event.ack()
        self._runtime.progress.done()

    async def _seal(self, partition: tuple[str, int], messages: dict[int, bytes]) -> list[SealedMessage]:
        """Seal one partition's messages, in segments within the limits; waits for a store that is away, for ever."""
        sealer = self._sealers.get(partition)
        if sealer is None:
            sealer = self._sealers[partition] = self._open(*partition)

        async def attempt() -> SealReport:
            try:
                return await asyncio.to_thread(sealer.seal)
            except StoreUnavailable as exc:
                self._runtime.waiting(f"archive: {exc}")
                raise

        sealed: list[SealedMessage] = []
        for offset, value in sorted(messages.items()):
            sealer.add(offset, value)
            if sealer.due():
                sealed += (await Backoff().forever(attempt)).messages
        return [*sealed, *(await Backoff().forever(attempt)).messages]

    def _count(self, count: BatchCount, topic: str, partition: int, sealed: SealedMessage, value: bytes) -> None:
        """Book one message; a letter of stage `collect` is the only trace of what it refused: it counts as received."""
        from_place = Position(topic, partition, sealed.offset)
        if topic != DEAD_LETTERS:
            source = source_key(sealed.header)
            count.add(from_place, source, **{RECEIVED: sealed.records, SEALED: sealed.records})
            return
        try:
            letter = dead_letter.decode(value)
        except UnsupportedEnvelope:
            count.add(from_place, source_key(None), **{LETTERS: 1})
            return
        outcome = COLLECT_REFUSED if letter.stage == "collect" else LETTERS
        count.add(from_place, source_key(letter.header), **{outcome: 1})
