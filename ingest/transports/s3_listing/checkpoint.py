"""How far a bucket is acknowledged; survives a restart.

Keys are listed in the order of their bytes, so one key says it: all before it is done. What could not be read stands
beside it, and is tried again by the next run.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec

from ingest.transports.checkpoints.document import Versioned, load, store

_OTHERWISE = "the bucket is then read from its first key, repeats count as duplicates"


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """One look at every key.

    Attributes:
        started_at: When it began (UTC).
        after: Everything up to this key is acknowledged, or stands among what failed.
    """

    started_at: dt.datetime
    after: str = ""


class _Document(Versioned, kw_only=True):
    source: str
    current: Pass | None
    finished_at: dt.datetime | None
    failed: dict[str, str]


class Checkpoint:
    """Progress in one selection of objects.

    Args:
        file: Where it is kept.
        source: Bucket, prefix and range; progress in others is forgotten.

    Attributes:
        current: The look that is under way.
        seen_until: The last finished look found everything that was written before (UTC).
        failed: Key → why it could not be read.

    Raises:
        ConfigError: The file is there and can't be read.
    """

    def __init__(self, file: Path, source: str) -> None:
        self.file = file
        self._source = source
        found = load(file, _Document, otherwise=_OTHERWISE)
        if found is None or found.source != source:
            found = _Document(source=source, current=None, finished_at=None, failed={})
        self.current = found.current
        self.seen_until = found.finished_at
        self.failed = found.failed
        self._dirty = False

    def begin(self, now: dt.datetime) -> Pass:
        """The look to go on with, a new one when the last is finished."""
        if self.current is None:
            self.current = Pass(started_at=now)
            self._dirty = True
        return self.current

    def reach(self, key: str) -> None:
        """Everything up to a key is done."""
        assert self.current is not None
        self.current = msgspec.structs.replace(self.current, after=key)
        self._dirty = True

    def fail(self, key: str, why: str) -> None:
        """An object could not be read."""
        self.failed[key] = why
        self._dirty = True

    def mend(self, key: str) -> None:
        """An object that failed before is done."""
        self._dirty = self.failed.pop(key, None) is not None or self._dirty

    def finish(self) -> None:
        """The look has come to its end."""
        if self.current is not None:
            self.seen_until, self.current = self.current.started_at, None
            self._dirty = True

    def save(self) -> None:
        """Write what changed.

        Raises:
            OSError: The file can't be written; the old one stays.
        """
        if not self._dirty:
            return
        self._dirty = False
        document = _Document(
            source=self._source,
            current=self.current,
            finished_at=self.seen_until,
            failed=self.failed,
        )
        try:
            store(self.file, document)
        except OSError:
            self._dirty = True
            raise
