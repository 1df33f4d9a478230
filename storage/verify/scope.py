"""What of an archive is checked, how, and whom the one who asks believes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from storage.verify.encryption import KeySource
from storage.verify.ledger.pins import Pins


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What of an archive is checked, and how.

    Attributes:
        since: Bytes of segments are read only if they hold something received at or after this. The chain of
            manifests and the ledger are always followed from their start.
        until: And only if they hold something received before this.
        jobs: Processes that read segments.
        pins: Keys that are believed. None: the hashes are checked, and nobody is asked to vouch for them.
        keys: Data keys of encrypted segments. None: whoever asks has none; stored bytes and leaves are checked.
        now: The present. With it and `pins`, what is too old to be unvouched for is a finding.
    """

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    jobs: int = 1
    pins: Pins | None = None
    keys: KeySource | None = None
    now: dt.datetime | None = None

    @property
    def end(self) -> float | None:
        """Up to when the archive must tell of itself, POSIX seconds; None where nobody asks."""
        end = self.until or self.now
        return end.timestamp() if end is not None and self.pins is not None else None

    def holds(self, start: float, end: float) -> bool:
        """Whether a span of time (POSIX seconds) lies in the asked range, or partly."""
        return (self.since is None or end >= self.since.timestamp()) and (
            self.until is None or start < self.until.timestamp()
        )
