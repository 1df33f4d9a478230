"""A store that fails at one chosen operation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

from ingest.schema.errors import StoreUnavailable
from storage.archive.store import ArchiveStore

Fault = Literal["lost", "applied"]
T = TypeVar("T")


class Killed(BaseException):
    """The process ended here."""


class FaultyStore:
    """Breaks operation number `at` (from 0): "lost" before it happens, "applied" after, like a response timeout.

    Args:
        inner: The store that does the work.
        at: Which operation; one beyond the last breaks nothing.
        fault: How.
        error: What the caller sees: a store that is away for once, or the end of the process.
    """

    def __init__(
        self, inner: ArchiveStore, at: int, fault: Fault, error: type[BaseException] = StoreUnavailable
    ) -> None:
        self._inner = inner
        self._at = at
        self._fault = fault
        self._error = error
        self.operations = 0

    def put(self, key: str, body: bytes, until: dt.datetime | None = None) -> None:
        self._do(lambda: self._inner.put(key, body, until))

    def swap(self, key: str, expected: bytes | None, body: bytes) -> bool:
        return self._do(lambda: self._inner.swap(key, expected, body))

    def get(self, key: str) -> bytes | None:
        return self._do(lambda: self._inner.get(key))

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        return self._do(lambda: self._inner.keys(prefix, after))

    def folders(self, prefix: str) -> list[str]:
        return self._do(lambda: self._inner.folders(prefix))

    def delete(self, key: str) -> None:
        self._do(lambda: self._inner.delete(key))

    def destroy(self, key: str) -> None:
        self._do(lambda: self._inner.destroy(key))

    def probe(self) -> list[str]:
        return self._do(self._inner.probe)

    def _do(self, work: Callable[[], T]) -> T:
        number, self.operations = self.operations, self.operations + 1
        if number != self._at:
            return work()
        if self._fault == "applied":
            work()
        raise self._error(f"injected fault at operation {number}: {self._fault}")
