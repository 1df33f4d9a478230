"""Reads from a container of Azure Blob Storage.

As whom: a connection string of the account in a file, else the identity of the machine. Needed rights: to read and list
blobs (Storage Blob Data Reader); where stamps or holds promise something, these tell of policies and holds as well.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContainerClient

from storage.verify.guard import Guard

_PUBLIC = "blob.core.windows.net"


@functools.cache
def _client(account: str, name: str, file: str) -> ContainerClient:
    """The client of this process.

    Raises:
        ValueError: The connection string is none, or of another account.
        OSError: Its file can't be read.
    """
    if not file:
        address = f"https://{account if '.' in account else f'{account}.{_PUBLIC}'}"
        return ContainerClient(address, name, credential=DefaultAzureCredential(), retry_total=2)
    client = ContainerClient.from_connection_string(Path(file).read_text("utf-8").strip(), name, retry_total=2)
    if client.account_name != account.partition(".")[0]:
        raise ValueError(f"the connection string in {file} is of another account")
    return client


@functools.cache
def _locks(account: str, name: str, file: str) -> bool:
    """Whether a container has version-level immutability."""
    found = _client(account, name, file).get_container_properties()
    return bool(found.immutable_storage_with_versioning_enabled)


@dataclass(frozen=True, slots=True)
class Container:
    """A container, or what lies below a prefix of one. A `Place`."""

    account: str
    name: str
    prefix: str = ""
    file: str = ""

    def read(self, key: str) -> bytes | None:
        """See `Place.read`."""
        with self._explained(key):
            try:
                return self._open.download_blob(self._full(key)).readall()
            except HttpResponseError as exc:
                if _is_absent(exc):
                    return None
                raise

    def chunks(self, key: str) -> Iterator[bytes]:
        """See `Place.chunks`."""
        with self._explained(key):
            yield from self._open.download_blob(self._full(key)).chunks()

    def names(self, folder: str) -> list[str]:
        """See `Place.names`."""
        prefix = self._full(folder.rstrip("/") + "/" if folder else "")
        with self._explained(folder):
            found = [each.name[len(prefix) :] for each in self._open.walk_blobs(prefix, delimiter="/")]
        return sorted(name for name in found if name)

    def names_behind(self, folder: str, name: str, most: int) -> list[str]:
        """See `Place.names_behind`: the listing is read from its beginning, it can't start elsewhere."""
        prefix = self._full(folder.rstrip("/") + "/" if folder else "")
        with self._explained(folder):
            names = (each.name[len(prefix) :] for each in self._open.walk_blobs(prefix, delimiter="/"))
            return sorted(each for each in names if each > name)[:most]

    def walk(self, folder: str) -> Iterator[str]:
        """See `Place.walk`."""
        prefix = self._full(folder.rstrip("/") + "/" if folder else "")
        root = len(self._full(""))
        with self._explained(folder):
            for name in self._open.list_blob_names(name_starts_with=prefix):
                if name[-1] != "/":
                    yield name[root:]

    def guard(self, key: str) -> Guard | None:
        """See `Place.guard`: immutability policy and legal hold of the current version."""
        with self._explained(key):
            try:
                told = self._open.get_blob_client(self._full(key)).get_blob_properties()
            except HttpResponseError as exc:
                if exc.status_code == 404:  # noqa: PLR2004 - an answer without a body has no code
                    return None
                raise
            until, held = told.immutability_policy.expiry_time, bool(told.has_legal_hold)
            if until is None and not held and not _locks(self.account, self.name, self.file):
                return None
        return Guard(until, held=held)

    def metadata(self, key: str) -> Mapping[str, str]:
        """See `Place.metadata`: names in lower case."""
        with self._explained(key):
            found: Mapping[str, str] = self._open.get_blob_client(self._full(key)).get_blob_properties().metadata or {}
        return {name.lower(): value for name, value in found.items()}

    @property
    def _open(self) -> ContainerClient:
        return _client(self.account, self.name, self.file)

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turn what Azure says into an error of reading."""
        try:
            yield
        except (AzureError, ValueError) as exc:
            where = f"azure://{self.account}/{self.name}/{self._full(key)}"
            raise OSError(None, str(exc).partition("\n")[0], where) from exc


def _is_absent(error: HttpResponseError) -> bool:
    code: Any = getattr(error, "error_code", None)
    return str(getattr(code, "value", code)) == "BlobNotFound"
