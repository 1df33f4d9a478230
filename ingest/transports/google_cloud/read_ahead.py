"""Objects that wait to be read, the first ones of which are being read already."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from ingest.schema.errors import SkytrailError
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
        self._ahead: deque[tuple[T, asyncio.Future[Piece | None]]] = deque()
        self._waiting: deque[T] = deque()
        self._reading: set[asyncio.Future[Piece | None]] = set()
        self._ended = False

    def __len__(self) -> int:
        return len(self._waiting) + len(self._ahead)

    @property
    def ready(self) -> bool:
        """Whether the first piece of the first object need not be waited for."""
        return bool(self._ahead) and self._ahead[0][1].done()

    def add(self, one: T) -> None:
        """Queue an object."""
        self._waiting.append(one)
        self._fill()

    async def pieces(self) -> AsyncGenerator[tuple[T, Piece | SkytrailError | None], None]:
        """Take the first object: its pieces, at last None, or the error instead of a piece; nothing after an end."""
        one, reading = self._ahead.popleft()
        self._fill()
        while True:
            try:
                piece = await reading
            except asyncio.CancelledError:
                if self._ended:
                    return
                raise
            except SkytrailError as exc:
                yield one, exc
                return
            yield one, piece
            if piece is None or piece.last or self._ended:
                return
            reading = self._begun(one)

    async def end(self) -> None:
        """Forget everything, and end what is being read."""
        self._ended = True
        self._ahead.clear()
        self._waiting.clear()
        for reading in tuple(self._reading):
            reading.cancel()
        await asyncio.gather(*tuple(self._reading), return_exceptions=True)

    def _fill(self) -> None:
        while self._waiting and len(self._ahead) < self._most and not self._ended:
            held = sum(_weight(one) for one, _ in self._ahead)
            if self._ahead and held + _weight(self._waiting[0]) > _AHEAD_BYTES:
                return
            one = self._waiting.popleft()
            reading = self._begun(one)
            self._ahead.append((one, reading))
            reading.add_done_callback(lambda _reading: self._on_ready())

    def _begun(self, one: T) -> asyncio.Future[Piece | None]:
        reading = asyncio.ensure_future(self._read(one))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)
        return reading


def _weight(one: Readable) -> int:
    size = one.reader.ref.size
    return _UNKNOWN_BYTES if size is None else size
