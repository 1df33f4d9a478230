"""What a sealer tells of what it made durable."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ingest.schema.envelope import Header
from storage.archive.contents import Content
from storage.archive.manifest import digest
from storage.archive.segment import SegmentFiles


class SealedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message whose records are now in the archive.

    Attributes:
        header: None where the message could not be read; then it is one record of the namespace `unreadable`.
        known: It was sealed before and came again.
    """

    offset: int
    namespace: str
    header: Header | None
    records: int
    bytes: int
    known: bool


class SealedSegment(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that was written."""

    namespace: str
    seq: int
    records: int
    bytes: int
    key: str
    sha256: str


class SealReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of `seal` made durable.

    Attributes:
        committed_through: Every message up to and with this offset is in the archive; None when nothing was buffered.
        gaps: Offsets that Kafka never delivered, first seen in this batch.
    """

    committed_through: int | None
    segments: tuple[SealedSegment, ...] = ()
    messages: tuple[SealedMessage, ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def records(self) -> int:
        """Records sealed for the first time."""
        return sum(message.records for message in self.messages if not message.known)


def message_of(offset: int, content: Content, *, known: bool) -> SealedMessage:
    """What is told of a message."""
    return SealedMessage(
        offset=offset,
        namespace=content.namespace,
        header=content.header,
        records=len(content.records),
        bytes=sum(map(len, content.records)),
        known=known,
    )


def segment_of(files: SegmentFiles) -> SealedSegment:
    """What is told of a segment."""
    manifest = files.manifest
    return SealedSegment(
        namespace=manifest.namespace,
        seq=manifest.seq,
        records=manifest.n,
        bytes=manifest.bytes,
        key=files.key,
        sha256=digest(files.body),
    )


def together(reports: Sequence[SealReport]) -> SealReport:
    """What several calls made durable, as one."""
    return SealReport(
        committed_through=max((each.committed_through or 0 for each in reports), default=None),
        segments=tuple(segment for each in reports for segment in each.segments),
        messages=tuple(message for each in reports for message in each.messages),
        gaps=tuple(gap for each in reports for gap in each.gaps),
    )
