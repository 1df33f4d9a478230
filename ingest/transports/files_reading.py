"""Reads the next body of a file; every call opens, checks, reads and closes, so nothing is held between bodies."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from ingest.schema.errors import SourceRefused
from ingest.transports.files_checkpoint import Mark, fingerprint
from ingest.transports.files_shape import Shape, shape_of, whole_lines

CHUNK_BYTES = 4 * 1024 * 1024

Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Look:
    """What the file system says of a file."""

    key: Key
    size: int
    mtime_ns: int
    regular: bool


def look(path: Path) -> Look:
    """Look at a file, following links.

    Raises:
        OSError: It vanished or may not be seen.
    """
    return _look(path.stat())


def _look(found: os.stat_result) -> Look:
    return Look((found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns, stat.S_ISREG(found.st_mode))


def still_holds(path: Path, mark: Mark) -> bool:
    """Whether the file still begins with, and before the offset still has, what the mark remembers.

    Raises:
        OSError: It can't be read.
    """
    with path.open("rb") as handle:
        if fingerprint(handle.read(mark.head_bytes)) != mark.head:
            return False
        handle.seek(mark.offset - mark.tail_bytes)
        return fingerprint(handle.read(mark.tail_bytes)) == mark.tail


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next body of a file.

    Attributes:
        whole: It is all of a file that can't be cut.
        mtime_ns: Time of modification when read.
    """

    body: bytes
    whole: bool
    mtime_ns: int


def read_chunk(path: Path, key: Key, offset: int, *, limit: int, growing: bool, stable: bool) -> Chunk | None:
    """Read the body that begins at `offset`.

    Args:
        path: The file.
        key: Device and inode it must still have.
        offset: Where to begin; not 0 only in files of lines.
        limit: The most bytes of a body.
        growing: Someone may still be writing: an unfinished last line waits.
        stable: It did not change between two looks: a document may be taken although someone may be writing.

    Returns:
        None when there is nothing (yet).

    Raises:
        OSError: It can't be read; `FileNotFoundError` also when another file took its path.
        SourceRefused: A line or a document is larger than `limit`.
    """
    with path.open("rb") as handle:
        found = _look(os.fstat(handle.fileno()))
        if found.key != key:
            raise FileNotFoundError(errno.ENOENT, "another file took its path", str(path))
        if found.size <= offset:
            return None
        handle.seek(offset)
        body = handle.read(CHUNK_BYTES)
        complete = offset + len(body) >= found.size
        shape = Shape.LINES if offset else _shape(body, complete=complete, growing=growing, stable=stable)
        if shape is Shape.LINES:
            body = _read_lines(handle, path, body, limit=limit, growing=growing)
            return Chunk(body, whole=False, mtime_ns=found.mtime_ns) if body else None
        if growing and not stable:
            return None
        body += handle.read(limit + 1 - len(body))
        if len(body) > limit:
            raise _too_large(path, limit)
        return Chunk(body, whole=True, mtime_ns=found.mtime_ns)


def _shape(body: bytes, *, complete: bool, growing: bool, stable: bool) -> Shape:
    shape = shape_of(body, complete=complete and (stable or not growing))
    if shape is Shape.LINES and growing and complete and b"\n" not in body:
        # One line without an end: a document in one line, unless it was cut in the middle of being written.
        return Shape.WHOLE if _is_document(body) else Shape.LINES
    return shape


def _is_document(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _read_lines(handle: BinaryIO, path: Path, body: bytes, *, limit: int, growing: bool) -> bytes:
    """Cut after the last line end; read on while one line is longer than a chunk."""
    parts, size = [body], len(body)
    while True:
        end = whole_lines(parts[-1])
        if end and (len(body) >= CHUNK_BYTES or growing):
            parts[-1] = parts[-1][:end]
            break
        more = handle.read(CHUNK_BYTES)
        if not more:
            return b"" if growing else b"".join(parts)
        parts.append(more)
        size += len(more)
        if size > limit + CHUNK_BYTES:
            raise _too_large(path, limit)
    return b"".join(parts)


def _too_large(path: Path, limit: int) -> SourceRefused:
    return SourceRefused(
        f"reading file: more than {limit} bytes without a place to cut it",
        where=str(path),
        mend="raise max_inflated_bytes of this collector if the machine has the memory, or split the file",
    )
