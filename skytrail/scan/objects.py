"""Objects of S3 as a scan's input: ``s3://bucket/key`` or ``s3://bucket/prefix/``. Read once, in order, never stored.

Credentials, region and endpoint are those that the AWS tools use. boto3 is imported when the first address is given:
a scan of local files does not pay for it.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from ingest.schema.errors import ConfigError, MalformedBody
from skytrail.scan.prefetch import IN_FLIGHT

SCHEME = "s3://"
_READ_BYTES = 1024 * 1024
_DENIED = ("403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "KMS.AccessDenied")


def listed(address: str) -> Iterator[tuple[str, int]]:
    """Address and size of each object that an address stands for, in the order of their keys.

    Raises:
        ConfigError: No such bucket or object, no right to list, no credentials, or no answer.
    """
    bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
    found = False
    try:
        for page in _client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):
                    found = True
                    yield f"{SCHEME}{bucket}/{entry['Key']}", int(entry["Size"])
    except _errors() as exc:
        raise ConfigError(f"listing objects: {_worded(exc)}", where=address, mend=_mend(exc)) from exc
    if not found:
        raise ConfigError(
            "listing objects: there is none", where=address, mend="correct the address; it is a key or the begin of one"
        )


def chunks(address: str) -> Iterator[bytes]:
    """The bytes of an object.

    Raises:
        MalformedBody: It can't be read to its end; what came before was given.
    """
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    try:
        yield from _client().get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_READ_BYTES)
    except _errors() as exc:
        raise MalformedBody(f"reading object: {_worded(exc)}") from exc


@functools.cache
def _client() -> Any:
    import boto3  # noqa: PLC0415 - see above
    from botocore.config import Config  # noqa: PLC0415 - same

    config = Config(retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=IN_FLIGHT + 1)
    return boto3.client("s3", config=config)


def _errors() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # noqa: PLC0415 - see above

    return (BotoCoreError, ClientError, HTTPClientError)


def _worded(error: Exception) -> str:
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        told = response.get("Error", {})
        return f"{told.get('Code', 'error')}: {told.get('Message', '')}".rstrip(": ")
    return str(error)


def _mend(error: Exception) -> str:
    if any(word in _worded(error) for word in _DENIED):
        return "the identity needs s3:ListBucket on the bucket, s3:GetObject on its objects, kms:Decrypt of their key"
    return "check the address, the credentials (`aws sts get-caller-identity`) and the region"
