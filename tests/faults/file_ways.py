"""An API server that writes its audit log to files, and a rotation that renames, compresses and deletes them."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.endpoint_ways import cluster_audit
from tests.faults.killing import REPEATED
from tests.faults.material import AUDIT

_ROTATED = 6  # every so many bodies the log is renamed and a new one begun
_KEPT = 3  # rotated files that are not compressed yet
_AWAY = 8  # bodies for which a volume is not there


class FollowedLog:
    """A directory with `audit.log` and what became of it; a compressed file takes the place of the plain one."""

    transport = "files"
    format = AUDIT

    def __init__(self, directory: Path) -> None:
        self._mounted = directory / "apiserver"
        self._unmounted = directory / "apiserver.away"
        self._mounted.mkdir()
        self._checkpoint = directory / "files.checkpoint.json"
        self._away = 0

    def records(self, rng: random.Random, count: int) -> dict[str, bytes]:
        return cluster_audit(rng, count)

    def settings(self, _directory: Path) -> dict[str, Any]:
        return {
            "paths": [str(self._mounted)],
            "follow": True,
            "checkpoint_file": str(self._checkpoint),
            "poll_interval_s": 0.1,
        }

    async def put(self, number: int, records: Sequence[bytes]) -> None:
        """Append lines, in two writes that meet in the middle of one."""
        if self._away:
            self._away -= 1
            if not self._away:
                self._unmounted.rename(self._mounted)
        if number % _ROTATED == _ROTATED - 1:
            self._rotate(number)
        body = b"".join(record + b"\n" for record in records) * (2 if number % REPEATED == 0 else 1)
        with (self._there / "audit.log").open("ab", buffering=0) as log:
            log.write(body[: len(body) // 2])
            log.write(body[len(body) // 2 :])

    async def left(self) -> int:
        """Bytes that the checkpoint does not have."""
        try:
            marks = json.loads(self._checkpoint.read_bytes())["files"]
        except FileNotFoundError:
            marks = {}
        return sum(_unread(path, marks) for path in self._there.iterdir() if not path.name.startswith("."))

    def trouble(self) -> None:
        """Let the volume be away for a while; its log is written on."""
        self._mounted.rename(self._unmounted)
        self._away = _AWAY

    @property
    def _there(self) -> Path:
        return self._unmounted if self._away else self._mounted

    def _rotate(self, number: int) -> None:
        """Rename the log, and compress the oldest plain one, read or not."""
        directory = self._there
        (directory / "audit.log").rename(directory / f"audit-{number:05}.log")
        plain = sorted(directory.glob("audit-*.log"))
        for old in plain[:-_KEPT]:
            unfinished = directory / f".{old.name}.gz"
            unfinished.write_bytes(gzip.compress(old.read_bytes(), 1))
            unfinished.rename(directory / f"{old.name}.gz")
            old.unlink()


def _unread(path: Path, marks: dict[str, dict[str, Any]]) -> int:
    found = path.stat()
    mark = marks.get(f"{found.st_dev}:{found.st_ino}")
    head = path.read_bytes()[: mark["head_bytes"]] if mark else b""
    if mark is None or hashlib.sha256(head).hexdigest() != mark["head"]:  # or that of a file whose inode this one has
        return found.st_size
    return found.st_size - int(mark["offset"])
