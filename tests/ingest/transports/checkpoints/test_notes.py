"""Marks are on disk soon, without being asked for; a full disk costs nothing that was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.schema.errors import SkytrailError
from ingest.transports.checkpoints import notes as module
from ingest.transports.checkpoints.notes import Notes
from ingest.transports.gcs_listing.marks import Mark, Marks
from tests.ingest.fakes import NOW


class Kept:
    """Notes on a file, and what they told."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.told: list[SkytrailError] = []
        self.written: list[str] = []
        self.now = NOW
        self.notes: Notes[Mark] = Notes(Marks(file), lambda: self.now, self.told.append, self.written.append)

    def on_disk(self) -> dict[str, int]:
        with contextlib.closing(sqlite3.connect(self.file)) as other:
            return dict(other.execute("SELECT locator, offset FROM objects").fetchall())


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    found = Kept(tmp_path / "marks.sqlite")
    yield found
    found.notes.close()


def mark(locator: str, offset: int) -> Mark:
    return Mark(locator=locator, generation=1, offset=offset, ordinal=0, done=False)


async def test_what_is_acknowledged_is_on_disk_soon_though_nothing_else_happens(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SAVE_AFTER_S", 0.05)
    kept.notes.keep(mark("b/one", 10))
    kept.notes.keep(mark("b/one", 20))
    assert kept.notes.waits("b/one")
    assert kept.on_disk() == {}
    await asyncio.sleep(0.3)
    assert kept.on_disk() == {"b/one": 20}
    assert (kept.written, kept.notes.waits("b/one")) == (["b/one"], False)
    kept.notes.keep(mark("b/two", 5))
    await asyncio.sleep(0.3)
    assert kept.on_disk() == {"b/one": 20, "b/two": 5}


async def test_what_a_locked_file_refused_is_told_and_noted_later(kept: Kept) -> None:
    with contextlib.closing(sqlite3.connect(kept.file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        kept.notes.keep(mark("b/one", 10))
        kept.notes.save()
        assert kept.notes.waits("b/one")
        assert len(kept.told) == 1
        assert "keeping checkpoint" in str(kept.told[0])
        other.rollback()
    kept.notes.save()
    assert kept.on_disk() == {"b/one": 10}
    assert kept.written == ["b/one"]


async def test_an_object_that_is_dropped_does_not_come_back_by_what_was_not_written_yet(kept: Kept) -> None:
    kept.notes.keep(mark("b/one", 10))
    kept.notes.save()
    kept.notes.keep(mark("b/one", 20))
    kept.notes.drop(["b/one"])
    kept.notes.save()
    assert kept.on_disk() == {}


async def test_marks_of_objects_that_are_listed_no_longer_are_forgotten_after_a_month(kept: Kept) -> None:
    kept.notes.keep(mark("b/gone", 1))
    kept.notes.keep(mark("b/there", 2))
    kept.notes.save()
    kept.now = NOW + dt.timedelta(days=29)
    assert set(kept.notes.find(["b/there"])) == {"b/there"}
    kept.now = NOW + dt.timedelta(days=31)
    kept.notes.looked()
    assert set(kept.on_disk()) == {"b/there"}


async def test_closing_writes_what_is_noted_and_what_comes_later_is_left_to_the_next_run(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "marks.sqlite")
    kept.notes.keep(mark("b/one", 10))
    kept.notes.close()
    kept.notes.keep(mark("b/one", 20))
    kept.notes.close()
    assert kept.on_disk() == {"b/one": 10}
    assert kept.told == []
