"""How far each blob was read and acknowledged; survives a restart.

A blob is known by its address. The fingerprint of what was read last tells whether it still holds that.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ingest.transports.checkpoints.table import Located, MarkTable

TAIL_BYTES = 1024
_TABLE = """
CREATE TABLE IF NOT EXISTS blobs (
    locator TEXT PRIMARY KEY, offset INTEGER NOT NULL, ordinal INTEGER NOT NULL, tail TEXT NOT NULL,
    tail_bytes INTEGER NOT NULL, whole INTEGER NOT NULL, etag TEXT NOT NULL, size INTEGER NOT NULL,
    modified REAL NOT NULL, seen_day INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_modified ON blobs (modified);
"""


class Mark(Located, frozen=True, kw_only=True):
    """How far one blob was acknowledged; its locator is its address without the scheme.

    Attributes:
        offset: Bytes acknowledged.
        ordinal: Lines acknowledged.
        tail: Hex SHA-256 of the `tail_bytes` bytes before `offset`.
        whole: It was read as one body: any change means reading it again.
        etag: Its ETag when it was read.
        size: Its bytes when it was read.
        modified: When it was last written (seconds since 1970).
    """

    offset: int
    ordinal: int
    tail: str
    tail_bytes: int
    whole: bool
    etag: str
    size: int
    modified: float

    @property
    def unread(self) -> int:
        """Bytes that were there and are not acknowledged."""
        return 0 if self.whole else max(0, self.size - self.offset)

    def holds(self, tail: bytes) -> bool:
        """Whether these bytes are those before `offset`."""
        return fingerprint(tail) == self.tail


def fingerprint(part: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(part).hexdigest()


class Marks(MarkTable[Mark]):
    """The marks of a container; see `MarkTable`."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, Mark, "blobs", _TABLE)

    def watched(self, modified: float, prefix: str) -> list[Mark]:
        """Marks of blobs with this prefix that were last written after a time, or have unread bytes."""
        watched = "(modified > ? OR (whole = 0 AND size > offset)) AND substr(locator, 1, ?) = ?"
        return self.where(watched, (modified, len(prefix), prefix))
