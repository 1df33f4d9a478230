"""The archive in a directory of a local or mounted filesystem.

Delivery: an object is written to `.staging/`, fsynced, and hard-linked to its name, which fails if the name is taken;
then the directories on the way are fsynced. A reader sees the whole object or none; leftovers in `.staging/` are
harmless. Needs a filesystem with hard links and flock (ext4, xfs, btrfs, zfs, NFS 4).

Objects have mode 0440, directories 0750.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ingest.schema.errors import AlreadyExists, ConfigError, Refused, StoreUnavailable
from storage.archive.store import check_key

STALE_STAGING_S = 24 * 3600.0  # far beyond any write in progress
_OBJECT_MODE = 0o440
_DIRECTORY_MODE = 0o750
_CANNOT_PROMISE = [
    "whoever owns these files, or is root here, can still change or delete them: that needs a store with object lock",
    "an early deletion is refused by this product only, not by the filesystem",
]


class FilesystemStore:
    """An `ArchiveStore` in a directory, which is made where absent.

    Args:
        root: The directory.
        allow_delete: Whether this identity may delete.
        fsync: Makes a descriptor durable; tests pass one that fails.
    """

    def __init__(self, root: Path, *, allow_delete: bool = False, fsync: Callable[[int], None] = os.fsync) -> None:
        self.root = root.absolute()
        self._allow_delete = allow_delete
        self._fsync = fsync
        self._durable: set[Path] = set()

    def put(self, key: str, body: bytes, until: dt.datetime | None = None) -> None:
        """See `ArchiveStore.put`; a directory can't keep anything from its owner."""
        del until
        path = self._path(key)
        with self._explained(f"writing archive object {key}"):
            if not self._place(path, body):
                if path.read_bytes() != body:
                    raise AlreadyExists("writing archive object: other bytes lie under this key", where=str(path))
                # Whoever linked it may have died before this, so it is made durable again.
                self._sync_directory(path.parent)

    def swap(self, key: str, expected: bytes | None, body: bytes) -> bool:
        """See `ArchiveStore.swap`."""
        path = self._path(key)
        with self._explained(f"swapping archive object {key}"), self._lock():
            if (path.read_bytes() if path.exists() else None) != expected:
                return False
            self._make_directory(path.parent)
            staged = self._stage(body)
            staged.replace(path)
            self._sync_directory(path.parent)
        return True

    def get(self, key: str) -> bytes | None:
        """See `ArchiveStore.get`."""
        path = self._path(key)
        with self._explained(f"reading archive object {key}"):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """See `ArchiveStore.keys`."""
        folder, _, _ = prefix.rpartition("/")
        if folder:
            check_key(folder)
        with self._explained(f"listing archive objects below {prefix or '/'}"):
            for key in self._walk(folder):
                if key > after and key.startswith(prefix):
                    yield key

    def folders(self, prefix: str) -> list[str]:
        """See `ArchiveStore.folders`."""
        path = self._path(prefix.rstrip("/")) if prefix else self.root
        with self._explained(f"listing archive folders below {prefix or '/'}"):
            if not path.is_dir():
                return []
            return sorted(entry.name for entry in path.iterdir() if entry.name[0] != "." and entry.is_dir())

    def delete(self, key: str) -> None:
        """See `ArchiveStore.delete`."""
        path = self._path(key)
        if not self._allow_delete:
            raise Refused("deleting archive object: this identity may not", where=str(path))
        with self._explained(f"deleting archive object {key}"):
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                self._sync_directory(path.parent)

    def destroy(self, key: str) -> None:
        """See `ArchiveStore.destroy`; a directory has no versions and refuses nothing."""
        self.delete(key)

    def leftovers(self, mark: bytes) -> int:
        """See `StagingStore.leftovers`."""
        with self._explained("looking for leftovers of writers"):
            return len(self._left(mark))

    def sweep(self, mark: bytes) -> None:
        """See `StagingStore.sweep`."""
        with self._explained("removing leftovers of writers"):
            found = self._left(mark)
            for leftover in found:
                leftover.unlink(missing_ok=True)
            if found:
                self._sync_directory(self.root / ".staging")

    def _left(self, mark: bytes) -> list[Path]:
        staging = self.root / ".staging"
        found = []
        for leftover in staging.iterdir() if staging.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):  # its writer was alive
                if mark in leftover.read_bytes():
                    found.append(leftover)
        return found

    def probe(self) -> list[str]:
        """See `ArchiveStore.probe`; also clears leftovers of writers that died long ago."""
        target = self.root / ".probe" / f"write-once-{os.getpid()}"
        with self._explained("probing the archive directory"):
            target.unlink(missing_ok=True)
            taken = self._place(target, b"first") and not self._place(target, b"second")
            kept = target.read_bytes()
            target.unlink()
            self._clear_staging()
        if not taken or kept != b"first":
            raise ConfigError(
                "probing the archive directory: an overwrite was not refused",
                where=str(self.root),
                mend="put archive.directory on a filesystem with hard links (ext4, xfs, zfs, NFS 4)",
            )
        return list(_CANNOT_PROMISE)

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _place(self, path: Path, body: bytes) -> bool:
        """Put `body` at `path` durably; False when the name is taken."""
        self._make_directory(path.parent)
        if path.exists():
            return False
        staged = self._stage(body)
        try:
            os.link(staged, path)
        except FileExistsError:
            return False
        finally:
            staged.unlink(missing_ok=True)
        self._sync_directory(path.parent)
        return True

    def _stage(self, body: bytes) -> Path:
        """Write `body` durably under a temporary name."""
        staging = self.root / ".staging"
        self._make_directory(staging)
        descriptor, name = tempfile.mkstemp(dir=staging)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
                file.flush()
                os.fchmod(descriptor, _OBJECT_MODE)
                self._fsync(descriptor)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        return Path(name)

    def _make_directory(self, path: Path) -> None:
        """Make `path` and make sure, once per process, that it and all above it up to the root survive a power cut."""
        if path in self._durable:
            return
        path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        for directory in (path, *path.parents):
            self._sync_directory(directory)
            if directory == self.root.parent:
                break
        self._durable.add(path)

    def _sync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._fsync(descriptor)
        finally:
            os.close(descriptor)

    def _walk(self, folder: str) -> Iterator[str]:
        """Keys below a folder in the order of their bytes: a folder sorts as if its name ended in a slash."""
        path = self.root / folder
        if not path.is_dir():
            return
        with os.scandir(path) as entries:
            names = sorted(entry.name + "/" * entry.is_dir() for entry in entries if entry.name[0] != ".")
        for name in names:
            key = f"{folder}/{name}" if folder else name
            if name.endswith("/"):
                yield from self._walk(key[:-1])
            else:
                yield key

    def _clear_staging(self) -> None:
        limit = time.time() - STALE_STAGING_S
        for leftover in (self.root / ".staging").iterdir():
            if leftover.stat().st_mtime < limit:
                leftover.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the store's only lock, among threads and processes; it dies with its holder."""
        self._make_directory(self.root)
        descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn what the operating system says into our error."""
        try:
            yield
        except OSError as exc:
            raise StoreUnavailable(f"{doing}: {exc.strerror or exc}", where=exc.filename or str(self.root)) from exc
