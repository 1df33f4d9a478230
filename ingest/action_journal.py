"""Keeps the product's own actions until the brokers have them. An action that can't be kept is not done.

A file an action, in one directory: `<id>.begun` from before the action on, locked by the process that acts; `<id>.json`
when it ended. A process that is killed leaves the first, which then goes its way with the outcome `unknown`. What was
sent and could not be deleted any more is sent again and is a duplicate. `<id>.made` is a file that is not whole yet:
nothing was done.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.durable_files import replace_durably, sync_directory
from ingest.publisher import Publisher
from ingest.schema.action import FORMAT_NAME, Action, encode
from ingest.schema.envelope import Envelope, Header, Origin
from ingest.schema.errors import ConfigError

COLLECTOR = "skytrail"
"""Collector of every record of an action, in the accounting and in documents."""
_MADE, _BEGUN, _ENDED = ".made", ".begun", ".json"


@dataclass(slots=True)
class Begun:
    """An action under way; its file is locked until it ends.

    Attributes:
        descriptor: The locked file.
    """

    action: Action
    descriptor: int


class ActionJournal:
    """The actions of one installation on this machine that the brokers do not have yet."""

    def __init__(self, directory: Path, namespace: str) -> None:
        """A journal.

        Args:
            directory: Where the files lie; made when it is needed.
            namespace: Under which the actions are indexed and sealed.
        """
        self._directory = directory
        self._namespace = namespace

    def begin(self, action: Action) -> Begun:
        """Keep that an action begins.

        Raises:
            ConfigError: It can't be kept, so it must not be done.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = self._locked(action)
            sync_directory(self._directory)
        except OSError as exc:
            raise self._unkept(action, exc) from exc
        return Begun(action, descriptor)

    def _locked(self, action: Action) -> int:
        """Make the file of an action; under its name it is whole and locked, else others took it for abandoned."""
        made = self._directory / f"{action.id}{_MADE}"
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with open(descriptor, "wb", closefd=False) as handle:
                handle.write(encode(action))
                handle.flush()
                os.fsync(descriptor)
            made.replace(made.with_suffix(_BEGUN))
        except OSError:
            made.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        return descriptor

    def end(self, begun: Begun, action: Action) -> None:
        """Keep how it ended.

        Raises:
            ConfigError: It can't be kept; that it was begun is.
        """
        try:
            replace_durably(self._directory / f"{action.id}{_ENDED}", encode(action))
            # Who sends the end meanwhile may have deleted it.
            (self._directory / f"{action.id}{_BEGUN}").unlink(missing_ok=True)
        except OSError as exc:
            raise self._unkept(action, exc) from exc
        finally:
            os.close(begun.descriptor)

    def waiting(self) -> list[Path]:
        """Files of actions that ended, and of those whose process is gone; oldest first."""
        return [file for file, _ in self._found()]

    def _found(self) -> list[tuple[Path, bool]]:
        """The same, and whether there is something to send in it: not where the end was there beside it.

        That is looked at once. Later the end may be sent and gone, and what was begun would be told as `unknown`:
        another record under the same id.
        """
        found: list[tuple[Path, bool]] = []
        with contextlib.suppress(FileNotFoundError):
            for file in sorted(self._directory.iterdir(), key=_age):
                spent = file.suffix == _BEGUN and file.with_suffix(_ENDED).exists()
                if file.suffix == _ENDED or spent or (file.suffix == _BEGUN and _is_abandoned(file)):
                    found.append((file, not spent))
        return found

    async def send(self, publisher: Publisher, now: dt.datetime) -> int:
        """Give the brokers what waits; how many actions.

        Args:
            publisher: The way to the brokers.
            now: Time of receipt.

        Raises:
            BrokerUnavailable: They do not have it; it goes on waiting.
        """
        files = self._found()
        kept = [(file, body) for file, says in files if says and (body := _read(file))]
        if kept:
            await publisher.publish([self._envelope(file, body, now) for file, body in kept])
        for file, _ in sorted(files, key=lambda each: each[0].suffix):
            file.unlink(missing_ok=True)  # `.begun` first: alone it would be taken for abandoned
        return len(kept)

    def _envelope(self, file: Path, body: bytes, now: dt.datetime) -> Envelope:
        origin = Origin(transport="actions", locator=file.name, sha256=hashlib.sha256(body).hexdigest())
        header = Header(
            format=FORMAT_NAME, namespace=self._namespace, collector=COLLECTOR, received_at=now, origin=origin
        )
        return Envelope(header=header, records=(body,))

    def _unkept(self, action: Action, exc: OSError) -> ConfigError:
        return ConfigError(
            f"recording the action {action.name}: {exc.strerror or exc}",
            where=str(self._directory),
            mend="free space there or mend its permissions: what can't be recorded is not done",
        )


def _age(file: Path) -> tuple[int, str]:
    with contextlib.suppress(OSError):
        return file.stat().st_mtime_ns, file.name
    return 0, file.name


def _is_abandoned(file: Path) -> bool:
    """Whether no process holds the lock."""
    with _opened(file) as descriptor:
        if descriptor is None:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[int | None]:
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(file: Path) -> bytes:
    """The record in a file; none where its end is kept beside it, or the process died before it was written."""
    if file.suffix == _BEGUN and file.with_suffix(_ENDED).exists():
        return b""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""  # another process sent it meanwhile
