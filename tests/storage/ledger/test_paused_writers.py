"""A writer that stops at any step and wakes up later, while others went on, neither loses nor doubles an entry."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from storage.archive.store import ArchiveStore
from storage.ledger.log import Log
from tests.storage.archive.samples import open_store
from tests.storage.ledger.oracle import entries_of
from tests.storage.ledger.samples import keys_in, missing, open_log, place, segments

CHAIN = segments(300)
T = TypeVar("T")


class PausingStore:
    """Waits before its operation number `at` until it is told to go on.

    Args:
        inner: The store that does the work.
        at: Which operation, from 0.
    """

    def __init__(self, inner: ArchiveStore, at: int) -> None:
        self._inner = inner
        self._at = at
        self._operations = 0
        self.paused, self.go_on = threading.Event(), threading.Event()

    def put(self, key: str, body: bytes) -> None:
        self._do(lambda: self._inner.put(key, body))

    def swap(self, key: str, expected: bytes | None, body: bytes) -> bool:
        return self._do(lambda: self._inner.swap(key, expected, body))

    def get(self, key: str) -> bytes | None:
        return self._do(lambda: self._inner.get(key))

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        return self._do(lambda: iter(list(self._inner.keys(prefix, after))))

    def folders(self, prefix: str) -> list[str]:
        return self._do(lambda: self._inner.folders(prefix))

    def delete(self, key: str) -> None:
        self._do(lambda: self._inner.delete(key))

    def _do(self, work: Callable[[], T]) -> T:
        number, self._operations = self._operations, self._operations + 1
        if number == self._at:
            self.paused.set()
            assert self.go_on.wait(30)
        return work()


class Writer:
    """Appends to a log in a thread of its own, up to some length of the chain."""

    def __init__(self, root: Path, at: int, length: int) -> None:
        self.store = PausingStore(open_store(root / "archive", allow_delete=True), at)
        self.log: Log = open_log(root, self.store)  # type: ignore[arg-type]
        self.failure: BaseException | None = None
        self._length = length
        self._thread = threading.Thread(target=self._write)

    def start(self) -> bool:
        """Begin; whether it paused, else it has ended."""
        self._thread.start()
        while self._thread.is_alive():
            if self.store.paused.wait(0.002):
                return True
        return self.store.paused.is_set()

    def end(self) -> None:
        self.store.go_on.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self.failure is not None:
            raise self.failure

    def _write(self) -> None:
        try:
            self.log.append(lambda tips: missing(CHAIN[: self._length], tips))
        except BaseException as exc:  # noqa: BLE001 - told to the test
            self.failure = exc


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
        late = Writer(own, at, length + 2)
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
        late.log.append(lambda tips: missing(CHAIN[: length + 6], tips))
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
        one, two = Writer(own, first, 5), Writer(own, second, 7)
        one.start()
        two.start()
        one.end()
        two.end()
        sound(own, 7)
        open_log(own).append(lambda tips: missing(CHAIN[:9], tips))
        sound(own, 9)
