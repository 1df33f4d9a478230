"""One file being read: what was delivered, what was acknowledged, and its deliveries."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ingest.parsing.body_shape import count_lines
from ingest.schema.envelope import Origin
from ingest.transports.files.checkpoint import FINGERPRINT_BYTES, Mark, fingerprint
from ingest.transports.files.reading import Chunk, Key, Look, still_holds


@dataclass(slots=True)
class Reach:
    """How far the file is acknowledged once every body up to this one is."""

    mark: Mark
    settled: bool = False


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
    _pending: deque[Reach] = field(default_factory=deque)

    def note(self, found: Look, now: float) -> float:
        """Note a look; seconds since the file was seen to change, 0 when it changed since the last look."""
        if self.seen != found:
            self.seen, self.changed_at = found, now
            return 0.0
        return now - self.changed_at

    @classmethod
    def resumed(cls, key: Key, path: Path, mark: Mark) -> Track:
        """Go on where a mark ends."""
        seen = Look(key, mark.offset, mark.mtime_ns, regular=True)
        return cls(key, path, mark.offset, mark.ordinal, seen, mark.whole, last=mark)

    def advance(self, chunk: Chunk, now: float) -> Reach:
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
        reach = Reach(self.last)
        self._pending.append(reach)
        return reach

    def settle(self, reach: Reach) -> Mark | None:
        """Note an acknowledgement; the mark that is now true, never beyond an unacknowledged body."""
        reach.settled = True
        reached: Mark | None = None
        while self._pending and self._pending[0].settled:
            reached = self._pending.popleft().mark
        return reached


def goes_on(track: Track, found: Look) -> bool:
    """Whether what was delivered of the file at `track.path` still is its beginning.

    Raises:
        OSError: It can't be read.
    """
    if track.last is None:
        return True
    if found.size < track.offset:
        return False
    if track.whole:
        return (found.size, found.mtime_ns) == (track.offset, track.last.mtime_ns)
    return still_holds(track.path, track.last)


class FileDelivery:
    """A body of a file or stream."""

    source = ""

    def __init__(
        self,
        origin: Origin,
        body: bytes,
        received_at: dt.datetime,
        *,
        on_settled: Callable[[], None],
        on_returned: Callable[[], None],
        on_given_up: Callable[[str], None],
    ) -> None:
        self.origin = origin
        self.body = body
        self.received_at = received_at
        self._on_settled = on_settled
        self._on_returned = on_returned
        self._on_given_up = on_given_up
        self._settled = False

    async def acknowledge(self) -> None:
        """See `Delivery.acknowledge`."""
        if not self._settled:
            self._settled = True
            self._on_settled()

    async def reject(self, reason: str, *, retry: bool) -> None:
        """See `Delivery.reject`."""
        if self._settled:
            return
        if retry:
            self._on_returned()
        else:
            self._settled = True
            self._on_given_up(reason)
