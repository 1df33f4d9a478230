"""Reads from a bucket of Google Cloud Storage.

As whom: a service account in a file, else what Google's tools find on the machine. Needed rights: storage.objects.get
and storage.objects.list; where stamps or holds promise something, also storage.buckets.get.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from storage.verify.guard import Guard

_CHUNK = 1024 * 1024
_ERRORS = (GoogleAPICallError, GoogleAuthError, DataCorruption, InvalidResponse, requests.RequestException, ValueError)


@functools.cache
def _bucket(name: str, file: str) -> Any:
    """The bucket, through the client of this process."""
    # A project is asked for and not used: every call names a bucket.
    if file:
        return storage.Client.from_service_account_json(file, project="skytrail").bucket(name)
    return storage.Client(project="skytrail").bucket(name)


@functools.cache
def _locks(name: str, file: str) -> bool:
    """Whether a bucket keeps retentions of objects."""
    bucket = _bucket(name, file).client.get_bucket(name)
    return bool(bucket.object_retention_mode or bucket.retention_period)


@dataclass(frozen=True, slots=True)
class GoogleBucket:
    """A bucket, or what lies below a prefix of one. A `Place`."""

    name: str
    prefix: str = ""
    file: str = ""

    def read(self, key: str) -> bytes | None:
        """See `Place.read`."""
        with self._explained(key):
            try:
                body: bytes = self._open.blob(self._full(key)).download_as_bytes(raw_download=True)
            except NotFound:
                next(iter(self._open.list_blobs(max_results=1)), None)  # raises where there is no bucket
                return None
        return body

    def chunks(self, key: str) -> Iterator[bytes]:
        """See `Place.chunks`."""
        with self._explained(key), self._open.blob(self._full(key)).open("rb", raw_download=True) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def names(self, folder: str) -> list[str]:
        """See `Place.names`."""
        prefix = self._full(folder.rstrip("/") + "/" if folder else "")
        with self._explained(folder):
            pages = self._open.list_blobs(prefix=prefix, delimiter="/")
            found = [blob.name[len(prefix) :] for blob in pages]
            found += [name[len(prefix) :] for name in pages.prefixes]
        return sorted(name for name in found if name)

    def names_behind(self, folder: str, name: str, most: int) -> list[str]:
        """See `Place.names_behind`: the listing starts there."""
        prefix = self._full(folder.rstrip("/") + "/" if folder else "")
        found: list[str] = []
        with self._explained(folder):
            listing = self._open.list_blobs(prefix=prefix, delimiter="/", start_offset=prefix + name)
            for page in listing.pages:
                found += [blob.name[len(prefix) :] for blob in page]
                found += [each[len(prefix) :] for each in page.prefixes]
                if len(found) > most:
                    break
        return sorted(each for each in found if each > name)[:most]

    def walk(self, folder: str) -> Iterator[str]:
        """See `Place.walk`."""
        prefix = self._full(folder.rstrip("/") + "/" if folder else "")
        root = len(self._full(""))
        with self._explained(folder):
            for blob in self._open.list_blobs(prefix=prefix):
                if blob.name[-1] != "/":
                    yield blob.name[root:]

    def guard(self, key: str) -> Guard | None:
        """See `Place.guard`: retention and holds of the live generation; an event-based hold is a hold, too."""
        with self._explained(key):
            blob = self._open.get_blob(self._full(key))
            if blob is None:
                return None
            ends = [each for each in (blob.retention.retain_until_time, blob.retention_expiration_time) if each]
            held = bool(blob.temporary_hold or blob.event_based_hold)
            if not ends and not held and not _locks(self.name, self.file):
                return None
        return Guard(max(ends, default=None), held=held)

    def metadata(self, key: str) -> Mapping[str, str]:
        """See `Place.metadata`: names in lower case."""
        with self._explained(key):
            blob = self._open.blob(self._full(key))
            blob.reload()
            found: Mapping[str, str] = blob.metadata or {}
        return {name.lower(): value for name, value in found.items()}

    @property
    def _open(self) -> Any:
        return _bucket(self.name, self.file)

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turn what Google says into an error of reading."""
        try:
            yield
        except _ERRORS as exc:
            raise OSError(None, str(exc), f"gs://{self.name}/{self._full(key)}") from exc
