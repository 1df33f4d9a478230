"""Reads the dead-letter topic, with a throw-away consumer up to its present end, and what was redriven of it.

The topic is append-only. That a letter was redriven stands in the compacted topic of redrives, keyed by its id.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ingest.kafka_client import client_options
from ingest.schema import dead_letter
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.envelope import Position
from ingest.schema.errors import BrokerUnavailable, StoreUnavailable, UnsupportedEnvelope
from ingest.settings import KafkaSettings
from storage.archive.objects import get_object
from storage.archive.store import ArchiveStore
from storage.datakeys.keys import DataKeys
from streams.accounts import read_compacted
from streams.topics import DEAD_LETTERS, REDRIVES

START_TIMEOUT_S = 20.0
STALL_TIMEOUT_S = 30.0
_AT_ONCE = 100  # messages

OnUnreadable = Callable[[Position, UnsupportedEnvelope], None]
"""Told where the topic holds something that is no dead letter."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters; what is None does not matter."""

    stage: str | None = None
    reason: str | None = None
    namespace: str | None = None

    def __call__(self, letter: DeadLetter) -> bool:
        """Whether this letter is one of them."""
        return (
            self.stage in (None, letter.stage)
            and self.reason in (None, letter.reason)
            and self.namespace in (None, namespace_of(letter))
        )


class Redrive(msgspec.Struct, frozen=True, kw_only=True):
    """That a letter was sent on its way again.

    Attributes:
        letter: Its id.
        at: When, last (UTC).
        records: Records published then.
        times: How often so far.
    """

    letter: str
    at: dt.datetime
    records: int
    times: int = 1


@dataclass(frozen=True, slots=True)
class Filed:
    """A letter without its body, as a list shows it."""

    id: str
    letter: DeadLetter


@dataclass(slots=True)
class Listing:
    """The newest letters, newest first, and how many there are in all."""

    letters: list[Filed]
    total: int


def namespace_of(letter: DeadLetter) -> str:
    """Whose it is; empty for a message that was no envelope."""
    return letter.header.namespace if letter.header else ""


async def read_letters(kafka: KafkaSettings, on_unreadable: OnUnreadable) -> AsyncGenerator[DeadLetter, None]:
    """Every letter that is in the topic now, oldest first within a partition; a replayed one comes again.

    Holds one fetch of messages at a time, whatever the size of the topic.

    Raises:
        BrokerUnavailable: Kafka does not answer, or there is no such topic.
    """
    consumer = AIOKafkaConsumer(
        DEAD_LETTERS, **client_options(kafka), enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await consumer.start()
            left = await consumer.end_offsets(list(consumer.assignment()))
            await consumer.seek_to_beginning()
        while left := {tp: end for tp, end in left.items() if await consumer.position(tp) < end}:
            async with asyncio.timeout(STALL_TIMEOUT_S):
                found = await _some(consumer, list(left))
            for tp, messages in found.items():
                for message in messages:
                    if message.offset >= left[tp]:
                        break
                    try:
                        yield dead_letter.decode(message.value or b"")
                    except UnsupportedEnvelope as exc:
                        on_unreadable(Position(tp.topic, tp.partition, message.offset), exc)
    except (KafkaError, TimeoutError) as exc:
        raise BrokerUnavailable(
            f"reading dead letters: {str(exc) or type(exc).__name__}",
            where=f"{kafka.bootstrap_servers}, topic {DEAD_LETTERS}",
            mend="`skytrail doctor` tells whether the brokers answer; `skytrail topics` creates the topics",
        ) from exc
    finally:
        await consumer.stop()


async def _some(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, list[Any]]:
    """The next messages; waits for them."""
    while True:
        if found := await consumer.getmany(*partitions, timeout_ms=500, max_records=_AT_ONCE):
            return dict(found)


async def newest(
    letters: AsyncIterator[DeadLetter], wanted: Callable[[DeadLetter], bool], limit: int | None
) -> Listing:
    """The newest of the wanted letters, without bodies; a letter that was written twice, after a replay, stands once.

    Args:
        letters: In any order.
        wanted: Chooses.
        limit: How many; None for all, then memory grows with their number.
    """
    heap: list[tuple[float, str]] = []
    kept: dict[str, Filed] = {}
    seen: set[bytes] = set()
    async for letter in letters:
        if not wanted(letter):
            continue
        key = letter.id
        seen.add(bytes.fromhex(key))
        if key in kept:
            continue
        kept[key] = Filed(key, msgspec.structs.replace(letter, body=b""))
        heapq.heappush(heap, (letter.refused_at.timestamp(), key))
        if limit is not None and len(heap) > limit:
            del kept[heapq.heappop(heap)[1]]
    return Listing([kept[key] for _, key in sorted(heap, reverse=True)], len(seen))


async def find(letters: AsyncIterator[DeadLetter], ids: Collection[str]) -> dict[str, DeadLetter]:
    """The letters of these ids, as far as there are; reads no further than needed."""
    found: dict[str, DeadLetter] = {}
    async for letter in letters:
        if letter.id in ids:
            found[letter.id] = letter
            if len(found) == len(set(ids)):
                break
    return found


async def read_redrives(kafka: KafkaSettings) -> dict[str, Redrive]:
    """What was redriven so far, by letter id.

    Raises:
        BrokerUnavailable: Kafka does not answer.
    """
    try:
        async with asyncio.timeout(START_TIMEOUT_S + STALL_TIMEOUT_S):
            messages = await read_compacted(kafka, REDRIVES)
    except (KafkaError, TimeoutError) as exc:
        raise BrokerUnavailable(
            f"reading redrives: {str(exc) or type(exc).__name__}", where=f"{kafka.bootstrap_servers}, topic {REDRIVES}"
        ) from exc
    return {redrive.letter: redrive for redrive in map(decode_redrive, (value for _, value in messages))}


def encode_redrives(redrives: Iterable[Redrive]) -> list[tuple[bytes | None, bytes, int | None]]:
    """Messages for the topic of redrives."""
    return [(each.letter.encode(), msgspec.msgpack.encode(each), None) for each in redrives]


def decode_redrive(value: bytes) -> Redrive:
    """Read a message of the topic of redrives.

    Raises:
        UnsupportedEnvelope: It is none.
    """
    try:
        return msgspec.msgpack.decode(value, type=Redrive)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise UnsupportedEnvelope(f"decoding redrive: {exc}", where=REDRIVES) from exc


def body_of(letter: DeadLetter, store: ArchiveStore, keys: DataKeys | None = None) -> bytes:
    """The original bytes, from the letter or from the archive.

    Raises:
        StoreUnavailable: The archive does not answer, or holds no such object.
        Refused: The object is encrypted, and its data key is not here.
    """
    if not letter.object_key:
        return letter.body
    body = get_object(store, letter.object_key, keys)
    if body is None:
        raise StoreUnavailable(
            "reading the body of a dead letter: the archive holds no such object",
            where=letter.object_key,
            mend="point archive.directory to the archive of the collector that wrote this letter",
        )
    return body
