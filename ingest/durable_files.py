"""Files that survive a crash: replaced as a whole, with their directory."""

from __future__ import annotations

import os
from pathlib import Path


def replace_durably(file: Path, body: bytes) -> None:
    """Replace a file so that a crash leaves the old or the new one, never a part.

    Raises:
        OSError: The old one stays.
    """
    beside = file.with_name(f".{file.name}.tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(descriptor, "wb") as handle:  # noqa: PTH123 - a descriptor, opened with its mode
            handle.write(body)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(file)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(file.parent)


def sync_directory(directory: Path) -> None:
    """Make a creation, renaming or deletion in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
