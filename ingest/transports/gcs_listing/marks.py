"""How far each object of a bucket was read and acknowledged; survives a restart.

A database of SQLite with a row per object: a bucket may hold a million, and one acknowledgement must not write all of
them. It is written at most once a second; a crash repeats what was acknowledged since, and never skips.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from ingest.schema.errors import ConfigError, StoreUnavailable

_VERSION = 1
_LOCKED_S = 0.5  # the longest wait for somebody who looks into the file
_KEPT_DAYS = 30  # the row of an object that is not listed any longer
_TABLE = """
CREATE TABLE IF NOT EXISTS objects (
    locator TEXT PRIMARY KEY, generation INTEGER NOT NULL, offset INTEGER NOT NULL, ordinal INTEGER NOT NULL,
    done INTEGER NOT NULL, seen_day INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far one object was acknowledged.

    Attributes:
        locator: `bucket/name`.
        generation: Of the object that was read; another one is read from its start.
        offset: Bytes acknowledged.
        ordinal: Records acknowledged.
        done: All of it.
    """

    locator: str
    generation: int
    offset: int
    ordinal: int
    done: bool


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
        """The marks of some objects."""
        places = ",".join("?" * len(locators))
        rows = self._ask(f"SELECT {_FIELDS} FROM objects WHERE locator IN ({places})", locators)  # noqa: S608 - ours
        return {mark.locator: mark for mark in map(_mark, rows)}

    def put(self, mark: Mark, day: int) -> None:
        """Note how far an object was acknowledged; `save` makes it durable."""
        self._ask("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)", (*msgspec.structs.astuple(mark), day))

    def saw(self, locators: Iterable[str], day: int) -> None:
        """Note that objects are still there, so that their rows are kept."""
        for locator in locators:
            self._ask("UPDATE objects SET seen_day = ?1 WHERE locator = ?2 AND seen_day < ?1", (day, locator))

    def forget(self, day: int) -> None:
        """Drop the rows of objects that were not listed for long. Only after a look at the whole bucket."""
        self._ask("DELETE FROM objects WHERE seen_day < ?", (day - _KEPT_DAYS,))

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
