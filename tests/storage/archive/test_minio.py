"""The store in a bucket on MinIO, which keeps Object Lock as S3 does: see tests/storage/minio.py."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from botocore.exceptions import ClientError

from ingest.schema.errors import AlreadyExists, Refused
from storage.archive.stores.s3 import S3Store
from storage.settings import S3ArchiveSettings
from tests.storage.minio import MINIO, client_of, running

pytestmark = pytest.mark.skipif(MINIO is None, reason="MinIO is not installed: Object Lock of a server not proven here")
LOCK_S = 3
KEY = "acme/seg/topic/0/000000000000-aa.ndz"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a MinIO that lives as long as these tests."""
    with running(tmp_path_factory.mktemp("minio")) as url:
        yield client_of(url)


def locked_store(s3: Any, lock: Literal["compliance", "governance"] = "compliance") -> S3Store:
    name = f"archive-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    settings = S3ArchiveSettings(bucket=name, prefix="sealed", lock=lock, lock_days=30)
    return S3Store(settings, allow_delete=True, client=s3)


def test_the_probe_passes_and_promises_everything(s3: Any) -> None:
    store = locked_store(s3)
    assert store.probe() == []
    assert list(store.keys("")) == []


def test_a_sealed_object_can_neither_be_replaced_nor_deleted_nor_freed(s3: Any) -> None:
    store = locked_store(s3)
    store.put(KEY, b"sealed")
    store.put(KEY, b"sealed")
    with pytest.raises(AlreadyExists):
        store.put(KEY, b"other")
    name, bucket = f"sealed/{KEY}", store._bucket
    version = s3.head_object(Bucket=bucket, Key=name)["VersionId"]
    with pytest.raises(ClientError):
        s3.delete_object(Bucket=bucket, Key=name, VersionId=version)
    with pytest.raises(ClientError):
        s3.delete_object(Bucket=bucket, Key=name, VersionId=version, BypassGovernanceRetention=True)
    for earlier in ({"Mode": "COMPLIANCE", "RetainUntilDate": dt.datetime.now(dt.UTC) + dt.timedelta(days=1)}, {}):
        with pytest.raises(ClientError):
            s3.put_object_retention(Bucket=bucket, Key=name, VersionId=version, Retention=earlier)
    assert s3.get_object(Bucket=bucket, Key=name, VersionId=version)["Body"].read() == b"sealed"


def test_a_deletion_hides_a_sealed_object_and_its_bytes_stay(s3: Any) -> None:
    store = locked_store(s3)
    store.put(KEY, b"sealed")
    version = s3.head_object(Bucket=store._bucket, Key=f"sealed/{KEY}")["VersionId"]
    store.delete(KEY)
    assert store.get(KEY) is None
    kept = s3.get_object(Bucket=store._bucket, Key=f"sealed/{KEY}", VersionId=version)["Body"].read()
    assert kept == b"sealed"


def test_of_two_swaps_from_one_state_one_wins(s3: Any) -> None:
    store = locked_store(s3)
    assert store.swap("acme/log/1/lock.json", None, b"1")
    assert store.swap("acme/log/1/lock.json", b"1", b"2")
    assert not store.swap("acme/log/1/lock.json", b"1", b"3")
    assert store.get("acme/log/1/lock.json") == b"2"


def test_a_held_version_is_deleted_by_nobody_until_it_is_let_go_of(s3: Any) -> None:
    store = locked_store(s3, "governance")
    store.put(KEY, b"sealed")
    version = s3.head_object(Bucket=store._bucket, Key=f"sealed/{KEY}")["VersionId"]
    asked = {"Bucket": store._bucket, "Key": f"sealed/{KEY}", "VersionId": version, "BypassGovernanceRetention": True}
    assert store.hold(KEY, on=True)
    store.delete(KEY)  # hides it
    with pytest.raises(ClientError):
        s3.delete_object(**asked)
    assert not store.hold(KEY, on=True)
    assert store.hold(KEY, on=False)
    s3.delete_object(**asked)  # with this right it goes: the hold alone had kept it
    with pytest.raises(ClientError):
        s3.head_object(Bucket=store._bucket, Key=f"sealed/{KEY}", VersionId=version)


def test_what_a_lock_or_a_hold_keeps_is_not_destroyed_and_not_hidden_either(s3: Any) -> None:
    store = locked_store(s3)
    store.put(KEY, b"sealed")
    with pytest.raises(Refused, match="its lock ends at"):
        store.destroy(KEY)
    assert store.get(KEY) == b"sealed"
    store.delete(KEY)
    with pytest.raises(Refused, match="the bucket keeps version"):
        store.destroy(KEY)
    held = expired_store(s3)
    held.put(KEY, b"sealed")
    held.hold(KEY, on=True)
    time.sleep(LOCK_S + 1)
    with pytest.raises(Refused, match="a legal hold of the store is on it"):
        held.destroy(KEY)
    assert held.get(KEY) == b"sealed"


def test_when_the_lock_is_over_every_version_is_destroyed_hidden_ones_too(s3: Any) -> None:
    store = expired_store(s3)
    store.put(KEY, b"sealed")
    store.put(f"{KEY}.more", b"another")
    store.delete(KEY)  # a version and a marker
    store.swap("acme/head.json", None, b"1")
    store.swap("acme/head.json", b"1", b"2")
    time.sleep(LOCK_S + 1)
    store.destroy(KEY)
    store.destroy("acme/head.json")
    told = s3.list_object_versions(Bucket=store._bucket)
    assert "DeleteMarkers" not in told
    assert [each["Key"] for each in told["Versions"]] == [f"sealed/{KEY}.more"]
    assert store.get(f"{KEY}.more") == b"another"


def expired_store(s3: Any) -> S3Store:
    """What is put here is locked for a few seconds."""
    store = locked_store(s3)
    store._clock = lambda: dt.datetime.now(dt.UTC) - dt.timedelta(days=30) + dt.timedelta(seconds=LOCK_S)
    return store
