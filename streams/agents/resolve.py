"""Resolve: settles records whose document id was taken, beside the index path and never delaying it.

A conflict is our own replay (counted as indexed), a duplicate, or an equivocation: other bytes under a taken id.
Then the second version is indexed under an id that includes its leaf, and a detection says so: nothing is hidden.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

import faust
import msgspec

from detectors.equivocation import equivocation
from ingest.pseudonyms.pseudonyms import Pseudonyms
from ingest.schema.envelope import Position
from ingest.schema.errors import UnsupportedEnvelope
from ingest.schema.identity import equivocating_id
from storage.index import conflicts as stored
from storage.index.bulk import BulkItem
from storage.index.documents import serialise
from streams.accounting import DEAD_LETTERED, DUPLICATE, EQUIVOCATION, REPLAY
from streams.accounts import Accounts
from streams.agents.detect import place_detections
from streams.agents.index import Writer
from streams.conflicts import Conflict, decode_conflicts
from streams.naming import Namer
from streams.preparing import Limits, PreparedMessage, PreparedRecord, letter_of_document, prepare
from streams.pseudonyms import NO_PSEUDONYMS, under_pseudonyms
from streams.runtime import BatchCount, Runtime, partitions_of, place_of
from streams.stamping import DocumentStamps
from streams.topics import DETECTIONS

ROLE = "resolve"
Batch = Sequence[faust.EventT[bytes]]
Compare = Callable[[Sequence[stored.Conflict]], Awaitable[list[stored.Verdict]]]
MISSING_TRIES = 5
Written = Literal["created", "known", "refused"]


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
        stamps: DocumentStamps,
        pseudonyms: Pseudonyms = NO_PSEUDONYMS,
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
        self._stamps = stamps
        self._pseudonyms = pseudonyms

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
            tallies: dict[Position, dict[str, Counter[str]]] = {}
            for conflict, verdict in zip(conflicts, await self._verdicts(conflicts), strict=True):
                outcome = await self._settle(conflict, verdict)
                tally = tallies.setdefault(msgspec.structs.replace(conflict.position, index=0), {})
                tally.setdefault(conflict.source, Counter())[outcome] += 1
            for raw, tally in tallies.items():
                count.recount(place_of(event), raw, tally)
        await self._accounts.save(count.finish(map(place_of, batch)))
        for event in batch:
            event.ack()
        self._runtime.progress.done()

    async def _verdicts(self, conflicts: Sequence[Conflict]) -> list[stored.Verdict]:
        asked = [stored.Conflict(index=c.index, id=c.id, leaf_hex=c.leaf, position=c.position) for c in conflicts]

        for _ in range(MISSING_TRIES):
            verdicts = await self._runtime.patiently(lambda: self._compare(asked))
            if "missing" not in verdicts:
                return verdicts
            await asyncio.sleep(0.5)
        return verdicts

    async def _settle(self, conflict: Conflict, verdict: stored.Verdict) -> str:
        if verdict == "replay":
            return REPLAY
        if verdict == "duplicate":
            return DUPLICATE
        found = await self._again(conflict.position)
        if found is None:
            return DUPLICATE if verdict == "missing" else EQUIVOCATION
        if verdict == "missing":  # the index was dropped between the refusal and now: write it again
            return REPLAY if await self._write(*found, found[1].identified.id) != "refused" else DEAD_LETTERED
        return await self._equivocate(conflict, *found)

    async def _equivocate(self, conflict: Conflict, message: PreparedMessage, prepared: PreparedRecord) -> str:
        document = prepared.identified.document
        stream = document["data_stream"]
        document["skytrail"]["equivocation_of"] = conflict.id
        new_id = equivocating_id(
            document["skytrail"]["format"], stream["namespace"], prepared.identified.uid, prepared.identified.leaf
        )
        written = await self._write(message, prepared, new_id)
        if written == "refused":
            return DEAD_LETTERED
        if written == "known":
            again = msgspec.structs.replace(conflict, id=new_id, index=self._index_of(prepared))
            if await self._verdicts([again]) == ["duplicate"]:  # the same second version came before by another way
                return DUPLICATE
            # We wrote it ourselves and died before the detection was sent or the count saved: the alert knows its
            # members, so to tell it twice is harmless, and not to tell it would hide it.
        detection = equivocation(document, conflict.index, new_id, prepared.identified.leaf.hex(), conflict.id)
        await self._runtime.producer.send(DETECTIONS, await place_detections(self._runtime.producer, [detection]))
        return EQUIVOCATION

    async def _write(self, message: PreparedMessage, prepared: PreparedRecord, document_id: str) -> Written:
        """Create a document, or bury it when it is refused."""
        index = self._index_of(prepared)
        item = BulkItem(index=index, id=document_id, body=serialise(prepared.identified.document))
        outcome = await self._writer.write([item])
        if outcome.created:
            return "created"
        if not outcome.refused:
            return "known"
        _, kind, reason = outcome.refused[0]
        letter = letter_of_document(
            message, prepared.position, prepared.record, f"{kind}: {reason}", index, self._runtime.now()
        )
        await self._runtime.bury([letter])
        return "refused"

    def _index_of(self, prepared: PreparedRecord) -> str:
        stream = prepared.identified.document["data_stream"]
        return self._namer(stream["dataset"], stream["namespace"], prepared.event_time)

    async def _again(self, place: Position) -> tuple[PreparedMessage, PreparedRecord] | None:
        """The record at a place, prepared anew, and the message it is in."""
        value = await self._runtime.patiently(lambda: self._fetch(place))
        if value is None:
            return None
        message = prepare(
            value, Position(place.topic, place.partition, place.offset), self._runtime.now(), self._limits
        )
        found = next((record for record in message.records if record.position.index == place.index), None)
        if found is None or message.header is None:
            return None
        found = dataclasses.replace(found, identified=under_pseudonyms(self._pseudonyms, found.identified))
        await self._stamps.refresh([message.header.namespace])
        self._stamps.stamp(found.identified.document, found.event_time, message.header.received_at)
        return message, found
