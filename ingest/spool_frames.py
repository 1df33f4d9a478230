r"""A segment of the spool on disk: its head, its frames, and what a crash may leave.

Segment: ``SKYSPOOL1\n`` | nonce (16 random bytes) | frames.
Frame:   first 8 bytes of the nonce | length of the payload (u32, big endian) | check (32 bytes) | payload,
where check = SHA-256(nonce ‖ offset of the frame (u64) ‖ payload).

The nonce matters for more than chance: payloads come from the network, and after a crash whole frames are searched
behind damaged bytes. Without a value that a sender can't know, a body could carry a forged frame in its inside.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"SKYSPOOL1\n"
NONCE_BYTES = 16
START = len(MAGIC) + NONCE_BYTES  # offset of the first frame
_MARKER_BYTES = 8
_HEAD = struct.Struct(f">{_MARKER_BYTES}sI32s")
HEAD_BYTES = _HEAD.size
_SCAN_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Extent:
    """A part of a segment.

    Attributes:
        offset: Where it begins.
        length: Its bytes, heads included.
        whole: It is one whole frame; else bytes that are none.
    """

    offset: int
    length: int
    whole: bool


def read_nonce(handle: BinaryIO) -> bytes | None:
    """The nonce of a segment, or None when its head is not whole.

    Raises:
        OSError: The segment can't be read.
    """
    handle.seek(0)
    head = handle.read(START)
    return head[len(MAGIC) :] if len(head) == START and head.startswith(MAGIC) else None


def frame(nonce: bytes, offset: int, payload: bytes) -> bytes:
    """The bytes of a frame that begins at `offset`."""
    return _HEAD.pack(nonce[:_MARKER_BYTES], len(payload), _check(nonce, offset, payload)) + payload


def read_frame(handle: BinaryIO, nonce: bytes, offset: int, end: int) -> bytes | None:
    """The payload of the frame at `offset`, or None when there is no whole frame before `end`.

    Raises:
        OSError: The segment can't be read.
    """
    handle.seek(offset)
    head = handle.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return None
    marker, length, check = _HEAD.unpack(head)
    if marker != nonce[:_MARKER_BYTES] or length > end - offset - HEAD_BYTES:
        return None
    payload = handle.read(length)
    return payload if len(payload) == length and _check(nonce, offset, payload) == check else None


def extents(handle: BinaryIO, nonce: bytes, offset: int, end: int) -> Iterator[Extent]:
    """Every whole frame from `offset` to `end`, and the bytes between that are none.

    Raises:
        OSError: The segment can't be read.
    """
    while offset < end:
        payload = read_frame(handle, nonce, offset, end)
        if payload is not None:
            length = HEAD_BYTES + len(payload)
        else:
            length = _next_whole(handle, nonce, offset + 1, end) - offset
        yield Extent(offset, length, whole=payload is not None)
        offset += length


def _next_whole(handle: BinaryIO, nonce: bytes, offset: int, end: int) -> int:
    """Where the next whole frame begins at or after `offset`; `end` when there is none."""
    marker = nonce[:_MARKER_BYTES]
    while offset < end:
        handle.seek(offset)
        window = handle.read(min(_SCAN_BYTES, end - offset))
        found = window.find(marker)
        if found >= 0:
            if read_frame(handle, nonce, offset + found, end) is not None:
                return offset + found
            offset += found + 1
        elif len(window) < len(marker):
            return end
        else:
            offset += len(window) - len(marker) + 1
    return end


def _check(nonce: bytes, offset: int, payload: bytes) -> bytes:
    digest = hashlib.sha256(nonce)
    digest.update(struct.pack(">Q", offset))
    digest.update(payload)
    return digest.digest()
