"""Bodies from a stream that can't be read twice: standard input or a named pipe."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import AsyncIterator, Callable

from ingest.parsing.body_shape import Shape, shape_of, whole_lines
from ingest.transports.files.reading import CHUNK_BYTES

_READ_BYTES = 1024 * 1024
_IDLE_S = 0.25  # without new bytes for so long, complete lines go on their way


async def stream_bodies(
    descriptor: int, closing: asyncio.Event, limit: int, on_left: Callable[[int], None]
) -> AsyncIterator[bytes]:
    """Cut a stream into bodies until it ends or `closing` is set.

    Args:
        descriptor: Of the stream.
        closing: Set when nothing more is wanted.
        limit: The most bytes of a body.
        on_left: Called with the bytes that were read and are in no body when it ends early.

    A stream can't be left unread like a file, so what is larger than `limit` without a place to cut it comes as it is,
    in pieces: inflating or splitting refuses them, and their bytes are kept as dead letters.
    """
    buffer = bytearray()
    try:
        async for body in _cut(descriptor, closing, limit, buffer):
            yield body
    finally:
        if buffer:
            on_left(len(buffer))


async def _cut(descriptor: int, closing: asyncio.Event, limit: int, buffer: bytearray) -> AsyncIterator[bytes]:
    shape = Shape.UNDECIDED
    while not closing.is_set():
        data = await _next(descriptor, buffer)
        if data == b"":
            break
        if data:
            if shape is Shape.UNDECIDED and (not buffer or b"\n" in data):
                shape = shape_of(bytes(buffer[:CHUNK_BYTES]) + data, complete=False)
            buffer += data
        idle = data is None
        end = whole_lines(buffer) if shape is Shape.LINES and (idle or len(buffer) >= CHUNK_BYTES) else 0
        if len(buffer) > limit and not end:
            end = len(buffer)
        if end:
            body = bytes(buffer[:end])
            del buffer[:end]
            yield body
    if buffer and not closing.is_set():
        body = bytes(buffer)
        buffer.clear()
        yield body


async def _next(descriptor: int, buffer: bytearray) -> bytes | None:
    """As `_read`; what a read brings that is interrupted by the end stays in the buffer, so that it is known."""
    reading = asyncio.ensure_future(asyncio.to_thread(_read, descriptor))
    try:
        return await asyncio.shield(reading)
    except asyncio.CancelledError:
        buffer += await reading or b""
        raise


def _read(descriptor: int) -> bytes | None:
    """New bytes; empty at the end; None when there is nothing now. Returns soon, so that a stop leaves no thread."""
    ready, _, _ = select.select([descriptor], [], [], _IDLE_S)
    return os.read(descriptor, _READ_BYTES) if ready else None
