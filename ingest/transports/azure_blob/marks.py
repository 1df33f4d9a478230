"""How far each blob was read and acknowledged; survives a restart.

A database of SQLite with a row per blob: a container may hold a million, and one acknowledgement must not write all of
them. It is written at most once a second; a crash repeats what was acknowledged since, and never skips. A blob is known
by its address. The fingerprint of what was read last tells whether it still holds that.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from ingest.schema.errors import ConfigError, StoreUnavailable

TAIL_BYTES = 1024
_VERSION = 1
_LOCKED_S = 0.5  # the longest wait for somebody who looks into the file
_KEPT_DAYS = 30  # the row of a blob that is not listed any longer
_TABLE = """
CREATE TABLE IF NOT EXISTS blobs (
    locator TEXT PRIMARY KEY, offset INTEGER NOT NULL, ordinal INTEGER NOT NULL, tail TEXT NOT NULL,
    tail_bytes INTEGER NOT NULL, whole INTEGER NOT NULL, etag TEXT NOT NULL, size INTEGER NOT NULL,
    modified REAL NOT NULL, seen_day INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_modified ON blobs (modified);
"""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far one blob was acknowledged.

    Attributes:
        locator: Its address without the scheme.
        offset: Bytes acknowledged.
        ordinal: Lines acknowledged.
        tail: Hex SHA-256 of the `tail_bytes` bytes before `offset`.
        whole: It was read as one body: any change means reading it again.
        etag: Its ETag when it was read.
        size: Its bytes when it was read.
        modified: When it was last written (seconds since 1970).
    """

    locator: str
    offset: int
    ordinal: int
    tail: str
    tail_bytes: int
    whole: bool
    etag: str
    size: int
    modified: float

    def holds(self, tail: bytes) -> bool:
        """Whether these bytes are those before `offset`."""
        return fingerprint(tail) == self.tail


def fingerprint(part: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(part).hexdigest()


class Marks:
    """The marks in a file. Each call may raise `StoreUnavailable`: the disk is full, or the file was taken away.

    Raises:
        ConfigError: The file is no such database, or can't be written.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(file, timeout=_LOCKED_S)
            self._prepare()
        except (OSError, sqlite3.Error) as exc:
            mend = "restore it, or move it away: everything is then read again and counted as duplicate"
            raise ConfigError(f"opening checkpoint: {exc}", where=str(file), mend=mend) from exc

    def _prepare(self) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"version {version} is unknown")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes away is read again
        self._database.executescript(_TABLE)
        self._database.execute(f"PRAGMA user_version = {_VERSION}")

    def find(self, locators: Sequence[str]) -> dict[str, Mark]:
        """The marks of some blobs."""
        places = ",".join("?" * len(locators))
        rows = self._ask(f"SELECT {_FIELDS} FROM blobs WHERE locator IN ({places})", locators)  # noqa: S608 - ours
        return {mark.locator: mark for mark in map(_mark, rows)}

    def put(self, mark: Mark, day: int) -> None:
        """Note how far a blob was acknowledged; `save` makes it durable."""
        values = (*msgspec.structs.astuple(mark), day)
        self._ask(f"INSERT OR REPLACE INTO blobs VALUES ({','.join('?' * len(values))})", values)  # noqa: S608 - ours

    def saw(self, locators: Iterable[str], day: int) -> None:
        """Note that blobs are still there, so that their rows are kept."""
        for locator in locators:
            self._ask("UPDATE blobs SET seen_day = ?1 WHERE locator = ?2 AND seen_day < ?1", (day, locator))

    def written_after(self, modified: float, prefix: str) -> list[Mark]:
        """Marks of blobs with this prefix that were last written after a time."""
        chosen = "modified > ? AND substr(locator, 1, ?) = ?"
        rows = self._ask(f"SELECT {_FIELDS} FROM blobs WHERE {chosen}", (modified, len(prefix), prefix))  # noqa: S608
        return [_mark(row) for row in rows]

    def drop(self, locator: str) -> None:
        """Forget a blob that is gone."""
        self._ask("DELETE FROM blobs WHERE locator = ?", (locator,))

    def forget(self, day: int) -> None:
        """Drop the rows of blobs that were not listed for long. Only after a look at the whole container."""
        self._ask("DELETE FROM blobs WHERE seen_day < ?", (day - _KEPT_DAYS,))

    def save(self) -> None:
        """Make what was noted durable."""
        with self._named():
            self._database.commit()

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        with contextlib.suppress(sqlite3.Error):
            self._database.close()

    def _ask(self, statement: str, values: Sequence[object]) -> list[tuple[object, ...]]:
        with self._named():
            return self._database.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            # Going on is right: what is not noted is read again after a restart, never skipped.
            mend = "free space or correct permissions; until then a restart repeats what was read"
            raise StoreUnavailable(f"keeping checkpoint: {exc}", where=str(self.file), mend=mend) from exc


_FIELDS = ", ".join(Mark.__struct_fields__)


def _mark(row: Sequence[object]) -> Mark:
    return msgspec.convert(dict(zip(Mark.__struct_fields__, row, strict=True)), Mark, strict=False)
