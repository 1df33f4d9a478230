"""A look at the paths of a collector of files before it starts."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from ingest.transports.contract import Finding
from ingest.transports.files.settings import FilesSettings


def inspect(settings: FilesSettings) -> Iterator[Finding]:
    """Whether there is something at each path, and whether it can be read."""
    if not settings.paths:
        yield Finding("fail", "it has no paths", "set files.paths of this collector")
        return
    findings = [finding for path in settings.paths if (finding := _look_at(path))]
    yield from findings or [Finding("ok", ", ".join(settings.paths))]


def _look_at(path: str) -> Finding | None:
    found = [path] if path == "-" or Path(path).exists() else glob.glob(path, recursive=True)  # noqa: PTH207 - any glob
    if not found:
        return Finding("warn", f"{path}: nothing is there; a slip?", "correct files.paths if so")
    unreadable = [one for one in found if one != "-" and not _readable(Path(one))]
    if not unreadable:
        return None
    told = f"{unreadable[0]} can't be read by this user ({len(unreadable)} of {len(found)})"
    return Finding("fail", told, "give this user the right to read it", denied=True)


def _readable(path: Path) -> bool:
    return os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK)
