"""How far each shard is acknowledged; survives a restart.

One JSON file, replaced durably as a whole. It names the stream it belongs to: another one with the same name, made
anew, has other sequence numbers.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec

from ingest.durable_files import replace_durably
from ingest.schema.errors import ConfigError

VERSION = 1


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


class _Document(msgspec.Struct, kw_only=True):
    version: int
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
        found = _load(file)
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
        document = _Document(version=VERSION, stream=self.stream, start_at=self.start_at, shards=self.shards)
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            replace_durably(self.file, msgspec.json.format(msgspec.json.encode(document), indent=1))
        except OSError:
            self._dirty = True
            raise


def _load(file: Path) -> _Document | None:
    mend = "restore it, or move it away: the stream is then read from its oldest record, repeats count as duplicates"
    try:
        document = msgspec.json.decode(file.read_bytes(), type=_Document)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise ConfigError(f"reading checkpoint: {exc}", where=str(file), mend=mend) from exc
    if document.version != VERSION:
        raise ConfigError(f"reading checkpoint: version {document.version} is unknown", where=str(file), mend=mend)
    return document
