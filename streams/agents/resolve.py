"""Resolve: settles records whose document id was taken, beside the index path and never delaying it.

A conflict is our own replay (counted as indexed), a duplicate, or an equivocation: other bytes under a taken id.
Then the second version is indexed under an id that includes its leaf, and a detection says so: nothing is hidden.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import faust

from detectors.equivocation import equivocation
from ingest.backoff import Backoff
from ingest.schema.envelope import Position
from ingest.schema.errors import IndexUnavailable, UnsupportedEnvelope
from ingest.schema.identity import equivocating_id
from storage.index import conflicts as stored
from storage.index.bulk import BulkItem
from storage.index.documents import serialise
from streams.accounting import DUPLICATE, EQUIVOCATION, REPLAY
from streams.accounts import Accounts
from streams.agents.detect import place_detections
from streams.agents.index import Writer
from streams.conflicts import Conflict, decode_conflicts
from streams.naming import Namer
from streams.preparing import Limits, PreparedRecord, prepare
from streams.runtime import BatchCount, Runtime, partitions_of, place_of
from streams.topics import DETECTIONS

ROLE = "resolve"
Batch = Sequence[faust.EventT[bytes]]
Compare = Callable[[Sequence[stored.Conflict]], Awaitable[list[stored.Verdict]]]
MISSING_TRIES = 5


class Fetch(Protocol):
    """Reads one raw message again."""

    async def __call__(self, place: Position) -> bytes | None:
        """The value at this place; None when Kafka no longer has it."""
        ...


class ResolveAgent:
    """Handler of the conflicts topic in the role index."""

    def __init__(
        self,
        runtime: Runtime,
        accounts: Accounts,
        *,
        compare: Compare,
        fetch: Fetch,
        writer: Writer,
        namer: Namer,
        limits: Limits,
    ) -> None:
        """Compose.

        Args:
            compare: With the reader identity.
            fetch: Reads raw messages again, for the rare second version.
        """
        self._runtime = runtime
        self._accounts = accounts
        self._compare = compare
        self._fetch = fetch
        self._writer = writer
        self._namer = namer
        self._limits = limits

    async def handle(self, batch: Batch) -> None:
        """Settle a batch of conflicts, count, acknowledge."""
        accounts = await self._accounts.of(partitions_of(batch))
        count = BatchCount(accounts, self._runtime.telemetry, ROLE)
        for event in batch:
            try:
                conflicts = decode_conflicts(event.message.value)
            except UnsupportedEnvelope as exc:
                self._runtime.complain("reading conflicts", place_of(event), exc)
                continue
            tally: dict[str, Counter[str]] = {}
            for conflict, verdict in zip(conflicts, await self._verdicts(conflicts), strict=True):
                outcome = await self._settle(conflict, verdict)
                tally.setdefault(conflict.source, Counter())[outcome] += 1
            for source, outcomes in tally.items():
                count.add(place_of(event), source, **outcomes)
        await self._accounts.save(count.finish(map(place_of, batch)))
        for event in batch:
            event.ack()
        self._runtime.progress.done()

    async def _verdicts(self, conflicts: Sequence[Conflict]) -> list[stored.Verdict]:
        asked = [stored.Conflict(index=c.index, id=c.id, leaf_hex=c.leaf, position=c.position) for c in conflicts]

        async def attempt() -> list[stored.Verdict]:
            try:
                return await self._compare(asked)
            except IndexUnavailable as exc:
                self._runtime.waiting(f"Elasticsearch: {exc}")
                raise

        for _ in range(MISSING_TRIES):
            verdicts = await Backoff().forever(attempt)
            if "missing" not in verdicts:
                return verdicts
            await asyncio.sleep(0.5)
        return verdicts

    async def _settle(self, conflict: Conflict, verdict: stored.Verdict) -> str:
        if verdict == "replay":
            return REPLAY
        if verdict == "duplicate":
            return DUPLICATE
        prepared = await self._again(conflict.position)
        if prepared is None:
            return DUPLICATE if verdict == "missing" else EQUIVOCATION
        if verdict == "missing":  # the index was dropped between the refusal and now: write it again
            await self._write(prepared, prepared.identified.id)
            return REPLAY
        return await self._equivocate(conflict, prepared)

    async def _equivocate(self, conflict: Conflict, prepared: PreparedRecord) -> str:
        document = prepared.identified.document
        stream = document["data_stream"]
        document["skytrail"]["equivocation_of"] = conflict.id
        new_id = equivocating_id(
            document["skytrail"]["format"], stream["namespace"], prepared.identified.uid, prepared.identified.leaf
        )
        created = await self._write(prepared, new_id)
        if not created:  # the same second version came before: a duplicate of it
            return DUPLICATE
        detection = equivocation(document, conflict.index, new_id, prepared.identified.leaf.hex(), conflict.id)
        await self._runtime.producer.send(DETECTIONS, await place_detections(self._runtime.producer, [detection]))
        return EQUIVOCATION

    async def _write(self, prepared: PreparedRecord, document_id: str) -> bool:
        """Create a document; False when this id was taken, too."""
        stream = prepared.identified.document["data_stream"]
        index = self._namer(stream["dataset"], stream["namespace"], prepared.event_time)
        item = BulkItem(index=index, id=document_id, body=serialise(prepared.identified.document))
        outcome = await self._writer.write([item])
        return not outcome.duplicate

    async def _again(self, place: Position) -> PreparedRecord | None:
        """The record at a place, prepared anew."""
        value = await self._fetch(place)
        if value is None:
            return None
        message = prepare(
            value, Position(place.topic, place.partition, place.offset), self._runtime.now(), self._limits
        )
        return next((record for record in message.records if record.position.index == place.index), None)
