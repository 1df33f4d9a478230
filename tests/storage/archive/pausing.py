"""A store whose user stops before one chosen operation, as a process does that is suspended, and goes on when told."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from storage.archive.store import ArchiveStore

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

    def put(self, key: str, body: bytes, until: dt.datetime | None = None) -> None:
        self._do(lambda: self._inner.put(key, body, until))

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

    def destroy(self, key: str) -> None:
        self._do(lambda: self._inner.destroy(key))

    def probe(self) -> list[str]:
        return self._do(self._inner.probe)

    def _do(self, work: Callable[[], T]) -> T:
        number, self._operations = self._operations, self._operations + 1
        if number == self._at:
            self.paused.set()
            assert self.go_on.wait(30)
        return work()


class Paused:
    """Work in a thread of its own on such a store."""

    def __init__(self, inner: ArchiveStore, at: int, work: Callable[[PausingStore], None]) -> None:
        self._store = PausingStore(inner, at)
        self._work = work
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> bool:
        """Begin; whether it paused, else it has ended."""
        self._thread.start()
        while self._thread.is_alive():
            if self._store.paused.wait(0.002):
                return True
        return self._store.paused.is_set()

    def end(self) -> None:
        """Let it go on to its end; raises what it raised."""
        self._store.go_on.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            self._work(self._store)
        except BaseException as exc:  # noqa: BLE001 - told to the test
            self._failure = exc
