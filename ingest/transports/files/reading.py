"""Reads the next body of a file; every call opens, checks, reads and closes, so nothing is held between bodies."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ingest.parsing.body_shape import Shape, is_finished, is_gzip, shape_of, whole_lines
from ingest.schema.errors import SourceRefused
from ingest.transports.files.checkpoint import Mark, fingerprint

CHUNK_BYTES = 4 * 1024 * 1024
_STEP_BYTES = 256 * 1024
REST_S = 10.0  # seconds after which a document that does not look finished is taken as it is

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
        size: The file's bytes when read.
    """

    body: bytes
    whole: bool
    mtime_ns: int
    size: int


def read_chunk(
    path: Path, key: Key, offset: int, *, limit: int, growing: bool = False, rested_s: float = 0.0
) -> Chunk | None:
    """Read the body that begins at `offset`.

    Args:
        path: The file.
        key: Device and inode it must still have.
        offset: Where to begin; not 0 only in files of lines.
        limit: The most bytes of a body.
        growing: Someone may still be writing: what is unfinished waits.
        rested_s: Seconds since it was last seen to change; 0 when it changed since the last look.

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
        body = handle.read(min(CHUNK_BYTES, found.size - offset))
        shape = Shape.LINES if offset else shape_of(body, complete=False)
        while shape is Shape.UNDECIDED and len(body) <= limit and (more := handle.read(CHUNK_BYTES)):
            body += more
            shape = shape_of(body, complete=False) if b"\n" in more else shape
        if shape is Shape.UNDECIDED and not growing:
            shape = shape_of(body, complete=True)
        if shape is Shape.LINES:
            body = _read_lines(handle, path, body, limit=limit, growing=growing)
            return Chunk(body, whole=False, mtime_ns=found.mtime_ns, size=found.size) if body else None
        if growing and not rested_s:
            return None
        body += _read_on(handle, limit + 1 - len(body))
        if len(body) > limit:
            raise _too_large(path, limit)
        if growing and not is_finished(body) and rested_s < REST_S:
            return None
        # One line without an end is a document that may yet become the first of many lines.
        return Chunk(body, whole=b"\n" in body or is_gzip(body), mtime_ns=found.mtime_ns, size=found.size)


def _read_on(handle: BinaryIO, most: int) -> bytes:
    """What follows, in steps: one read would allocate all that it may bring."""
    parts = []
    while most > 0 and (part := handle.read(min(most, _STEP_BYTES))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


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
