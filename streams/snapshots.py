"""Snapshots: the state of an agent, kept so that a crash or a rebalance neither loses nor doubles anything.

The state of a partition follows from the messages of that partition alone. So it is written only every few seconds, to
a compacted topic, with the offset up to which it goes; whoever takes over reads the newest one and then the messages
since, silently: what those led to was with the brokers before they were acknowledged. A message takes effect once.

A snapshot is many messages: one for each group that changed since the one before, then the mark. A worker that dies in
between leaves groups that are ahead of the mark; each carries its own offset, and skips what it knows.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec
import structlog

from ingest.schema.errors import IntegrityError
from streams.partition_log import PartitionLog
from streams.produce import Message, Sink

SNAPSHOT_S = 15.0
VERSION = 2

log = structlog.get_logger("skytrail.snapshots")


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """A value of the topic.

    Attributes:
        partition: Of the source topic.
        offset: Every message of that partition below it is in the body.
    """

    version: int
    partition: int
    offset: int
    body: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Restored:
    """What is known of a partition.

    Attributes:
        offset: Of the mark: every group has at least the messages below it.
        mark: Body of the mark; None when there is no snapshot yet.
        groups: Key → (offset, body).
    """

    offset: int
    mark: bytes | None
    groups: Mapping[bytes, tuple[int, bytes]]


class Snapshots:
    """The snapshots of all partitions of a topic that this worker has."""

    def __init__(
        self,
        topic: str,
        source: str,
        log: PartitionLog,
        sink: Sink,
        *,
        interval_s: float = SNAPSHOT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Compose.

        Args:
            topic: Compacted; its partitions are those of `source`, or fewer.
            source: Topic whose messages make the state.
            interval_s: Seconds between snapshots of a partition: what is read again after a crash.
        """
        self._topic = topic
        self._source = source
        self._log = log
        self._sink = sink
        self._interval_s = interval_s
        self._monotonic = monotonic
        self._written: dict[int, float] = {}

    async def restore(self, partition: int) -> Restored:
        """The newest snapshot of a partition; `since` has what came after it.

        Raises:
            IntegrityError: What is kept can't be read: going on would lose or double something.
        """
        newest: dict[bytes, _Kept] = {}
        async for _, key, value in self._log.stretch(self._topic, await self._place(partition)):
            if not value:
                newest.pop(key, None)
                continue
            kept = self._decode(value)
            if kept.partition == partition and (key not in newest or kept.offset >= newest[key].offset):
                newest[key] = kept
        mark = newest.pop(_mark_key(partition), None)
        if mark is not None:  # without one the first snapshot is due at once
            self._written[partition] = self._monotonic()
        return Restored(
            offset=mark.offset if mark else 0,
            mark=bytes(mark.body) if mark else None,
            groups={key: (kept.offset, bytes(kept.body)) for key, kept in newest.items()},
        )

    async def since(self, partition: int, start: int, until: int) -> AsyncIterator[tuple[int, bytes]]:
        """The messages [start, until) of the source, (offset, value): what happened since a snapshot."""
        expected = start
        if start < until:
            async for offset, _, value in self._log.stretch(self._source, partition, start, until):
                if offset > expected and expected == start > 0:
                    log.warning("messages since a snapshot are gone", topic=self._source, missing=offset - start)
                expected = offset + 1
                yield offset, value

    def due(self, partition: int) -> bool:
        """Whether it is time for the next snapshot."""
        written = self._written.get(partition)
        return written is None or self._monotonic() - written >= self._interval_s

    async def save(self, partition: int, offset: int, groups: Iterable[tuple[bytes, bytes]], mark: bytes) -> None:
        """Write a snapshot; returns when the brokers have it.

        Args:
            partition: Of the source topic.
            offset: The next message of it that is not in the state yet.
            groups: Key and body of each group that changed; an empty body deletes the key.
            mark: What belongs to the partition as a whole; msgpack.
        """
        place = await self._place(partition)
        messages: list[Message] = [
            (key, self._encode(partition, offset, body) if body else b"", place) for key, body in groups
        ]
        await self._sink.send(self._topic, messages)
        await self._sink.send(self._topic, [(_mark_key(partition), self._encode(partition, offset, mark), place)])
        self._written[partition] = self._monotonic()

    async def _place(self, partition: int) -> int:
        return partition % await self._sink.partitions(self._topic)

    def _encode(self, partition: int, offset: int, body: bytes) -> bytes:
        return _encoder.encode(_Kept(VERSION, partition, offset, msgspec.Raw(body)))

    def _decode(self, value: bytes) -> _Kept:
        try:
            kept = _decoder.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise IntegrityError(f"reading snapshots: {exc}", where=self._topic) from exc
        if kept.version != VERSION:
            raise IntegrityError(
                f"reading snapshots: version {kept.version}, this build reads {VERSION}", where=self._topic
            )
        return kept


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Kept)


def _mark_key(partition: int) -> bytes:
    return f"mark|{partition}".encode()
