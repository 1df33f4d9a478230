"""The archive in a bucket of Google Cloud Storage: preconditions make it write-once, object retention keeps it.

An object is written under `ifGenerationMatch=0`, so a name that is taken stays as it is, and with a lock it gets a
retention that nobody can shorten (mode Locked). The few objects that are replaced (`swap`: the generation that was
read) get none. To delete an object hides it: its generation stays as long as its retention or a hold says, so the
bucket keeps versions.

A legal hold is a temporary hold of each generation. The event-based one would start the retention period of the bucket
anew when it ends: letting go of something would lengthen how long it is kept.

The rights that each identity needs are in docs/integrity.md.

https://cloud.google.com/storage/docs/request-preconditions
https://cloud.google.com/storage/docs/object-lock
https://cloud.google.com/storage/docs/object-holds
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import requests
from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound, PreconditionFailed, ServerError
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from ingest.schema.errors import SourceRefused, StoreUnavailable
from ingest.transports.google_cloud.access import credentials_of
from storage.archive.cloud_store import PROBE_LOCK, CloudStore
from storage.gcs_settings import GcsArchiveSettings

_SCOPE: Final = "https://www.googleapis.com/auth/devstorage.full_control"
_ERRORS: Final = (GoogleAPICallError, GoogleAuthError, DataCorruption, InvalidResponse, requests.RequestException)
_NO_RIGHT: Final = "does not have storage."


class GcsStore(CloudStore):
    """An `ArchiveStore` in a bucket.

    Args:
        settings: Which bucket, and how it is locked.
        allow_delete: Whether this identity may delete.
        clock: The present time (UTC), for retentions.
        connect: Makes a client for each thread; None: of the settings and what Google's libraries find.

    Raises:
        ConfigError: The credentials' file is none.
    """

    kind = "bucket"

    def __init__(
        self,
        settings: GcsArchiveSettings,
        *,
        allow_delete: bool = False,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        connect: Callable[[], Any] | None = None,
    ) -> None:
        super().__init__(settings, allow_delete=allow_delete, clock=clock)
        self._settings = settings
        self._connect = connect or _connect_of(settings)
        self._own = threading.local()
        self._asked: dict[str, Any] = {
            "timeout": settings.request_timeout_s,
            "retry": DEFAULT_RETRY.with_timeout(settings.request_timeout_s),
        }
        self._once: dict[str, Any] = {"timeout": settings.request_timeout_s, "retry": None}

    def _weaknesses(self) -> list[str]:
        match self._settings.lock:
            case "locked":
                return []
            case "unlocked":
                return [
                    "whoever has storage.objects.overrideUnlockedRetention can take a lock off: use the lock locked"
                ]
        return ["whoever may delete in this bucket can delete what is sealed: that needs a lock (archive.gcs.lock)"]

    def _probe_lock(self, name: str) -> None:
        """Prove that a locked generation can neither be deleted nor freed earlier."""
        until = self._clock() + PROBE_LOCK
        self._write(name, b"locked", 0, until)
        generation = self._generation(name)
        if not self._is_kept(name, generation, until):
            self._remove(name)
            raise self._broken(
                "it drops retentions (a bucket is made with object retention, it can't be added everywhere), and "
                f"archive.gcs.lock is {self._settings.lock}",
                name,
            )
        if self._settings.lock == "locked":
            blob = self._bucket.blob(name, generation=generation)
            blob.retention.mode = "Locked"
            blob.retention.retain_until_time = self._clock() + dt.timedelta(seconds=30)
            if not _refused(lambda: blob.patch(**self._once)) or not self._is_kept(name, generation, until):
                raise self._broken("a lock could be shortened", name)
        if _refused(lambda: self._bucket.blob(name).delete(**self._once)):
            raise self._broken("a deletion does not hide a locked object: the bucket keeps no versions", name)
        hidden = self._bucket.blob(name, generation=generation)
        kept = self._is_kept(name, generation, until) and _refused(lambda: hidden.delete(**self._once))
        if not (kept and self._is_kept(name, generation, until)):
            raise self._broken("a locked object could be deleted", name)

    def _is_kept(self, name: str, generation: int, until: dt.datetime) -> bool:
        """Whether a generation is there and locked until then at least."""
        blob = self._bucket.blob(name, generation=generation)
        try:
            blob.reload(**self._asked)
        except NotFound:
            return False
        found = blob.retention.retain_until_time
        same = (blob.retention.mode or "").lower() == self._settings.lock
        return bool(same and found is not None and found >= until - dt.timedelta(seconds=1))

    def _create(self, name: str, body: bytes, until: dt.datetime | None) -> bool:
        return self._write(name, body, 0, until)

    def _replace(self, name: str, body: bytes, tag: str) -> bool:
        return bool(tag) and self._write(name, body, int(tag))

    def _state(self, name: str) -> tuple[bytes | None, str]:
        generation = self._generation(name)
        return (self._read(name, generation), str(generation)) if generation else (None, "")

    def _names(self, prefix: str, after: str) -> Iterator[str]:
        for blob in self._bucket.list_blobs(prefix=prefix, start_offset=after or None, **self._asked):
            yield blob.name

    def _folders(self, prefix: str) -> Iterable[str]:
        pages = self._bucket.list_blobs(prefix=prefix, delimiter="/", **self._asked)
        for _ in pages:
            pass  # the folders are known once all pages were read
        return list(pages.prefixes)

    def _hold(self, name: str, *, on: bool) -> bool:
        changed = False
        for blob in self._bucket.list_blobs(prefix=name, versions=True, **self._asked):
            if blob.name == name and bool(blob.temporary_hold) != on:
                blob.temporary_hold = on
                blob.patch(**self._asked)
                changed = True
        return changed

    def _write(self, name: str, body: bytes, generation: int, until: dt.datetime | None = None) -> bool:
        """Write over this generation (0: none); False when it is another. Never twice: an answer may be lost."""
        blob = self._bucket.blob(name)
        if until is not None:
            blob.retention.mode = self._settings.lock.capitalize()
            blob.retention.retain_until_time = until
        try:
            blob.upload_from_string(
                body, "application/octet-stream", if_generation_match=generation, checksum="crc32c", **self._once
            )
        except PreconditionFailed:
            return False
        except NotFound:
            if generation and self._generation(name) == 0:
                return False
            raise
        return True

    def _generation(self, name: str) -> int:
        """The newest generation of an object; 0 where there is none."""
        blob = self._bucket.get_blob(name, **self._asked)
        return 0 if blob is None else int(blob.generation)

    def _read(self, name: str, generation: int | None = None) -> bytes | None:
        try:
            blob = self._bucket.blob(name, generation=generation)
            found: bytes = blob.download_as_bytes(raw_download=True, **self._asked)
        except NotFound:
            self._there()
            return None
        return found

    def _there(self) -> None:
        """Tell a bucket that is not there from an object that is not: the service says the same of both."""
        if not getattr(self._own, "there", False):
            next(iter(self._bucket.list_blobs(prefix=self._root, max_results=1, **self._asked)), None)
            self._own.there = True

    def _destroy(self, name: str) -> str:
        for blob in list(self._bucket.list_blobs(prefix=name, versions=True, **self._asked)):
            if blob.name == name and _refused(lambda blob=blob: self._remove(name, blob.generation)):  # type: ignore[misc]
                return f"generation {blob.generation}: {_kept_by(blob)}"
        return ""

    def _remove(self, name: str, generation: int | None = None) -> None:
        with contextlib.suppress(NotFound):
            self._bucket.blob(name, generation=generation).delete(**self._asked)

    @property
    def _bucket(self) -> Any:
        if not hasattr(self._own, "bucket"):
            self._own.bucket = self._connect().bucket(self._settings.bucket)
        return self._own.bucket

    def _where(self, name: str) -> str:
        return f"gs://{self._settings.bucket}/{name}"

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn what Google says into our error: whether it happened is unknown, the same call can be made again."""
        try:
            yield
        except (*_ERRORS, SourceRefused) as exc:
            denied = isinstance(exc, Forbidden | GoogleAuthError | SourceRefused)
            mend = (
                "give the identity the rights that docs/integrity.md names; check its credentials"
                if denied
                else "check archive.gcs, the network and the state of Cloud Storage; the call is made again"
            )
            raise StoreUnavailable(f"{doing}: {type(exc).__name__}: {exc}", where=self._where(""), mend=mend) from exc


def _connect_of(settings: GcsArchiveSettings) -> Callable[[], Any]:
    """How a client is made; reads the credentials' file, if one is set."""
    file = settings.credentials_file
    found = credentials_of(file, _SCOPE) if file else None

    def connect() -> Any:
        # A project is asked for and not used: every call names a bucket.
        return storage.Client(project="skytrail", credentials=found)

    return connect


def _kept_by(blob: Any) -> str:
    """Why a generation was not deleted, as far as its listing tells."""
    until = blob.retention.retain_until_time
    if blob.temporary_hold or blob.event_based_hold:
        return "a hold of the store is on it"
    return f"its lock ends at {until:%Y-%m-%dT%H:%M:%SZ}" if until is not None else "it does not say why"


def _refused(attempt: Callable[[], object]) -> bool:
    """Whether Google refuses something for what it is. A right that is missing says nothing of that, and is raised."""
    try:
        attempt()
    except GoogleAPICallError as exc:
        if isinstance(exc, ServerError | NotFound) or _NO_RIGHT in str(exc):
            raise
        return True
    return False
