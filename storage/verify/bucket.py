"""Reads from an S3 bucket. Credentials, region and endpoint are those of boto3's own configuration.

Needed rights: s3:ListBucket and s3:GetObject; where stamps or holds promise something, also
s3:GetBucketObjectLockConfiguration, s3:GetObjectRetention and s3:GetObjectLegalHold.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from storage.verify import places
from storage.verify.guard import Guard

_CHUNK = 1024 * 1024
_ABSENT = {"NoSuchKey", "404"}
_UNLOCKED = {"NoSuchObjectLockConfiguration"}
_NO_LOCKS = {"ObjectLockConfigurationNotFoundError", "InvalidRequest"}  # servers of this protocol differ


@functools.cache
def _client() -> Any:
    """The client of this process."""
    return boto3.client("s3")


@functools.cache
def _locks(name: str) -> bool:
    """Whether a bucket has Object Lock."""
    try:
        _client().get_object_lock_configuration(Bucket=name)
    except ClientError as exc:
        if exc.response["Error"]["Code"] in _NO_LOCKS:
            return False
        raise
    return True


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, or what lies below a prefix of one. A `Place`."""

    name: str
    prefix: str = ""

    def read(self, key: str) -> bytes | None:
        """See `Place.read`."""
        with self._explained(key):
            try:
                answer = _client().get_object(Bucket=self.name, Key=self._full(key))
            except ClientError as exc:
                if exc.response["Error"]["Code"] in _ABSENT:
                    return None
                raise
            # Only a whole body is compared with its stated length.
            body: bytes = answer["Body"].read(
                places.MOST_BYTES if answer["ContentLength"] > places.MOST_BYTES else None
            )
        return body

    def chunks(self, key: str) -> Iterator[bytes]:
        """See `Place.chunks`."""
        with self._explained(key):
            answer = _client().get_object(Bucket=self.name, Key=self._full(key))
            yield from answer["Body"].iter_chunks(_CHUNK)

    def names(self, folder: str) -> list[str]:
        """See `Place.names`."""
        prefix = self._full(folder.rstrip("/") + "/" if folder else "")
        found: list[str] = []
        with self._explained(folder):
            for page in self._pages(prefix, Delimiter="/"):
                found += [entry["Prefix"][len(prefix) :] for entry in page.get("CommonPrefixes", ())]
                found += [entry["Key"][len(prefix) :] for entry in page.get("Contents", ())]
        return sorted(name for name in found if name)

    def names_behind(self, folder: str, name: str, most: int) -> list[str]:
        """See `Place.names_behind`: the listing starts there."""
        prefix = self._full(folder.rstrip("/") + "/" if folder else "")
        found: list[str] = []
        with self._explained(folder):
            for page in self._pages(prefix, Delimiter="/", StartAfter=prefix + name):
                found += [entry["Prefix"][len(prefix) :] for entry in page.get("CommonPrefixes", ())]
                found += [entry["Key"][len(prefix) :] for entry in page.get("Contents", ())]
                if len(found) > most:
                    break
        return sorted(each for each in found if each > name)[:most]

    def walk(self, folder: str) -> Iterator[str]:
        """See `Place.walk`."""
        prefix = self._full(folder.rstrip("/") + "/" if folder else "")
        root = len(self._full(""))
        with self._explained(folder):
            for page in self._pages(prefix):
                yield from (entry["Key"][root:] for entry in page.get("Contents", ()) if entry["Key"][-1] != "/")

    def guard(self, key: str) -> Guard | None:
        """See `Place.guard`: Object Lock of the current version."""
        asked = {"Bucket": self.name, "Key": self._full(key)}
        with self._explained(key):
            if not _locks(self.name):
                return None
            try:
                told = _client().head_object(**asked)
            except ClientError as exc:
                if exc.response["Error"]["Code"] in _ABSENT:
                    return None
                raise
            # Who may not read them is not told of them above either, so what is not there is asked for: that says so.
            until = told.get("ObjectLockRetainUntilDate") or _until(asked)
            status = told.get("ObjectLockLegalHoldStatus") or _status(asked)
        return Guard(until, held=status == "ON")

    def metadata(self, key: str) -> Mapping[str, str]:
        """See `Place.metadata`: the user metadata, names in lower case."""
        with self._explained(key):
            found: dict[str, str] = _client().head_object(Bucket=self.name, Key=self._full(key))["Metadata"]
        return {name.lower(): value for name, value in found.items()}

    def _pages(self, prefix: str, **options: str) -> Iterator[dict[str, Any]]:
        yield from _client().get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix, **options)

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turn what S3 says into an error of reading."""
        try:
            yield
        except (BotoCoreError, ClientError) as exc:
            raise OSError(None, str(exc), f"s3://{self.name}/{self._full(key)}") from exc


def _until(asked: dict[str, str]) -> dt.datetime | None:
    found: dt.datetime | None = _told("get_object_retention", asked).get("Retention", {}).get("RetainUntilDate")
    return found


def _status(asked: dict[str, str]) -> str:
    return str(_told("get_object_legal_hold", asked).get("LegalHold", {}).get("Status", ""))


def _told(operation: str, asked: dict[str, str]) -> dict[str, Any]:
    try:
        found: dict[str, Any] = getattr(_client(), operation)(**asked)
    except ClientError as exc:
        if exc.response["Error"]["Code"] not in _UNLOCKED:
            raise
        return {}
    return found
