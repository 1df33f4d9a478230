"""One file being read: what was delivered, and what was acknowledged."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ingest.parsing.body_shape import count_lines
from ingest.transports.files.checkpoint import FINGERPRINT_BYTES, Mark, fingerprint
from ingest.transports.files.reading import Chunk, Key, Look, still_holds
from ingest.transports.messages.progress import Progress, Reach


@dataclass(slots=True)
class Track:
    """Progress in one file, identified by device and inode.

    Attributes:
        offset: Bytes delivered.
        ordinal: Lines delivered.
        seen: The last look at it, to tell whether it changed.
        changed_at: When it was last seen to change (seconds of the event loop's clock).
        whole: It was delivered as one body.
        refused: The look at which it was refused; it is tried again when it changes.
        ended: The look at which it was read to its end.
        last: How far it was delivered; None before the first body.
    """

    key: Key
    path: Path
    offset: int = 0
    ordinal: int = 0
    seen: Look | None = None
    whole: bool = False
    refused: Look | None = None
    last: Mark | None = None
    ended: Look | None = None
    changed_at: float = 0.0
    _progress: Progress[Mark] = field(default_factory=Progress)

    @property
    def unread(self) -> int:
        """Bytes that were seen and not read."""
        return max(0, self.seen.size - self.offset) if self.seen else 0

    def note(self, found: Look, now: float) -> float:
        """Note a look; seconds since the file was seen to change, 0 when it changed since the last look."""
        if self.seen != found:
            self.seen, self.changed_at = found, now
            return 0.0
        return now - self.changed_at

    @classmethod
    def resumed(cls, key: Key, mark: Mark) -> Track:
        """Go on where a mark ends; `path` is where the file was then."""
        seen = Look(key, mark.offset, mark.mtime_ns, regular=True)
        return cls(key, Path(mark.path), mark.offset, mark.ordinal, seen, mark.whole, last=mark)

    def advance(self, chunk: Chunk, now: float) -> Reach[Mark]:
        """Note that a body is delivered; what it returns is settled when the body is."""
        head = chunk.body[:FINGERPRINT_BYTES]
        tail = chunk.body[-FINGERPRINT_BYTES:]
        self.offset += len(chunk.body)
        self.ordinal += count_lines(chunk.body)
        self.whole = chunk.whole
        self.last = Mark(
            path=str(self.path),
            offset=self.offset,
            ordinal=self.ordinal,
            head=self.last.head if self.last else fingerprint(head),
            head_bytes=self.last.head_bytes if self.last else len(head),
            tail=fingerprint(tail),
            tail_bytes=len(tail),
            whole=chunk.whole,
            mtime_ns=chunk.mtime_ns,
            seen_at=now,
        )
        return self._progress.deliver(self.last)

    def settle(self, reach: Reach[Mark]) -> Mark | None:
        """Note an acknowledgement; the mark that is now true, never beyond an unacknowledged body."""
        return self._progress.settle(reach)


def goes_on(track: Track, found: Look) -> bool:
    """Whether what was delivered of the file at `track.path` still is its beginning.

    Raises:
        OSError: It can't be read.
    """
    assert track.last
    if found.size < track.offset:
        return False
    if track.whole:
        return (found.size, found.mtime_ns) == (track.offset, track.last.mtime_ns)
    return still_holds(track.path, track.last)
