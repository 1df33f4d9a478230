"""What the verifier reads of locks and holds on a server that keeps them: see tests/storage/minio.py."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from storage.archive.stores.s3 import S3Store
from storage.settings import S3ArchiveSettings
from storage.verify import bucket
from storage.verify.archive import examine
from storage.verify.bucket import Bucket
from storage.verify.findings import Finding, Kind
from storage.verify.guard import Guard
from storage.verify.scope import Scope
from tests.storage.archive.samples import Clock
from tests.storage.minio import MINIO, PASSWORD, REGION, USER, client_of, running
from tests.storage.retention.samples import moment
from tests.storage.verify.test_guards import stamped

pytestmark = pytest.mark.skipif(MINIO is None, reason="MinIO is not installed: Object Lock of a server not proven here")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("minio")) as url:
        yield url


@pytest.fixture
def s3(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client; the verifier's own asks the same server."""
    named = {"ENDPOINT_URL_S3": url, "ACCESS_KEY_ID": USER, "SECRET_ACCESS_KEY": PASSWORD, "DEFAULT_REGION": REGION}
    for name, value in named.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials of whoever asked first
    bucket._client.cache_clear()
    bucket._locks.cache_clear()
    yield client_of(url)
    bucket._client.cache_clear()
    bucket._locks.cache_clear()


def sealed(s3: Any, *, lockable: bool = True) -> tuple[S3Store, str]:
    """A stamped archive in a bucket of its own, and the key of its last manifest."""
    name = f"archive-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lockable)
    settings = S3ArchiveSettings(bucket=name, lock="governance" if lockable else "none", lock_days=30)
    store = S3Store(settings, client=s3)
    stamped(store, Clock())
    return store, [key for key in store.keys("acme/seg/") if key.endswith(".manifest.json")][-1]


def found(store: S3Store) -> list[Finding]:
    return list(examine(Bucket(store._bucket), Scope()))


def test_a_segment_is_locked_up_to_the_end_of_its_stamp_and_that_is_no_finding(s3: Any) -> None:
    store, manifest = sealed(s3)
    assert Bucket(store._bucket).guard(manifest) == Guard(moment("2033-03-02"), held=False)
    assert found(store) == []


def test_an_object_that_was_written_again_without_a_lock_is_found(s3: Any) -> None:
    store, manifest = sealed(s3)
    s3.put_object(Bucket=store._bucket, Key=manifest, Body=store.get(manifest))
    (finding,) = found(store)
    assert (finding.kind, finding.key) == (Kind.LOCK_WEAK, manifest)


def test_a_lock_that_was_shortened_by_who_may_is_found(s3: Any) -> None:
    store, manifest = sealed(s3)
    earlier = {"Mode": "GOVERNANCE", "RetainUntilDate": moment("2027-12-01")}
    s3.put_object_retention(Bucket=store._bucket, Key=manifest, Retention=earlier, BypassGovernanceRetention=True)
    (finding,) = found(store)
    assert (finding.kind, finding.key) == (Kind.LOCK_WEAK, manifest)


def test_a_held_object_says_so(s3: Any) -> None:
    store, manifest = sealed(s3)
    store.hold(manifest, on=True)
    assert Bucket(store._bucket).guard(manifest) == Guard(moment("2033-03-02"), held=True)


def test_a_bucket_without_object_lock_guards_nothing(s3: Any) -> None:
    store, manifest = sealed(s3, lockable=False)
    assert Bucket(store._bucket).guard(manifest) is None
    assert found(store) == []
