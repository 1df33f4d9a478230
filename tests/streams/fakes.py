"""Kafka, Elasticsearch and their failures as plain lists and dicts, for agents under test.

Every effect goes through `Faults`: at one chosen effect the process "dies", before it happened or after.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

import orjson

from ingest.schema.envelope import Position
from ingest.settings import KafkaSettings
from storage.archive.store import ArchiveStore
from storage.index import conflicts as stored
from storage.index.bulk import BulkItem, Outcome
from streams.accounting import merge_latest
from streams.accounts import Accounts
from streams.produce import Message, Producer, partition_for
from streams.runtime import Runtime
from streams.settings import WorkerSettings
from streams.snapshots import Snapshots
from streams.topics import ACCOUNTING

T = TypeVar("T")
PARTITIONS = 2


class Killed(Exception):
    """The process ended here."""


@dataclass(slots=True)
class Faults:
    """When the process dies: at effect number `at` of its life, "lost" before it or "applied" after it.

    Attributes:
        lives: (at, how) of one life after the other; without an entry a life does not end early.
    """

    lives: list[tuple[int, Literal["lost", "applied"]]] = field(default_factory=list)
    effects: int = 0

    def reborn(self) -> None:
        """A new process: the next entry counts, from its first effect on."""
        self.effects = 0
        del self.lives[:1]

    def effect(self, apply: Callable[[], T]) -> T:
        """Let something happen that outlives the process."""
        number, self.effects = self.effects, self.effects + 1
        due = bool(self.lives) and self.lives[0][0] == number
        if due and self.lives[0][1] == "lost":
            raise Killed
        result = apply()
        if due:
            raise Killed
        return result


@dataclass(slots=True)
class Brokers:
    """Topics as lists; also the sink and the reader of compacted topics."""

    faults: Faults = field(default_factory=Faults)
    topics: dict[tuple[str, int], list[tuple[bytes | None, bytes]]] = field(default_factory=dict)
    committed: dict[tuple[str, str, int], int] = field(default_factory=dict)

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        for message in messages:  # each may be the last one that got through
            self.faults.effect(lambda message=message: self.append(topic, message))

    def append(self, topic: str, message: Message) -> None:
        key, value, partition = message
        at = partition_for(key, PARTITIONS) if partition is None and key is not None else partition or 0
        self.topics.setdefault((topic, at), []).append((key, value))

    async def partitions(self, _: str) -> int:
        return PARTITIONS

    async def read(self, topic: str) -> list[tuple[bytes, bytes]]:
        return [(key or b"", value) for (name, _), log in self.topics.items() if name == topic for key, value in log]

    async def stretch(
        self, topic: str, partition: int, start: int = 0, end: int | None = None
    ) -> AsyncIterator[tuple[int, bytes, bytes]]:
        for offset, (key, value) in enumerate(self.topics.get((topic, partition), [])[:end]):
            if offset >= start:
                yield offset, key or b"", value

    def values(self, topic: str) -> list[bytes]:
        return [value for (name, _), log in self.topics.items() if name == topic for _, value in log]

    def batches(self, group: str, topic: str, size: int) -> list[list[Any]]:
        """What a consumer of this group would get now, in batches that mix partitions."""
        waiting = [
            Event(Kafka(topic, partition, offset, value), self, group)
            for partition in range(PARTITIONS)
            for offset, (_, value) in enumerate(self.topics.get((topic, partition), []))
            if offset >= self.committed.get((group, topic, partition), 0)
        ]
        waiting.sort(key=lambda event: event.message.offset)
        return [waiting[start : start + size] for start in range(0, len(waiting), size)]

    def ends(self, *topics: str) -> dict[tuple[str, int], int]:
        return {(name, partition): len(log) for (name, partition), log in self.topics.items() if name in topics}

    def accounts(self) -> list[Any]:
        return list(merge_latest(self.values(ACCOUNTING)).values())

    async def fetch(self, place: Position) -> bytes | None:
        return self.topics[place.topic, place.partition][place.offset][1]


@dataclass(frozen=True, slots=True)
class Kafka:
    """A Kafka message as agents see it."""

    topic: str
    partition: int
    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Event:
    """A Faust event: acknowledging commits at once, in order."""

    message: Kafka
    brokers: Brokers
    group: str

    def ack(self) -> None:
        key = (self.group, self.message.topic, self.message.partition)
        assert self.message.offset == self.brokers.committed.get(key, 0), "acknowledged out of order"
        self.brokers.faults.effect(lambda: self.brokers.committed.update({key: self.message.offset + 1}))


@dataclass(slots=True)
class Index:
    """Elasticsearch: create-only, with the answers of the bulk writer.

    Attributes:
        refuses: Document ids that are refused for good.
    """

    faults: Faults
    documents: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)

    async def write(self, items: Sequence[BulkItem]) -> Outcome:
        outcome = Outcome()
        half = len(items) // 2
        for part in (range(half), range(half, len(items))):  # two requests: one may get through alone
            self.faults.effect(lambda part=part: self._apply(items, part, outcome))
        return outcome

    def _apply(self, items: Sequence[BulkItem], part: range, outcome: Outcome) -> None:
        for place in part:
            item = items[place]
            key = item.index, item.id
            if item.operation == "update":
                change = orjson.loads(item.body)
                self.documents[key] = change["doc"] if key in self.documents else change["upsert"]
                outcome.created.append(place)
            elif item.id in self.refuses:
                outcome.refused.append((place, "document_parsing_exception", "no"))
            elif key in self.documents:
                outcome.duplicate.append(place)
            else:
                self.documents[key] = orjson.loads(item.body)
                outcome.created.append(place)

    async def compare(self, conflicts: Sequence[stored.Conflict]) -> list[stored.Verdict]:
        return [
            stored.verdict(each, {"found": found is not None, "_source": found})
            for each in conflicts
            for found in (self.documents.get((each.index, each.id)),)
        ]


@dataclass(frozen=True, slots=True)
class MortalStore:
    """An archive store whose every change may be the last thing that the process does."""

    inner: ArchiveStore
    faults: Faults

    def put(self, key: str, body: bytes, until: dt.datetime | None = None) -> None:
        self.faults.effect(lambda: self.inner.put(key, body, until))

    def swap(self, key: str, expected: bytes | None, body: bytes) -> bool:
        return self.faults.effect(lambda: self.inner.swap(key, expected, body))

    def get(self, key: str) -> bytes | None:
        return self.inner.get(key)

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        return self.inner.keys(prefix, after)

    def folders(self, prefix: str) -> list[str]:
        return self.inner.folders(prefix)

    def delete(self, key: str) -> None:
        self.faults.effect(lambda: self.inner.delete(key))

    def destroy(self, key: str) -> None:
        self.faults.effect(lambda: self.inner.destroy(key))

    def probe(self) -> list[str]:
        return self.inner.probe()


def runtime_on(role: str, brokers: Brokers) -> Runtime:
    """A runtime that writes to these brokers."""
    runtime = Runtime(role, KafkaSettings(bootstrap_servers="127.0.0.1:1"), WorkerSettings())
    runtime.producer = cast("Producer", brokers)
    return runtime


def accounts_on(role: str, brokers: Brokers) -> Accounts:
    """Accounts kept by these brokers."""
    return Accounts(role, brokers.read, brokers)


def snapshots_on(brokers: Brokers, topic: str, source: str, interval_s: float = 0.0) -> Snapshots:
    """Snapshots kept by these brokers; with an interval, by a clock that stands still."""
    return Snapshots(topic, source, brokers, brokers, interval_s=interval_s, monotonic=lambda: 0.0)
