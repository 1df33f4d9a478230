"""One blob that is being read: what was delivered of it, and how far that is acknowledged without a gap. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from ingest.parsing.body_shape import count_lines
from ingest.transports.azure_blob.bodies import Body
from ingest.transports.azure_blob.container import Listed
from ingest.transports.azure_blob.marks import TAIL_BYTES, Mark, fingerprint
from ingest.transports.messages.progress import Progress, Reach


@dataclass(slots=True)
class Track:
    """Progress in one blob.

    Attributes:
        last: How far it was delivered; None before the first body.
        reading: It is being read, or soon will be.
    """

    last: Mark | None = None
    reading: bool = False
    _progress: Progress[Mark] = field(default_factory=Progress)

    @property
    def ordinal(self) -> int:
        """Lines delivered."""
        return self.last.ordinal if self.last and not self.last.whole else 0

    @property
    def base(self) -> Mark | None:
        """What the next body must go on from; None: from the start."""
        return None if self.last is None or self.last.whole else self.last

    @property
    def waits(self) -> bool:
        """Whether something delivered is not acknowledged."""
        return bool(self._progress.unsettled)

    def advance(self, blob: Listed, found: Body) -> Reach[Mark]:
        """Note that a body is delivered; what it returns is settled when the body is."""
        base = self.base
        tail = found.body[-TAIL_BYTES:]
        self.last = Mark(
            locator=blob.locator,
            offset=len(found.body) + (base.offset if base else 0),
            ordinal=self.ordinal + count_lines(found.body),
            tail=fingerprint(tail),
            tail_bytes=len(tail),
            whole=found.whole,
            etag=found.etag,
            size=found.size,
            modified=blob.modified,
        )
        return self._progress.deliver(self.last)

    def looked(self, blob: Listed, found: Body) -> Mark | None:
        """Note that there was nothing new; the mark that is now true, if it is another one."""
        if self.last is None or self.waits:
            return None
        told = msgspec.structs.replace(self.last, etag=found.etag, size=found.size, modified=blob.modified)
        if told == self.last:
            return None
        self.last = told
        return told

    def settle(self, reach: Reach[Mark]) -> Mark | None:
        """Note an acknowledgement; the mark that is now true, never beyond a body without one."""
        return self._progress.settle(reach)
