"""What is told of files and streams that do not give what they held."""

from __future__ import annotations

from ingest.schema.errors import SourceUnavailable
from ingest.transports.files.reading import Look
from ingest.transports.files.track import Track


def vanished_unread(track: Track) -> SourceUnavailable:
    """A file that is gone, of which more had been seen than was read."""
    return SourceUnavailable(
        f"reading file: it vanished with {track.unread} bytes unread",
        where=str(track.path),
        mend="they are lost unless it was moved to where nobody looks: keep files for longer than an outage lasts",
    )


def rewritten(track: Track, found: Look) -> SourceUnavailable:
    """A file of lines that should only grow, and does not go on from what was read of it."""
    return SourceUnavailable(
        f"reading file: it has {found.size} bytes that do not go on from the {track.offset} that were read of it; it "
        "is read from its start",
        where=str(track.path),
        mend="someone cut or replaced a log: what was appended after the last look is lost with it; rotate by renaming",
    )


def left_of_stream(path: str, size: int) -> SourceUnavailable:
    """Bytes of what can't be read twice, at a stop."""
    return SourceUnavailable(
        f"reading stream: {size} bytes of it were read and not delivered when the collector stopped",
        where=path,
        mend="a stream gives nothing twice: send them again, or write to a file and collect that",
    )
