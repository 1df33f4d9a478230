"""What is told of blobs that are not as they were."""

from __future__ import annotations

import datetime as dt

from ingest.schema.errors import SourceRefused, SourceUnavailable
from ingest.transports.azure_blob.container import Listed
from ingest.transports.azure_blob.marks import Mark


def vanished_unread(blob: Listed) -> SourceUnavailable:
    """A blob that was listed and could not be read any longer."""
    return _vanished(blob.locator, f"before its {blob.size} bytes were read", blob.modified)


def vanished(mark: Mark) -> SourceUnavailable:
    """A blob that was read lately and is not listed any longer."""
    left = mark.size - mark.offset
    lost = f"with {left} bytes unread" if left > 0 else "what was appended since it was last read is lost"
    return _vanished(mark.locator, lost, mark.modified)


def replaced(blob: Listed, last: Mark) -> SourceRefused:
    """A log that should only grow, and does not go on from what was read of it."""
    return SourceRefused(
        f"reading blob: it has {blob.size} bytes that do not go on from the {last.offset} that were read of it",
        where=blob.locator,
        mend="someone deleted, cut or replaced a log: find out who; it is read again from its start",
    )


def _vanished(locator: str, lost: str, modified: float) -> SourceUnavailable:
    written = dt.datetime.fromtimestamp(modified, dt.UTC).isoformat(timespec="seconds")
    return SourceUnavailable(
        f"reading blob: it vanished, last written at {written}: {lost}",
        where=locator,
        mend="find out who deleted it; let no lifecycle rule delete blobs in the first two days",
    )
