"""The archive in a container of Azure Blob Storage: conditions make it write-once, version-level immutability keeps it.

A blob is written with `If-None-Match: *`, so a name that is taken stays as it is, and with a lock it gets an
immutability policy that nobody can shorten (mode Locked). The few blobs that are replaced (`swap`: `If-Match`) get
none.
To delete a blob hides it: its version stays as long as its policy or a legal hold says, so the account keeps versions.

The rights that each identity needs are in docs/integrity.md.

https://learn.microsoft.com/azure/storage/blobs/immutable-version-level-worm-policies
https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobPrefix, BlobProperties, ContainerClient, ImmutabilityPolicy, LinearRetry

from ingest.schema.errors import ConfigError, StoreUnavailable
from ingest.transports.azure.credentials import connection_string
from storage.archive.cloud_store import PROBE_LOCK, CloudStore
from storage.azure_settings import AzureArchiveSettings

_TAKEN: Final = {"BlobAlreadyExists", "ConditionNotMet", "UnauthorizedBlobOverwrite"}
_ABSENT: Final = "BlobNotFound"
_DENIED: Final = {401, 403}


class AzureBlobStore(CloudStore):
    """An `ArchiveStore` in a container.

    Args:
        settings: Which container, and how it is locked.
        allow_delete: Whether this identity may delete.
        clock: The present time (UTC), for policies.
        client: A client of the container; None: made of the settings.

    Raises:
        ConfigError: The connection string is none, or of another account.
    """

    kind = "container"

    def __init__(
        self,
        settings: AzureArchiveSettings,
        *,
        allow_delete: bool = False,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        client: ContainerClient | None = None,
    ) -> None:
        super().__init__(settings, allow_delete=allow_delete, clock=clock)
        self._settings = settings
        self._client = client or _client_of(settings)

    def _weaknesses(self) -> list[str]:
        match self._settings.lock:
            case "locked":
                return []
            case "unlocked":
                return ["whoever may set immutability policies can take a lock off: use the lock locked"]
        return [
            "whoever may delete in this container can delete what is sealed: that needs a lock (archive.azure.lock)"
        ]

    def _probe_lock(self, name: str) -> None:
        """Prove that a locked version can neither be deleted nor freed earlier."""
        blob = self._client.get_blob_client(name)
        until = self._clock() + PROBE_LOCK
        written: dict[str, Any] = blob.upload_blob(b"locked", overwrite=False, retry_total=0, **self._policy(until))
        version = written.get("version_id")
        told = blob.get_blob_properties()
        kept = (told.immutability_policy.policy_mode or "").lower() == self._settings.lock
        if not version or not kept or told.immutability_policy.expiry_time is None:
            self._remove(name)
            raise self._broken(
                "it drops immutability policies, or keeps no versions (the account needs versioning, the container "
                f"version-level immutability), and archive.azure.lock is {self._settings.lock}",
                name,
            )
        if self._settings.lock == "locked":
            earlier = ImmutabilityPolicy(expiry_time=self._clock() + dt.timedelta(seconds=30), policy_mode="Locked")
            refused = _refused(lambda: blob.set_immutability_policy(earlier, version_id=version))
            kept_until = blob.get_blob_properties(version_id=version).immutability_policy.expiry_time
            if not refused or kept_until is None or kept_until < until - dt.timedelta(seconds=1):
                raise self._broken("a lock could be shortened", name)
        if _refused(blob.delete_blob):  # hides it: only a version that is not current can be deleted
            raise self._broken("a deletion does not hide a locked blob: the account keeps no versions", name)
        if not _refused(lambda: blob.delete_blob(version_id=version)):
            raise self._broken("a locked version could be deleted", name)
        blob.get_blob_properties(version_id=version)

    def _policy(self, until: dt.datetime) -> dict[str, Any]:
        mode = self._settings.lock.capitalize()
        return {"immutability_policy": ImmutabilityPolicy(expiry_time=until, policy_mode=mode)}

    def _create(self, name: str, body: bytes, until: dt.datetime | None) -> bool:
        return self._write(name, body, {"overwrite": False, **(self._policy(until) if until else {})})

    def _replace(self, name: str, body: bytes, tag: str) -> bool:
        same = {"overwrite": True, "etag": tag, "match_condition": MatchConditions.IfNotModified}
        try:
            return self._write(name, body, same)
        except HttpResponseError as exc:
            if _code(exc) == _ABSENT:
                return False
            raise

    def _write(self, name: str, body: bytes, more: dict[str, Any]) -> bool:
        """Write under a condition; False when it does not hold. Never twice: the answer to the first may be lost."""
        try:
            self._client.upload_blob(name, body, validate_content=True, retry_total=0, **more)
        except HttpResponseError as exc:
            if _code(exc) in _TAKEN:
                return False
            raise
        return True

    def _read(self, name: str) -> bytes | None:
        return self._state(name)[0]

    def _state(self, name: str) -> tuple[bytes | None, str]:
        try:
            stream = self._client.download_blob(name)
            return stream.readall(), str(stream.properties.etag)
        except HttpResponseError as exc:
            if _code(exc) == _ABSENT:
                return None, ""
            raise

    def _names(self, prefix: str, after: str) -> Iterator[str]:
        """The service can't start behind a name, so all below `prefix` are listed."""
        del after
        return iter(self._client.list_blob_names(name_starts_with=prefix))

    def _folders(self, prefix: str) -> Iterable[str]:
        found = self._client.walk_blobs(name_starts_with=prefix, delimiter="/")
        return [each.name for each in found if isinstance(each, BlobPrefix)]

    def _hold(self, name: str, *, on: bool) -> bool:
        changed = False
        for blob in self._client.list_blobs(name_starts_with=name, include=["versions", "legalhold"]):
            if blob.name == name and bool(blob.has_legal_hold) != on:
                self._client.get_blob_client(name).set_legal_hold(on, version_id=blob.version_id)
                changed = True
        return changed

    def _destroy(self, name: str) -> str:
        """A current version can only be hidden, so the locks of all are looked at before."""
        blob = self._client.get_blob_client(name)
        found = self._client.list_blobs(name_starts_with=name, include=["versions"])
        versions = [each.version_id for each in found if each.name == name and each.version_id]
        for version in versions:
            if why := self._kept_by(blob.get_blob_properties(version_id=version)):
                return f"version {version}: {why}"
        self._remove(name)
        for version in versions:
            if _refused(lambda version=version: self._remove(name, version)):  # type: ignore[misc]
                return f"version {version}, hidden: it does not say why"
        return ""

    def _kept_by(self, told: BlobProperties) -> str:
        until = told.immutability_policy.expiry_time
        if told.has_legal_hold:
            return "a legal hold of the store is on it"
        return f"its lock ends at {until:%Y-%m-%dT%H:%M:%SZ}" if until is not None and until > self._clock() else ""

    def _remove(self, name: str, version: str | None = None) -> None:
        try:
            self._client.get_blob_client(name).delete_blob(version_id=version)
        except HttpResponseError as exc:
            if _code(exc) != _ABSENT:
                raise

    def _where(self, name: str) -> str:
        return f"azure://{self._settings.account}/{self._settings.container}/{name}"

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn what Azure says into our error: whether it happened is unknown, the same call can be made again."""
        try:
            yield
        except AzureError as exc:
            denied = isinstance(exc, HttpResponseError) and exc.status_code in _DENIED
            mend = (
                "give the identity the rights that docs/integrity.md names; check its credentials"
                if denied
                else "check archive.azure, the network and the state of Blob Storage; the call is made again"
            )
            told = str(exc).partition("\n")[0]
            raise StoreUnavailable(f"{doing}: {_code(exc)} {told}", where=self._where(""), mend=mend) from exc


def _client_of(settings: AzureArchiveSettings) -> ContainerClient:
    options: dict[str, Any] = {
        # Left to itself the client is silent for a minute before anybody hears of a service that is away.
        "retry_policy": LinearRetry(backoff=1, retry_total=2, random_jitter_range=1),
        "connection_timeout": settings.request_timeout_s,
        "read_timeout": settings.request_timeout_s,
    }
    file = settings.connection_string_file
    if file is None:
        identity = DefaultAzureCredential()
        return ContainerClient(settings.account_url, settings.container, credential=identity, **options)
    try:
        client = ContainerClient.from_connection_string(connection_string(file), settings.container, **options)
    except ValueError as exc:
        mend = "copy it again from `az storage account show-connection-string`"
        raise ConfigError(f"reading connection string: {exc}", where=str(file), mend=mend) from exc
    if client.account_name != settings.account.partition(".")[0]:
        mend = "give the connection string of the account that the settings name"
        raise ConfigError("reading connection string: it is of another account", where=str(file), mend=mend)
    return client


def _refused(attempt: Callable[[], object]) -> bool:
    """Whether Azure refuses something for what it is. A right that is missing says nothing of that, and is raised."""
    try:
        attempt()
    except HttpResponseError as exc:
        if exc.status_code is None or exc.status_code >= 500 or _code(exc).startswith(("Auth", "Insufficient")):  # noqa: PLR2004
            raise
        return True
    return False


def _code(error: Exception) -> str:
    code = getattr(error, "error_code", None) or type(error).__name__
    return str(getattr(code, "value", code))
