"""Buckets of a moto server as archives."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any, Literal

import boto3
from botocore.config import Config

from storage.archive.stores.s3 import S3Store
from storage.settings import S3ArchiveSettings
from tests.ingest.transports.aws.servers import REGION, moto

Lock = Literal["none", "governance", "compliance"]


def client() -> Any:
    """A client that does not try again: tests count its calls."""
    return boto3.client(
        "s3",
        endpoint_url=moto(),
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0, "mode": "standard"}),
    )


def bucket_store(
    lock: Lock = "none",
    *,
    lockable: bool = False,
    prefix: str = "archive/of-all",
    allow_delete: bool = True,
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    made: Any = None,
) -> S3Store:
    """A store in a bucket of its own."""
    s3 = made or client()
    name = f"archive-{uuid.uuid4().hex}"
    client().create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}, ObjectLockEnabledForBucket=lockable
    )
    settings = S3ArchiveSettings(bucket=name, prefix=prefix, lock=lock, lock_days=30)
    return S3Store(settings, allow_delete=allow_delete, clock=clock, client=s3)
