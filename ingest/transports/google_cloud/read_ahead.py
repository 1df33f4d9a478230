"""Objects that wait to be read, the first ones of which are being read already."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from ingest.transports.google_cloud.objects import ObjectReader, Piece

_AHEAD_BYTES = 64 * 1024 * 1024
_UNKNOWN_BYTES = 8 * 1024 * 1024  # of an object whose size nobody told


class Readable(Protocol):
    """What has an object to read."""

    @property
    def reader(self) -> ObjectReader:
        """Reads it."""
        ...


T = TypeVar("T", bound=Readable)


class ReadAhead(Generic[T]):
    """A queue of objects, in order.

    Args:
        most: Objects whose first pieces are read or lie ready.
        read: Gives the next piece of an object.
        on_ready: Called when a first piece is there, or could not be read.
    """

    def __init__(self, most: int, read: Callable[[T], Awaitable[Piece | None]], on_ready: Callable[[], None]) -> None:
        self._most = most
        self._read = read
        self._on_ready = on_ready
        self._ahead: deque[tuple[T, asyncio.Task[Piece | None]]] = deque()
        self._waiting: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._ahead)

    @property
    def ready(self) -> bool:
        """Whether `pop` gives an object whose first piece need not be waited for."""
        return bool(self._ahead) and self._ahead[0][1].done()

    def add(self, one: T) -> None:
        """Queue an object."""
        self._waiting.append(one)
        self._fill()

    def pop(self) -> tuple[T, asyncio.Task[Piece | None]]:
        """The first object and its first piece."""
        found = self._ahead.popleft()
        self._fill()
        return found

    async def clear(self) -> None:
        """Forget everything."""
        tasks = [task for _, task in self._ahead]
        self._ahead.clear()
        self._waiting.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fill(self) -> None:
        while self._waiting and len(self._ahead) < self._most:
            held = sum(_weight(one) for one, _ in self._ahead)
            if self._ahead and held + _weight(self._waiting[0]) > _AHEAD_BYTES:
                return
            one = self._waiting.popleft()
            task = asyncio.ensure_future(self._begin(one))
            self._ahead.append((one, task))
            task.add_done_callback(lambda _task: self._on_ready())

    async def _begin(self, one: T) -> Piece | None:
        return await self._read(one)


def _weight(one: Readable) -> int:
    size = one.reader.ref.size
    return _UNKNOWN_BYTES if size is None else size
