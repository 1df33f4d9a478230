"""Reads from an S3 bucket. Credentials, region and endpoint are those of boto3's own configuration.

Needed rights: s3:ListBucket and s3:GetObject.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

_CHUNK = 1024 * 1024
_ABSENT = {"NoSuchKey", "404"}


@functools.cache
def _client() -> Any:
    """The client of this process."""
    return boto3.client("s3")


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
            body: bytes = answer["Body"].read()
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

    def walk(self, folder: str) -> Iterator[str]:
        """See `Place.walk`."""
        prefix = self._full(folder.rstrip("/") + "/" if folder else "")
        root = len(self._full(""))
        with self._explained(folder):
            for page in self._pages(prefix):
                yield from (entry["Key"][root:] for entry in page.get("Contents", ()) if entry["Key"][-1] != "/")

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
