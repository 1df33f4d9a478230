"""How far each shard is acknowledged; survives a restart.

One JSON file, replaced durably as a whole. It names the stream it belongs to: another one with the same name, made
anew, has other sequence numbers.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec

from ingest.transports.checkpoints.document import Versioned, load, store

_OTHERWISE = "the stream is then read from its oldest record, repeats count as duplicates"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """Which stream.

    Attributes:
        created_at: A stream that is deleted and made anew has the same ARN.
    """

    arn: str
    created_at: dt.datetime


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far one shard is acknowledged.

    Attributes:
        sequence: Number of the last acknowledged record; "" before the first.
        reached_at: All that arrived before this time is acknowledged (UTC).
        done: The shard is closed, and all of it is acknowledged.
    """

    sequence: str = ""
    reached_at: dt.datetime
    done: bool = False


class _Document(Versioned, kw_only=True):
    stream: Stream
    start_at: dt.datetime | None
    shards: dict[str, Mark]


class Checkpoint:
    """Marks by shard.

    Args:
        file: Where they are kept.

    Attributes:
        stream: Whose they are; None before `begin`, where there is no file.
        start_at: Arrival time at which shards without a mark begin; None: with their oldest record.
        shards: Replace marks by `put`.

    Raises:
        ConfigError: The file is there and can't be read.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        found = load(file, _Document, otherwise=_OTHERWISE)
        self.stream = found.stream if found else None
        self.start_at = found.start_at if found else None
        self.shards: dict[str, Mark] = found.shards if found else {}
        self._dirty = False

    def begin(self, stream: Stream, start_at: dt.datetime | None) -> None:
        """Forget everything; from now on a stream is read whose shards begin at a time, or with their oldest record."""
        self.stream, self.start_at, self.shards = stream, start_at, {}
        self._dirty = True

    def put(self, shard: str, mark: Mark) -> None:
        """Note how far a shard is acknowledged; `save` makes it durable."""
        self.shards[shard] = mark
        self._dirty = True

    def forget(self, shard: str) -> None:
        """The stream no longer knows this shard."""
        self._dirty = self.shards.pop(shard, None) is not None or self._dirty

    def save(self) -> None:
        """Write what changed.

        Raises:
            OSError: The file can't be written; the old one stays.
        """
        if not self._dirty or self.stream is None:
            return
        self._dirty = False
        document = _Document(stream=self.stream, start_at=self.start_at, shards=self.shards)
        try:
            store(self.file, document)
        except OSError:
            self._dirty = True
            raise
