"""A writer that stops at any step and wakes up later, while others went on, neither loses nor doubles an entry."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.storage.archive.pausing import Paused, PausingStore
from tests.storage.archive.samples import open_store
from tests.storage.ledger.oracle import entries_of
from tests.storage.ledger.samples import keys_in, missing, open_log, place, segments

CHAIN = segments(300)


def writer(root: Path, at: int, length: int) -> Paused:
    """Appends to a log up to some length of the chain, and stops before operation `at`."""

    def work(store: PausingStore) -> None:
        open_log(root, store).append(lambda tips: missing(CHAIN[:length], tips))

    return Paused(open_store(root / "archive", allow_delete=True), at, work)


def sound(root: Path, length: int) -> None:
    """The log has so many segments, in order and once, and whoever reads it finds all of it."""
    told = [each["seq"] for each in entries_of(place(root)) if each["type"] == "segment"]
    assert told == list(range(length))


@pytest.fixture(scope="module", params=[0, 2, 254], ids=["empty", "short", "beside a full tile"])
def begun(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A log, and how many segments it has."""
    root = tmp_path_factory.mktemp("begun")
    keys_in(root)
    if request.param:
        open_log(root).append(lambda tips: missing(CHAIN[: request.param], tips))
    return root, request.param


def test_a_writer_that_wakes_up_after_others_changes_nothing(begun: tuple[Path, int], tmp_path: Path) -> None:
    root, length = begun
    for at in range(100):
        own = tmp_path / str(at)
        shutil.copytree(root, own)
        late = writer(own, at, length + 2)
        if not late.start():
            late.end()
            sound(own, length + 2)
            break
        other = open_log(own)
        for more in (3, 4, 5):
            other.append(lambda tips, count=length + more: missing(CHAIN[:count], tips))
            sound(own, length + more)
        late.end()
        sound(own, length + 5)
        open_log(own).append(lambda tips: missing(CHAIN[: length + 6], tips))
        other.append(lambda tips: missing(CHAIN[: length + 7], tips))
        sound(own, length + 7)
        open_log(own).load()
    else:
        raise AssertionError("it has more steps than that")
    assert at > 8


@pytest.mark.parametrize("second", range(0, 24, 3))
def test_two_writers_that_stop_and_wake_up_in_turn_leave_every_entry_once(tmp_path: Path, second: int) -> None:
    root = tmp_path / "begun"
    open_log(root).append(lambda tips: missing(CHAIN[:2], tips))
    for first in range(0, 24, 2):
        own = tmp_path / str(first)
        shutil.copytree(root, own)
        one, two = writer(own, first, 5), writer(own, second, 7)
        one.start()
        two.start()
        one.end()
        two.end()
        sound(own, 7)
        open_log(own).append(lambda tips: missing(CHAIN[:9], tips))
        sound(own, 9)
