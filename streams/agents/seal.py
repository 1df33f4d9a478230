"""Seal: every message of the raw topics and of the dead letters goes into the archive, exactly as received.

A batch is sealed as one segment per namespace and partition, and each segment is entered in the ledger of its
namespace. The batch is acknowledged only after all of that is fsynced; what the archive already holds (a replay) is
compared with it and skipped. Between batches the ledger is told which chains are idle.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

import faust

from ingest.backoff import Backoff
from ingest.schema import dead_letter
from ingest.schema.envelope import Position
from ingest.schema.errors import StoreUnavailable, UnsupportedEnvelope
from storage.archive.chain import Chain
from storage.archive.seal_report import SealedMessage
from storage.archive.sealer import PartitionSealer
from streams.accounting import COLLECT_REFUSED, LETTERS, RECEIVED, SEALED, source_key
from streams.accounts import Accounts
from streams.runtime import BatchCount, Runtime, partitions_of, place_of
from streams.topics import DEAD_LETTERS

ROLE = "seal"
Batch = Sequence[faust.EventT[bytes]]
Place = tuple[str, int]
OpenSealer = Callable[[str, int], PartitionSealer]
T = TypeVar("T")


class Ledger(Protocol):
    """Where segments are entered; `storage.ledger.notary.Notary`."""

    def record(self, chains: Iterable[Chain]) -> None:
        """Enter what is not there yet of these chains; durable on return."""

    def tell_idle(self, chains: Iterable[Chain]) -> int:
        """Enter a heartbeat for those that had no segment for a while; how many."""

    def keys_end(self) -> dt.datetime:
        """When the keys end that sign now."""

    def sizes(self) -> Mapping[str, int]:
        """Entries of each ledger, by namespace."""


class SealAgent:
    """Handler of the role seal."""

    def __init__(self, runtime: Runtime, accounts: Accounts, open_sealer: OpenSealer, ledger: Ledger) -> None:
        """Compose; a sealer is opened at the first message of its partition, or when it is first found idle."""
        self._runtime = runtime
        self._accounts = accounts
        self._open = open_sealer
        self._ledger = ledger
        self._sealers: dict[Place, PartitionSealer] = {}
        self._sizes: Mapping[str, int] = {}
        self._busy = asyncio.Lock()

    def forget(self) -> None:
        """After a rebalance another worker may have sealed further: read the chains again."""
        self._sealers.clear()

    async def handle(self, batch: Batch) -> None:
        """Seal a batch, enter it in the ledger, count it, acknowledge it."""
        values: dict[Place, dict[int, bytes]] = {}
        for event in batch:
            message = event.message
            values.setdefault((message.topic, message.partition), {})[message.offset] = message.value or b""
        sealed_messages: dict[Place, list[SealedMessage]] = {}
        stage = self._runtime.telemetry.stage
        async with self._busy:
            with stage.labels(ROLE, "seal").time():
                for place, of_partition in values.items():
                    try:
                        sealed_messages[place] = await self._seal(place, of_partition)
                    except BaseException:
                        self._sealers.pop(place, None)  # it may hold half a batch; a new one reads where the chains end
                        raise
            with stage.labels(ROLE, "ledger").time():
                await self._enter(list(values))
        self._measure(sealed_messages.values())
        accounts = await self._accounts.of(partitions_of(batch))
        count = BatchCount(accounts, self._runtime.telemetry, ROLE)
        for (topic, partition), messages in sealed_messages.items():
            for sealed in messages:
                self._count(count, topic, partition, sealed, values[topic, partition][sealed.offset])
        await self._accounts.save(count.finish(place_of(event) for event in batch))
        for event in batch:
            event.ack()
        self._runtime.progress.done()

    async def beat(self, assigned: Iterable[Place]) -> int:
        """Enter what the ledger lacks of the chains of these partitions, and tell which of them are idle; how many."""
        async with self._busy:
            places = list(assigned)
            await self._enter(places)
            idle = await self._patiently(lambda: self._ledger.tell_idle(self._chains(places)))
            self._runtime.telemetry.key_expires.set(self._ledger.keys_end().timestamp())
        self._measure([])
        return idle

    async def _seal(self, place: Place, messages: dict[int, bytes]) -> list[SealedMessage]:
        """Seal one partition's messages, in segments within the limits; waits for a store that is away, for ever."""
        sealer = self._sealer(place)
        sealed: list[SealedMessage] = []
        for offset, value in sorted(messages.items()):
            sealer.add(offset, value)
            if sealer.due():
                sealed += (await self._patiently(sealer.seal)).messages
        return [*sealed, *(await self._patiently(sealer.seal)).messages]

    async def _enter(self, places: Sequence[Place]) -> None:
        await self._patiently(lambda: self._ledger.record(self._chains(places)))

    def _chains(self, places: Iterable[Place]) -> list[Chain]:
        return [chain for place in places for chain in self._sealer(place).chains()]

    def _sealer(self, place: Place) -> PartitionSealer:
        if place not in self._sealers:
            self._sealers[place] = self._open(*place)
        return self._sealers[place]

    async def _patiently(self, work: Callable[[], T]) -> T:
        """Do work that blocks on the store; again while the store is away."""

        async def attempt() -> T:
            try:
                return await asyncio.to_thread(work)
            except StoreUnavailable as exc:
                self._runtime.waiting(f"archive: {exc}")
                raise

        return await Backoff().forever(attempt)

    def _measure(self, batches: Iterable[Sequence[SealedMessage]]) -> None:
        """Tell how far the ledgers are, and how long each record was in nobody's book."""
        now, telemetry = self._runtime.now(), self._runtime.telemetry
        longest: dict[str, float] = {}
        for messages in batches:
            for sealed in messages:
                if sealed.header is not None:
                    delay = max(0.0, (now - sealed.header.received_at).total_seconds())
                    telemetry.delay.labels(ROLE).observe(delay)
                    longest[sealed.namespace] = max(delay, longest.get(sealed.namespace, 0.0))
        for namespace, delay in longest.items():
            telemetry.open_window.labels(namespace).observe(delay)
        sizes = dict(self._ledger.sizes())
        for namespace, size in sizes.items():
            if size != self._sizes.get(namespace):
                telemetry.ledger_entries.labels(namespace).set(size)
                telemetry.ledger_time.labels(namespace).set(now.timestamp())
        self._sizes = sizes

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
