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
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ingest.schema.errors import AlreadyExists, ConfigError, Refused, StoreUnavailable
from storage.archive.store import check_key
from storage.settings import S3ArchiveSettings

_TAKEN: Final = {"PreconditionFailed", "412"}
_ABSENT: Final = {"NoSuchKey", "404"}
_FORBIDDEN: Final = {"AccessDenied", "403", "InvalidRequest"}  # S3-compatible servers answer 400 for a locked version
_DENIED: Final = {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
_PROBE_LOCK: Final = dt.timedelta(seconds=90)
_MEND_BUCKET: Final = "use another bucket: docs/integrity.md tells what one must do"


class S3Store:
    """An `ArchiveStore` in a bucket.

    Args:
        settings: Which bucket, and how it is locked.
        allow_delete: Whether this identity may delete.
        clock: The present time (UTC), for retentions.
        client: A client of S3; None: made of the settings and what boto3 finds.
    """

    def __init__(
        self,
        settings: S3ArchiveSettings,
        *,
        allow_delete: bool = False,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        client: Any = None,
    ) -> None:
        self._settings = settings
        self._bucket = settings.bucket
        self._root = f"{settings.prefix.strip('/')}/" if settings.prefix.strip("/") else ""
        self._allow_delete = allow_delete
        self._clock = clock
        self._client = client or _client_of(settings)

    def put(self, key: str, body: bytes, until: dt.datetime | None = None) -> None:
        """See `ArchiveStore.put`; locked for `lock_days`, or longer where `until` is later."""
        name = self._name(key)
        least = self._clock() + dt.timedelta(days=self._settings.lock_days)
        with self._explained(f"writing archive object {key}"):
            if self._place(name, body, self._retention(least if until is None else max(least, until))):
                return
            if self._read(name)[0] != body:
                raise AlreadyExists("writing archive object: other bytes lie under this key", where=self._where(name))

    def swap(self, key: str, expected: bytes | None, body: bytes) -> bool:
        """See `ArchiveStore.swap`."""
        name = self._name(key)
        with self._explained(f"swapping archive object {key}"):
            if expected is None:
                return self._place(name, body, {})
            found, tag = self._read(name)
            return found == expected and self._write(name, body, {"IfMatch": tag})

    def get(self, key: str) -> bytes | None:
        """See `ArchiveStore.get`."""
        name = self._name(key)
        with self._explained(f"reading archive object {key}"):
            return self._read(name)[0]

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """See `ArchiveStore.keys`."""
        folder, _, _ = prefix.rpartition("/")
        if folder:
            check_key(folder)
        start = {"StartAfter": self._root + after} if after else {}
        with self._explained(f"listing archive objects below {prefix or '/'}"):
            for page in self._pages(Prefix=self._root + prefix, **start):
                yield from (entry["Key"][len(self._root) :] for entry in page.get("Contents", ()))

    def folders(self, prefix: str) -> list[str]:
        """See `ArchiveStore.folders`."""
        if prefix:
            check_key(prefix.rstrip("/"))
        whole = self._root + prefix
        with self._explained(f"listing archive folders below {prefix or '/'}"):
            pages = list(self._pages(Prefix=whole, Delimiter="/"))
        return sorted(one["Prefix"][len(whole) : -1] for page in pages for one in page.get("CommonPrefixes", ()))

    def delete(self, key: str) -> None:
        """See `ArchiveStore.delete`; of a versioned bucket the versions stay."""
        name = self._name(key)
        if not self._allow_delete:
            raise Refused("deleting archive object: this identity may not", where=self._where(name))
        with self._explained(f"deleting archive object {key}"):
            self._client.delete_object(Bucket=self._bucket, Key=name)

    @property
    def holds_objects(self) -> bool:
        """See `HoldingStore.holds_objects`: a legal hold is a part of Object Lock."""
        return self._settings.lock != "none"

    def hold(self, key: str, *, on: bool) -> bool:
        """See `HoldingStore.hold`; versions that a deletion marker hides are held, too."""
        name, wanted, changed = self._name(key), "ON" if on else "OFF", False
        with self._explained(f"{'holding' if on else 'letting go of'} archive object {key}"):
            for version in self._versions(name):
                if self._held(name, version) != on:
                    self._client.put_object_legal_hold(
                        Bucket=self._bucket, Key=name, VersionId=version, LegalHold={"Status": wanted}
                    )
                    changed = True
        return changed

    def probe(self) -> list[str]:
        """See `ArchiveStore.probe`; with a lock it leaves one object of a few bytes, hidden, until its lock ends."""
        name = f"{self._root}probe-{uuid.uuid4().hex}"
        with self._explained("probing the archive bucket"):
            if self._settings.lock != "none":
                self._probe_lock(name)
            self._probe_conditions(name)
        if self._settings.lock == "compliance":
            return []
        if self._settings.lock == "governance":
            return ["whoever has s3:BypassGovernanceRetention can delete locked objects: use the lock compliance"]
        return ["whoever may delete in this bucket can delete what is sealed: that needs Object Lock (archive.s3.lock)"]

    def _probe_conditions(self, name: str) -> None:
        """Prove that no write takes the place of another."""
        try:
            fresh = self._place(name, b"first", {})
            taken = not self._place(name, b"second", {})
            found, _ = self._read(name)
            stale = self._write(name, b"third", {"IfMatch": '"00000000000000000000000000000000"'})
        finally:
            self._client.delete_object(Bucket=self._bucket, Key=name)
        if not (fresh and taken and found == b"first") or stale:
            raise ConfigError(
                "probing the archive bucket: it does not keep conditional writes (If-None-Match, If-Match)",
                where=self._where(name),
                mend=_MEND_BUCKET,
            )

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
            **self._retention(self._clock() + _PROBE_LOCK),
        )["VersionId"]
        told = self._client.head_object(Bucket=self._bucket, Key=name, VersionId=version)
        kept = told.get("ObjectLockMode") == self._settings.lock.upper() and "ObjectLockRetainUntilDate" in told
        if not kept or not self._refused("delete_object", name, version):
            raise ConfigError(
                "probing the archive bucket: a locked version could be deleted, or was not locked at all",
                where=self._where(name),
                mend=_MEND_BUCKET,
            )
        earlier = {"Mode": self._settings.lock.upper(), "RetainUntilDate": self._clock() + dt.timedelta(seconds=30)}
        if not self._refused("put_object_retention", name, version, Retention=earlier):
            raise ConfigError(
                "probing the archive bucket: a retention could be shortened",
                where=self._where(name),
                mend=_MEND_BUCKET,
            )
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
        if self._settings.lock == "none":
            return {}
        return {"ObjectLockMode": self._settings.lock.upper(), "ObjectLockRetainUntilDate": until}

    def _place(self, name: str, body: bytes, more: dict[str, Any]) -> bool:
        """Write an object where there is none; whether there was none."""
        return self._write(name, body, {"IfNoneMatch": "*", **more})

    def _write(self, name: str, body: bytes, more: dict[str, Any]) -> bool:
        """Write under a condition; False when it does not hold."""
        try:
            self._client.put_object(Bucket=self._bucket, Key=name, Body=body, ChecksumAlgorithm="SHA256", **more)
        except ClientError as exc:
            if _code(exc) in _TAKEN or ("IfMatch" in more and _code(exc) in _ABSENT):
                return False
            raise
        return True

    def _read(self, name: str) -> tuple[bytes | None, str]:
        """Bytes and entity tag of an object."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=name)
            return answer["Body"].read(), answer["ETag"]
        except ClientError as exc:
            if _code(exc) in _ABSENT:
                return None, ""
            raise

    def _pages(self, **asked: Any) -> Iterator[dict[str, Any]]:
        yield from self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, **asked)

    def _versions(self, name: str) -> list[str]:
        """Versions of one object that have bytes."""
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=name)
        return [each["VersionId"] for page in pages for each in page.get("Versions", ()) if each["Key"] == name]

    def _held(self, name: str, version: str) -> bool:
        try:
            told = self._client.get_object_legal_hold(Bucket=self._bucket, Key=name, VersionId=version)
        except ClientError as exc:
            if _code(exc) != "NoSuchObjectLockConfiguration":
                raise
            return False
        return bool(told.get("LegalHold", {}).get("Status") == "ON")

    def _name(self, key: str) -> str:
        return self._root + check_key(key)

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
