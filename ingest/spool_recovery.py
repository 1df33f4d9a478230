"""What a spool finds when it opens: segments, the drained position, and what a crash left."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ingest.durable_files import sync_directory
from ingest.schema.errors import ConfigError
from ingest.spool_frames import MAGIC, START, extents, read_nonce

_SUFFIX = ".spool"


class Position(msgspec.Struct, frozen=True, order=True):
    """A place in the spool: everything before it is drained."""

    segment: int
    offset: int


@dataclass(slots=True)
class Segment:
    """One segment file.

    Attributes:
        size: Bytes that are durable; a frame never lies beyond.
        gaps: Offset → length of bytes that are no frame.
    """

    path: Path
    nonce: bytes
    size: int
    gaps: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Recovery:
    """What opening a spool found.

    Attributes:
        segments: By number, in order.
        frames: Whole frames waiting to be drained.
        torn_bytes: Bytes cut from an end: an append that a crash interrupted, so never reported as kept.
        damaged: Files that now hold bytes which are no frame but lay before a whole one, for a person to look at.
    """

    segments: dict[int, Segment] = field(default_factory=dict)
    position: Position = field(default_factory=lambda: Position(1, START))
    frames: int = 0
    torn_bytes: int = 0
    damaged: list[Path] = field(default_factory=list)


def segment_path(directory: Path, number: int) -> Path:
    """The file of a segment."""
    return directory / f"{number:08d}{_SUFFIX}"


def position_path(directory: Path) -> Path:
    """The file of the drained position."""
    return directory / "position.json"


def recover(directory: Path) -> Recovery:
    """Read what is there, cut torn ends, set damaged bytes aside.

    Raises:
        ConfigError: The directory or the position file can't be read.
    """
    found = Recovery(position=_read_position(directory))
    try:
        for path in sorted(directory.glob(f"*{_SUFFIX}")):
            _recover_segment(int(path.stem), path, found)
        sync_directory(directory)
    except (OSError, ValueError) as exc:
        mend = "give this user the directory; move files that are not the spool's away"
        raise ConfigError(f"recovering spool: {exc}", where=str(directory), mend=mend) from exc
    return found


def _read_position(directory: Path) -> Position:
    file = position_path(directory)
    try:
        return msgspec.json.decode(file.read_bytes(), type=Position)
    except FileNotFoundError:
        return Position(1, START)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
        mend = "remove it: the whole spool is then delivered again, and its records are counted as duplicates"
        raise ConfigError(f"reading spool position: {exc}", where=str(file), mend=mend) from exc


def _recover_segment(number: int, path: Path, found: Recovery) -> None:
    if number < found.position.segment:
        path.unlink()  # drained; a crash came between the note and the deletion
        return
    size = path.stat().st_size
    with path.open("r+b") as handle:
        nonce = read_nonce(handle)
        if nonce is None:
            _without_head(path, size, found)
            return
        segment = Segment(path, nonce, size)
        start = found.position.offset if number == found.position.segment else START
        for extent in extents(handle, nonce, start, size):
            if extent.whole:
                found.frames += 1
            elif extent.offset + extent.length < size:
                segment.gaps[extent.offset] = extent.length
                handle.seek(extent.offset)
                aside = path.with_suffix(f".{extent.offset}.damaged")
                aside.write_bytes(handle.read(extent.length))
                found.damaged.append(aside)
            else:
                handle.truncate(extent.offset)
                os.fsync(handle.fileno())
                segment.size = extent.offset
                found.torn_bytes += extent.length
    found.segments[number] = segment


def _without_head(path: Path, size: int, found: Recovery) -> None:
    """A segment without its head: a crash while it was begun, or damage; only the latter can hold frames."""
    if size <= START or not path.read_bytes()[: len(MAGIC)].strip(b"\x00"):
        found.torn_bytes += size
        path.unlink()
        return
    aside = path.with_suffix(".damaged")
    path.rename(aside)
    found.damaged.append(aside)
