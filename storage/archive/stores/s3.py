"""The archive in a bucket of S3: conditional writes make it write-once, Object Lock makes it so against us, too.

An object is written with `If-None-Match: *`, so a key that is taken stays as it is, and with Object Lock it gets a
retention that nobody can shorten (mode compliance). The few objects that are replaced (`swap`: `If-Match`) get none:
their older versions stay in a versioned bucket anyway.

The rights that each identity needs are in docs/integrity.md. Nobody of ours needs s3:BypassGovernanceRetention.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ingest.schema.errors import ConfigError, StoreUnavailable
from storage.archive.cloud_store import PROBE_LOCK, CloudStore
from storage.settings import S3ArchiveSettings

_TAKEN: Final = {"PreconditionFailed", "412"}
_ABSENT: Final = {"NoSuchKey", "404"}
_FORBIDDEN: Final = {"AccessDenied", "403", "InvalidRequest"}  # S3-compatible servers answer 400 for a locked version
_DENIED: Final = {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}


class S3Store(CloudStore):
    """An `ArchiveStore` in a bucket.

    Args:
        settings: Which bucket, and how it is locked.
        allow_delete: Whether this identity may delete.
        clock: The present time (UTC), for retentions.
        client: A client of S3; None: made of the settings and what boto3 finds.
    """

    kind = "bucket"

    def __init__(
        self,
        settings: S3ArchiveSettings,
        *,
        allow_delete: bool = False,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        client: Any = None,
    ) -> None:
        super().__init__(settings, allow_delete=allow_delete, clock=clock)
        self._settings = settings
        self._bucket = settings.bucket
        self._client = client or _client_of(settings)

    def _weaknesses(self) -> list[str]:
        match self._settings.lock:
            case "compliance":
                return []
            case "governance":
                return ["whoever has s3:BypassGovernanceRetention can delete locked objects: use the lock compliance"]
        return ["whoever may delete in this bucket can delete what is sealed: that needs Object Lock (archive.s3.lock)"]

    def _probe_lock(self, name: str) -> None:
        """Prove that a locked version can neither be deleted nor freed earlier."""
        try:
            self._client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError as exc:
            if _code(exc) not in {"ObjectLockConfigurationNotFoundError", "404", "InvalidRequest"}:
                raise
            raise ConfigError(
                f"probing the archive bucket: it has no Object Lock, and archive.s3.lock is {self._settings.lock}",
                where=self._where(""),
                mend="make a bucket with Object Lock; an existing one gets it in its properties",
            ) from exc
        version = self._client.put_object(
            Bucket=self._bucket,
            Key=name,
            Body=b"locked",
            ChecksumAlgorithm="SHA256",
            **self._retention(self._clock() + PROBE_LOCK),
        )["VersionId"]
        told = self._client.head_object(Bucket=self._bucket, Key=name, VersionId=version)
        kept = told.get("ObjectLockMode") == self._settings.lock.upper() and "ObjectLockRetainUntilDate" in told
        if not kept or not self._refused("delete_object", name, version):
            raise self._broken("a locked version could be deleted, or was not locked at all", name)
        earlier = {"Mode": self._settings.lock.upper(), "RetainUntilDate": self._clock() + dt.timedelta(seconds=30)}
        if not self._refused("put_object_retention", name, version, Retention=earlier):
            raise self._broken("a retention could be shortened", name)
        self._client.delete_object(Bucket=self._bucket, Key=name)  # hides it

    def _refused(self, operation: str, name: str, version: str, **more: Any) -> bool:
        try:
            getattr(self._client, operation)(Bucket=self._bucket, Key=name, VersionId=version, **more)
        except ClientError as exc:
            if _code(exc) not in _FORBIDDEN:
                raise
            return True
        return False

    def _retention(self, until: dt.datetime) -> dict[str, Any]:
        return {"ObjectLockMode": self._settings.lock.upper(), "ObjectLockRetainUntilDate": until}

    def _create(self, name: str, body: bytes, until: dt.datetime | None) -> bool:
        return self._write(name, body, {"IfNoneMatch": "*", **(self._retention(until) if until else {})})

    def _replace(self, name: str, body: bytes, tag: str) -> bool:
        return self._write(name, body, {"IfMatch": tag})

    def _write(self, name: str, body: bytes, more: dict[str, Any]) -> bool:
        """Write under a condition; False when it does not hold."""
        try:
            self._client.put_object(Bucket=self._bucket, Key=name, Body=body, ChecksumAlgorithm="SHA256", **more)
        except ClientError as exc:
            if _code(exc) in _TAKEN or ("IfMatch" in more and _code(exc) in _ABSENT):
                return False
            raise
        return True

    def _read(self, name: str) -> bytes | None:
        return self._state(name)[0]

    def _state(self, name: str) -> tuple[bytes | None, str]:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=name)
            return answer["Body"].read(), answer["ETag"]
        except ClientError as exc:
            if _code(exc) in _ABSENT:
                return None, ""
            raise

    def _names(self, prefix: str, after: str) -> Iterator[str]:
        start = {"StartAfter": after} if after else {}
        for page in self._pages(Prefix=prefix, **start):
            yield from (entry["Key"] for entry in page.get("Contents", ()))

    def _folders(self, prefix: str) -> Iterable[str]:
        pages = self._pages(Prefix=prefix, Delimiter="/")
        return [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", ())]

    def _remove(self, name: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=name)

    def _destroy(self, name: str) -> str:
        """Deletion markers go last, so what is refused is as it was."""
        for version in (*self._versions(name), *self._versions(name, "DeleteMarkers")):
            if self._refused("delete_object", name, version):
                return f"version {version}: {self._kept_by(name, version)}"
        return ""

    def _kept_by(self, name: str, version: str) -> str:
        """Why a version was not deleted, as far as S3 tells."""
        try:
            told = self._client.head_object(Bucket=self._bucket, Key=name, VersionId=version)
        except ClientError as exc:
            return f"this identity may lack s3:DeleteObjectVersion, and asking for the lock gave {_code(exc)}"
        until = told.get("ObjectLockRetainUntilDate")
        if told.get("ObjectLockLegalHoldStatus") == "ON":
            return "a legal hold of the store is on it"
        if until is not None and until > self._clock():
            return f"its lock ends at {until:%Y-%m-%dT%H:%M:%SZ}"
        return "no lock is on it, so this identity lacks s3:DeleteObjectVersion"

    def _hold(self, name: str, *, on: bool) -> bool:
        wanted, changed = {"Status": "ON" if on else "OFF"}, False
        for version in self._versions(name):
            if self._held(name, version) != on:
                self._client.put_object_legal_hold(Bucket=self._bucket, Key=name, VersionId=version, LegalHold=wanted)
                changed = True
        return changed

    def _pages(self, **asked: Any) -> Iterator[dict[str, Any]]:
        yield from self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, **asked)

    def _versions(self, name: str, of: str = "Versions") -> list[str]:
        """Versions of one object that have bytes, or its deletion markers."""
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=name)
        return [each["VersionId"] for page in pages for each in page.get(of, ()) if each["Key"] == name]

    def _held(self, name: str, version: str) -> bool:
        try:
            told = self._client.get_object_legal_hold(Bucket=self._bucket, Key=name, VersionId=version)
        except ClientError as exc:
            if _code(exc) != "NoSuchObjectLockConfiguration":
                raise
            return False
        return bool(told.get("LegalHold", {}).get("Status") == "ON")

    def _where(self, name: str) -> str:
        return f"s3://{self._bucket}/{name}"

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn what S3 says into our error: whether it happened is unknown, the same call can be made again."""
        try:
            yield
        except (ClientError, BotoCoreError) as exc:
            code = _code(exc) if isinstance(exc, ClientError) else ""
            mend = (
                "give the identity the rights that docs/integrity.md names; check its credentials"
                if code in _DENIED
                else "check archive.s3, the network and the state of S3; the call is made again"
            )
            raise StoreUnavailable(f"{doing}: {exc}", where=self._where(""), mend=mend) from exc


def _client_of(settings: S3ArchiveSettings) -> Any:
    config = Config(
        retries={"mode": "standard", "max_attempts": 3},
        connect_timeout=settings.request_timeout_s,
        read_timeout=settings.request_timeout_s,
        max_pool_connections=32,
    )
    return boto3.client("s3", config=config)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
