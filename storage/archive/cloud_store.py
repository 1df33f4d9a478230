"""What the stores in buckets and containers have in common: write-once by conditions, locks until a time, a probe.

A vendor's store says how its service does each step; this class says in which order, and what each outcome means.
"""

from __future__ import annotations

import datetime as dt
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from ingest.schema.errors import AlreadyExists, ConfigError, Refused
from storage.archive.store import check_key
from storage.settings import CloudArchive

PROBE_LOCK = dt.timedelta(seconds=90)


class CloudStore(ABC):
    """An `ArchiveStore` and `HoldingStore` on top of a service with conditional writes.

    Args:
        settings: Which bucket or container, and how it is locked.
        allow_delete: Whether this identity may delete.
        clock: The present time (UTC), for locks.
    """

    kind: str
    """`bucket` or `container`."""

    def __init__(self, settings: CloudArchive, *, allow_delete: bool, clock: Callable[[], dt.datetime]) -> None:
        prefix = settings.prefix.strip("/")
        self._root = f"{prefix}/" if prefix else ""
        self._locks = settings.lock != "none"
        self._lock_days = dt.timedelta(days=settings.lock_days)
        self._allow_delete = allow_delete
        self._clock = clock

    @abstractmethod
    def _create(self, name: str, body: bytes, until: dt.datetime | None) -> bool:
        """Write where there is nothing, locked until a time; whether there was nothing."""

    @abstractmethod
    def _replace(self, name: str, body: bytes, tag: str) -> bool:
        """Write over the state of this tag; whether it had it."""

    @abstractmethod
    def _read(self, name: str) -> bytes | None:
        """The bytes; None where there is nothing."""

    @abstractmethod
    def _state(self, name: str) -> tuple[bytes | None, str]:
        """The bytes and the tag of the same state."""

    @abstractmethod
    def _names(self, prefix: str, after: str) -> Iterator[str]:
        """Names that begin with `prefix`, in order; those up to and with `after` may be left out."""

    @abstractmethod
    def _folders(self, prefix: str) -> Iterable[str]:
        """What follows `prefix` up to the next slash, with it."""

    @abstractmethod
    def _remove(self, name: str) -> None:
        """Delete, or hide where versions are kept; nothing there is fine."""

    @abstractmethod
    def _destroy(self, name: str) -> str:
        """Delete every version; which one the service keeps and why, as far as it tells, or nothing: all are gone."""

    @abstractmethod
    def _hold(self, name: str, *, on: bool) -> bool:
        """Hold every version that has bytes, or let go of it; whether that changed anything."""

    @abstractmethod
    def _probe_lock(self, name: str) -> None:
        """Prove that what is locked can neither be deleted nor freed earlier. Raises `ConfigError`."""

    @abstractmethod
    def _weaknesses(self) -> list[str]:
        """What locks like these do not promise, a sentence each."""

    @abstractmethod
    def _where(self, name: str) -> str:
        """The address of a name."""

    @abstractmethod
    def _explained(self, doing: str) -> AbstractContextManager[None]:
        """Turn what the service says into `StoreUnavailable`: the same call can be made again."""

    def put(self, key: str, body: bytes, until: dt.datetime | None = None) -> None:
        """See `ArchiveStore.put`; locked for `lock_days`, or longer where `until` is later."""
        name = self._name(key)
        least = self._clock() + self._lock_days
        with self._explained(f"writing archive object {key}"):
            locked = (least if until is None else max(least, until)) if self._locks else None
            if not self._create(name, body, locked) and self._read(name) != body:
                raise AlreadyExists("writing archive object: other bytes lie under this key", where=self._where(name))

    def swap(self, key: str, expected: bytes | None, body: bytes) -> bool:
        """See `ArchiveStore.swap`."""
        name = self._name(key)
        with self._explained(f"swapping archive object {key}"):
            if expected is None:
                return self._create(name, body, None)
            found, tag = self._state(name)
            return found == expected and self._replace(name, body, tag)

    def get(self, key: str) -> bytes | None:
        """See `ArchiveStore.get`."""
        name = self._name(key)
        with self._explained(f"reading archive object {key}"):
            return self._read(name)

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """See `ArchiveStore.keys`."""
        folder, _, _ = prefix.rpartition("/")
        if folder:
            check_key(folder)
        with self._explained(f"listing archive objects below {prefix or '/'}"):
            for name in self._names(self._root + prefix, self._root + after if after else ""):
                if (key := name[len(self._root) :]) > after:
                    yield key

    def folders(self, prefix: str) -> list[str]:
        """See `ArchiveStore.folders`."""
        if prefix:
            check_key(prefix.rstrip("/"))
        whole = self._root + prefix
        with self._explained(f"listing archive folders below {prefix or '/'}"):
            return sorted(name[len(whole) : -1] for name in self._folders(whole))

    def delete(self, key: str) -> None:
        """See `ArchiveStore.delete`; where versions are kept, they stay."""
        name = self._deletable(key)
        with self._explained(f"deleting archive object {key}"):
            self._remove(name)

    def destroy(self, key: str) -> None:
        """See `ArchiveStore.destroy`."""
        name = self._deletable(key)
        with self._explained(f"destroying archive object {key}"):
            kept = self._destroy(name)
        if kept:
            raise Refused(
                f"destroying archive object: the {self.kind} keeps {kept}",
                where=self._where(name),
                mend="it is tried again; until a lock has ended nobody can do more",
            )

    @property
    def holds_objects(self) -> bool:
        """See `HoldingStore.holds_objects`: holds and locks go together."""
        return self._locks

    def hold(self, key: str, *, on: bool) -> bool:
        """See `HoldingStore.hold`; versions that a deletion hid are held, too."""
        name = self._name(key)
        with self._explained(f"{'holding' if on else 'letting go of'} archive object {key}"):
            return self._hold(name, on=on)

    def probe(self) -> list[str]:
        """See `ArchiveStore.probe`; with a lock it leaves one version of a few bytes, hidden, until its lock ends."""
        name = f"{self._root}probe-{uuid.uuid4().hex}"
        with self._explained(f"probing the archive {self.kind}"):
            if self._locks:
                self._probe_lock(name)
            self._probe_conditions(f"{name}-conditions")
        return self._weaknesses()

    def _probe_conditions(self, name: str) -> None:
        """Prove that no write takes the place of another."""
        try:
            fresh = self._create(name, b"first", None)
            taken = not self._create(name, b"second", None)
            found, tag = self._state(name)
            replaced = self._replace(name, b"third", tag)
            stale = self._replace(name, b"fourth", tag)
        finally:
            self._remove(name)
        if not (fresh and taken and found == b"first" and replaced) or stale:
            raise self._broken("it does not keep conditional writes", name)

    def _broken(self, what: str, name: str) -> ConfigError:
        return ConfigError(
            f"probing the archive {self.kind}: {what}",
            where=self._where(name),
            mend=f"use another {self.kind}: docs/integrity.md tells what one must do",
        )

    def _deletable(self, key: str) -> str:
        name = self._name(key)
        if not self._allow_delete:
            raise Refused("deleting archive object: this identity may not", where=self._where(name))
        return name

    def _name(self, key: str) -> str:
        return self._root + check_key(key)
