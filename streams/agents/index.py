"""Index: every record of a raw topic becomes a document, a known duplicate, a dead letter, or is filtered by name.

While a batch is being written the next one is prepared; batches finish and are acknowledged strictly in order.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import faust

from ingest.pseudonyms.pseudonyms import Pseudonyms
from ingest.schema.envelope import Position
from storage.index.bulk import BulkItem, Outcome
from storage.index.documents import serialise
from streams.accounting import CONFLICT, CREATED, DEAD_LETTERED, FILTERED, RECEIVED, source_key
from streams.accounts import Accounts
from streams.conflicts import Conflict, encode_conflicts
from streams.naming import Namer
from streams.preparing import Limits, PreparedMessage, letter_of_document, prepare
from streams.pseudonyms import NO_PSEUDONYMS, indexed
from streams.runtime import BatchCount, Runtime, partitions_of, place_of
from streams.stamping import DocumentStamps
from streams.topics import CONFLICTS

ROLE = "index"
Batch = Sequence[faust.EventT[bytes]]


KeepOut = Callable[[PreparedMessage], dict[int, str]]
"""Place of a record in `PreparedMessage.records` → name of the rule that keeps it out of the index."""


class Writer(Protocol):
    """What the agent needs of `storage.index.writer`."""

    async def write(self, items: Sequence[BulkItem]) -> Outcome:
        """Return when every item is created, known or refused for good."""
        ...


class Owner(NamedTuple):
    """What an item stands for; the document itself is gone once it is bytes, a batch of them would fill the memory."""

    message: PreparedMessage
    position: Position
    record: bytes
    leaf: bytes


@dataclass(slots=True)
class Work:
    """One batch on its way.

    Attributes:
        owners: What each item stands for.
        tally: Outcomes per message offset.
    """

    batch: Batch
    messages: list[PreparedMessage]
    items: list[BulkItem] = field(default_factory=list)
    owners: list[Owner] = field(default_factory=list)
    tally: dict[Position, Counter[str]] = field(default_factory=dict)


class IndexAgent:
    """Handler of the raw topics in the role index."""

    def __init__(
        self,
        runtime: Runtime,
        accounts: Accounts,
        writer: Writer,
        *,
        namer: Namer,
        limits: Limits,
        keep_out: KeepOut,
        stamps: DocumentStamps,
        pseudonyms: Pseudonyms = NO_PSEUDONYMS,
    ) -> None:
        """Compose; the first batch opens the connections."""
        self._runtime = runtime
        self._accounts = accounts
        self._writer = writer
        self._namer = namer
        self._limits = limits
        self._keep_out = keep_out
        self._stamps = stamps
        self._pseudonyms = pseudonyms
        self._pending: asyncio.Task[None] | None = None

    async def handle(self, batch: Batch) -> None:
        """Prepare this batch while the previous one is written; then hand it over."""
        work = await self._prepare(batch)
        if self._pending is not None:
            await self._pending
        self._pending = asyncio.create_task(self._finish(work))
        self._pending.add_done_callback(self._note_failure)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        """A batch that could not be finished must end the worker even if no other batch follows."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._runtime.fail(error)

    async def _prepare(self, batch: Batch) -> Work:
        work = Work(batch, [])
        with self._runtime.telemetry.stage.labels(ROLE, "prepare").time():
            for event in batch:
                message = prepare(event.message.value, place_of(event), self._runtime.now(), self._limits)
                await self._stamps.refresh([message.header.namespace] if message.header else [])
                self._add(work, message)
                await asyncio.sleep(0)
        return work

    def _add(self, work: Work, message: PreparedMessage) -> None:
        work.messages.append(message)
        tally = Counter({RECEIVED: message.received})
        work.tally[message.position] = tally
        kept_out = self._keep_out(message)
        for place, prepared in enumerate(message.records):
            if place in kept_out:
                tally[FILTERED] += 1
                tally[f"{FILTERED}:{kept_out[place]}"] += 1
                continue
            document = indexed(self._pseudonyms, prepared.identified.document)
            stream = document["data_stream"]
            assert message.header is not None
            self._stamps.stamp(document, prepared.event_time, message.header.received_at)
            index = self._namer(stream["dataset"], stream["namespace"], prepared.event_time)
            work.items.append(BulkItem(index=index, id=prepared.identified.id, body=serialise(document)))
            work.owners.append(Owner(message, prepared.position, prepared.record, prepared.identified.leaf))
        message.records.clear()

    async def _finish(self, work: Work) -> None:
        """Write, bury, note conflicts, count, acknowledge: in this order, each durable before the next."""
        with self._runtime.telemetry.stage.labels(ROLE, "write").time():
            outcome = await self._writer.write(work.items) if work.items else None
        accounts = await self._accounts.of(partitions_of(work.batch))
        count = BatchCount(accounts, self._runtime.telemetry, ROLE)
        conflicts = self._settle(work, outcome, count) if outcome else []
        letters = [letter for message in work.messages for letter in message.letters]
        for letter in letters:
            place = letter.position
            assert place is not None
            work.tally[Position(place.topic, place.partition, place.offset)][DEAD_LETTERED] += 1
        await self._runtime.bury(letters)
        await self._runtime.producer.send(CONFLICTS, [(key, value, None) for key, value in encode_conflicts(conflicts)])
        for message in work.messages:
            source = source_key(message.header)
            count.add(message.position, source, **work.tally[message.position])
            self._runtime.telemetry.bytes.labels(ROLE, source).inc(message.size)
            if message.header is not None:
                delay = (self._runtime.now() - message.header.received_at).total_seconds()
                self._runtime.telemetry.delay.labels(ROLE).observe(max(0.0, delay))
        await self._accounts.save(count.finish(message.position for message in work.messages))
        for event in work.batch:
            event.ack()
        self._runtime.progress.done()

    def _settle(self, work: Work, outcome: Outcome, count: BatchCount) -> list[Conflict]:
        """Book the outcome of each item; returns the conflicts of messages that were not counted before."""
        for position in outcome.created:
            work.tally[work.owners[position].message.position][CREATED] += 1
        conflicts = []
        for position in sorted([*outcome.duplicate, *outcome.uncertain]):
            owner = work.owners[position]
            message = owner.message
            work.tally[message.position][CONFLICT] += 1
            if count.is_new(message.position):
                item = work.items[position]
                conflicts.append(
                    Conflict(
                        source=source_key(message.header),
                        index=item.index,
                        id=item.id,
                        leaf=owner.leaf.hex(),
                        position=owner.position,
                    )
                )
        for position, kind, reason in outcome.refused:
            owner = work.owners[position]
            index, now = work.items[position].index, self._runtime.now()
            letter = letter_of_document(owner.message, owner.position, owner.record, f"{kind}: {reason}", index, now)
            owner.message.letters.append(letter)
        return conflicts
