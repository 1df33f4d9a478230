"""How far each file was read and acknowledged; survives a restart.

One JSON file, replaced as a whole: written beside, fsynced, renamed, directory fsynced. A file is known by device and
inode, so a rotated file keeps its place under its new name. Device and inode alone are not enough, since inodes are
reused and files are truncated in place: the mark also holds fingerprints of the first bytes and of those just before
the offset, and counts only while both still match.

Writes are at most one a second: a crash repeats what was acknowledged since, and never skips.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from ingest.transports.checkpoints.document import Versioned, load, store

FINGERPRINT_BYTES = 1024
_KEEP_S = 30 * 24 * 3600.0  # a mark whose file was not seen for so long is forgotten


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far one file was acknowledged.

    Attributes:
        path: Where it was last seen; for people.
        offset: Bytes acknowledged.
        ordinal: Lines acknowledged.
        head: Hex SHA-256 of its first `head_bytes` bytes.
        tail: Hex SHA-256 of the `tail_bytes` bytes before `offset`.
        whole: It was read as one body: any change means reading it again.
        mtime_ns: Time of modification when read.
        seen_at: When it was last seen (seconds since 1970).
    """

    path: str
    offset: int
    ordinal: int
    head: str
    head_bytes: int
    tail: str
    tail_bytes: int
    whole: bool
    mtime_ns: int
    seen_at: float


class _Document(Versioned, kw_only=True):
    files: dict[str, Mark]


def fingerprint(part: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(part).hexdigest()


class Checkpoint:
    """Marks by device and inode.

    Args:
        file: Where they are kept; None keeps them in memory only.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.dirty = False
        self._marks: dict[str, Mark] = _load(file) if file else {}

    def get(self, key: tuple[int, int]) -> Mark | None:
        """The mark of a file, if it has one."""
        return self._marks.get(_name(key))

    def was_succeeded(self, key: tuple[int, int], mark: Mark) -> bool:
        """Whether another file was read under this path since: what comes back there is new, whatever its inode."""
        own = _name(key)
        return any(
            each.path == mark.path and each.seen_at >= mark.seen_at for name, each in self._marks.items() if name != own
        )

    def put(self, key: tuple[int, int], mark: Mark) -> None:
        """Note how far a file was acknowledged; `save` makes it durable."""
        self._marks[_name(key)] = mark
        self.dirty = True

    def saw(self, key: tuple[int, int], now: float) -> None:
        """Note that a file is still there, so that its mark is kept."""
        mark = self._marks.get(_name(key))
        if mark is not None and now - mark.seen_at > _KEEP_S / 30:
            self.put(key, msgspec.structs.replace(mark, seen_at=now))

    def forget(self, now: float) -> None:
        """Drop the marks of files long gone. Only after a look at everything: a volume may be away for a while."""
        kept = {key: mark for key, mark in self._marks.items() if now - mark.seen_at < _KEEP_S}
        self.dirty = self.dirty or len(kept) < len(self._marks)
        self._marks = kept

    def save(self) -> None:
        """Write what changed.

        Raises:
            OSError: The file can't be written; the old one stays.
        """
        if self.file is None or not self.dirty:
            return
        store(self.file, _Document(files=self._marks))
        self.dirty = False


def _name(key: tuple[int, int]) -> str:
    return f"{key[0]}:{key[1]}"


def _load(file: Path) -> dict[str, Mark]:
    otherwise = "everything is then read again and counted as duplicate"
    document = load(file, _Document, otherwise=otherwise)
    return document.files if document else {}
