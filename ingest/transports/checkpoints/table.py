"""Marks in a database of SQLite, a row per object; they survive a restart.

A bucket may hold a million objects, and one acknowledgement must not write all of them. It is written at most once a
second; a crash repeats what was acknowledged since, and never skips.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from ingest.schema.errors import ConfigError, StoreUnavailable


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one object.

    Attributes:
        locator: Its address.
    """

    locator: str


MarkT = TypeVar("MarkT", bound=Located)

_VERSION = 1
_LOCKED_S = 0.5  # the longest wait for somebody who looks into the file
_KEPT_DAYS = 30  # the row of an object that is not listed any longer


class MarkTable(Generic[MarkT]):
    """The marks in a file. Each call may raise `StoreUnavailable`: the disk is full, or the file was taken away.

    Args:
        mark: What is kept of one object.
        table: Name of the table; its columns are the fields of `mark`, in their order, and then `seen_day`.
        schema: Statements that make the table where it is missing.

    Raises:
        ConfigError: The file is no such database, or can't be written.
    """

    def __init__(self, file: Path, mark: type[MarkT], table: str, schema: str) -> None:
        self.file = file
        self._mark = mark
        self._table = table
        self._fields = ", ".join(mark.__struct_fields__)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(file, timeout=_LOCKED_S)
            self._prepare(schema)
        except (OSError, sqlite3.Error) as exc:
            mend = "restore it, or move it away: everything is then read again and counted as duplicate"
            raise ConfigError(f"opening checkpoint: {exc}", where=str(file), mend=mend) from exc

    def _prepare(self, schema: str) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"version {version} is unknown")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes away is read again
        self._database.executescript(schema)
        self._database.execute(f"PRAGMA user_version = {_VERSION}")

    def find(self, locators: Sequence[str]) -> dict[str, MarkT]:
        """The marks of some objects, by their locators."""
        places = ",".join("?" * len(locators))
        return {mark.locator: mark for mark in self.where(f"locator IN ({places})", locators)}

    def where(self, condition: str, values: Sequence[object]) -> list[MarkT]:
        """The marks for which a condition of SQL holds; what stands for `?` in it are `values`."""
        rows = self._ask(f"SELECT {self._fields} FROM {self._table} WHERE {condition}", values)  # noqa: S608 - ours
        names = self._mark.__struct_fields__
        return [msgspec.convert(dict(zip(names, row, strict=True)), self._mark, strict=False) for row in rows]

    def put(self, mark: MarkT, day: int) -> None:
        """Note how far an object was acknowledged; `save` makes it durable."""
        values = (*msgspec.structs.astuple(mark), day)
        places = ",".join("?" * len(values))
        self._ask(f"INSERT OR REPLACE INTO {self._table} VALUES ({places})", values)  # noqa: S608 - ours

    def saw(self, locators: Iterable[str], day: int) -> None:
        """Note that objects are still there, so that their rows are kept."""
        statement = f"UPDATE {self._table} SET seen_day = ?1 WHERE locator = ?2 AND seen_day < ?1"  # noqa: S608 - ours
        for locator in locators:
            self._ask(statement, (day, locator))

    def drop(self, locator: str) -> None:
        """Forget an object that is gone."""
        self._ask(f"DELETE FROM {self._table} WHERE locator = ?", (locator,))  # noqa: S608 - ours

    def forget(self, day: int) -> None:
        """Drop the rows of objects that were not listed for long. Only after a look at everything."""
        self._ask(f"DELETE FROM {self._table} WHERE seen_day < ?", (day - _KEPT_DAYS,))  # noqa: S608 - ours

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
