"""The bytes of a segment body, so simple that an outsider can read them with ten lines.

Codec ``frames+zstd``: one zstd frame (RFC 8878) with content size and checksum; inside, for every record in order, its
length as an unsigned 32-bit big-endian integer and then exactly its bytes. Records may hold any byte, newlines too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import zstandard

from ingest.schema.errors import IntegrityError

CODEC = "frames+zstd"
_LEVEL = 3
_LENGTH = struct.Struct(">I")


def pack(records: Iterable[bytes]) -> bytes:
    """The body that holds these records."""
    parts: list[bytes] = []
    for record in records:
        parts.append(_LENGTH.pack(len(record)))
        parts.append(record)
    return compress(b"".join(parts))


def unpack(body: bytes, where: str) -> list[bytes]:
    """The records of a body.

    Raises:
        IntegrityError: The bytes are not such a body.
    """
    frames = inflate(body, where)
    records: list[bytes] = []
    at = 0
    while at < len(frames):
        if at + 4 > len(frames):
            raise IntegrityError("reading segment body: cut in a length", where=where)
        start = at + 4
        at = start + _LENGTH.unpack_from(frames, at)[0]
        if at > len(frames):
            raise IntegrityError("reading segment body: cut in a record", where=where)
        records.append(frames[start:at])
    return records


def compress(content: bytes) -> bytes:
    """One zstd frame with content size and checksum."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(content)


def inflate(body: bytes, where: str) -> bytes:
    """The content of one zstd frame.

    Raises:
        IntegrityError: Damaged, or not exactly one frame.
    """
    try:
        return zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as exc:
        raise IntegrityError(f"inflating archive object: {exc}", where=where) from exc
