"""What a verification can find, as values; the command line renders them."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """What is wrong."""

    ALTERED = "ALTERED"
    """Bytes differ from what was sealed."""
    MISSING = "MISSING"
    """Sealed, and not there."""
    INSERTED = "INSERTED"
    """There, and never sealed."""
    REORDERED = "REORDERED"
    """There, in another order."""
    DUPLICATE = "DUPLICATE"
    """There more often than sealed."""
    GAP = "GAP"
    """A hole in the offsets: nobody vouches for these messages."""
    TRUNCATED = "TRUNCATED"
    """The end was cut off."""
    UNCHECKED = "UNCHECKED"
    """Could not be read or is of a later version: nothing is known about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, as exactly as it can be named.

    Attributes:
        key: Object of the archive in which it was found.
        seq: Segment of the chain.
        offset: Offset of the message in its partition.
        index: Record in that message.
        detail: In words.
    """

    kind: Kind
    detail: str
    key: str = ""
    namespace: str = ""
    topic: str = ""
    partition: int | None = None
    seq: int | None = None
    offset: int | None = None
    index: int | None = None


@dataclass(slots=True)
class Summary:
    """What was checked so far.

    Attributes:
        bytes: Bytes of the records, uncompressed.
        objects: Whole bodies kept as objects.
        orphans: Parts that no manifest names: left by a sealer that was stopped; harmless.
        unchecked: Findings of the kind `UNCHECKED`.
    """

    streams: int = 0
    segments: int = 0
    records: int = 0
    bytes: int = 0
    objects: int = 0
    orphans: int = 0
    findings: int = 0
    unchecked: int = 0

    @property
    def ok(self) -> bool:
        """Complete and clean."""
        return self.findings == 0

    @property
    def tampered(self) -> bool:
        """Something is wrong, beyond what could not be checked."""
        return self.findings > self.unchecked


Progress = Callable[[Summary], None]
"""Called after every segment and object."""
