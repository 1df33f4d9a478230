"""Closes a collector for good: a mark in the state directory at which it stops, and refuses to start.

A running collector holds a shared lock, so that whoever closes it can tell when it has ended. Mark and lock are of one
state directory: of collectors on other machines nothing is known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import errno
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ingest.durable_files import replace_durably
from ingest.schema.errors import ConfigError, StoreUnavailable

LOOK_EVERY_S = 1.0


class Closed(msgspec.Struct, frozen=True):
    """The mark.

    Attributes:
        closed_at: When the collector was closed (UTC, ISO 8601).
    """

    closed_at: str


def folder(state_dir: Path) -> Path:
    """Where marks and records lie."""
    return state_dir / "offboarded"


def closed(state_dir: Path, name: str) -> Closed | None:
    """The mark of a collector; None while it is open.

    Raises:
        ConfigError: There is one, and it can't be read.
    """
    file = _mark(state_dir, name)
    try:
        return msgspec.json.decode(file.read_bytes(), type=Closed)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as exc:
        raise ConfigError(f"reading the mark of an offboarded collector: {exc}", where=str(file)) from exc


def close(state_dir: Path, name: str, now: dt.datetime) -> Closed:
    """Close a collector; one that is closed already keeps its time.

    Raises:
        StoreUnavailable: The mark can't be written.
        ConfigError: There is one, and it can't be read.
    """
    if found := closed(state_dir, name):
        return found
    mark = Closed(now.astimezone(dt.UTC).isoformat(timespec="microseconds"))
    try:
        folder(state_dir).mkdir(parents=True, exist_ok=True)
        replace_durably(_mark(state_dir, name), msgspec.json.encode(mark))
    except OSError as exc:
        raise StoreUnavailable(
            f"closing a collector: {exc.strerror}",
            where=str(folder(state_dir)),
            mend="run it as the user of the collectors",
        ) from exc
    return mark


def refuse_closed(state_dir: Path, name: str) -> None:
    """Let no collector begin that was offboarded.

    Raises:
        ConfigError: It was.
    """
    if found := closed(state_dir, name):
        raise ConfigError(
            f"starting collector {name!r}: it was offboarded at {found.closed_at}",
            where=str(_mark(state_dir, name)),
            mend="connect the source under another name: what was stated of this one shall stay true",
        )


async def until_closed(state_dir: Path, name: str, stop: Callable[[], None]) -> None:
    """Call `stop` when a collector that runs is closed."""
    while not _mark(state_dir, name).exists():  # noqa: ASYNC110 - a file does not tell
        await asyncio.sleep(LOOK_EVERY_S)
    stop()


@contextlib.contextmanager
def running(state_dir: Path, name: str) -> Iterator[None]:
    """Hold the lock of a running collector; several of one name may.

    Raises:
        StoreUnavailable: The state directory can't be written.
    """
    try:
        folder(state_dir).mkdir(parents=True, exist_ok=True)
        handle = _lock(state_dir, name).open("ab")
    except OSError as exc:
        raise StoreUnavailable(
            f"starting collector: {exc.strerror}",
            where=str(folder(state_dir)),
            mend="make state_dir writable for this user",
        ) from exc
    with handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield


async def ended(state_dir: Path, name: str, timeout_s: float) -> bool:
    """Whether every collector of this name and state directory has ended, within a time."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not _free(_lock(state_dir, name)):
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(LOOK_EVERY_S / 4)
    return True


def _free(file: Path) -> bool:
    try:
        with file.open("ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno == errno.ENOENT:
            return True
        if exc.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _mark(state_dir: Path, name: str) -> Path:
    return folder(state_dir) / f"{name}.closed.json"


def _lock(state_dir: Path, name: str) -> Path:
    return folder(state_dir) / f"{name}.lock"
