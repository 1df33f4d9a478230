"""What only the store in a bucket does: locks, rights, and answers of S3 that say nothing of the outcome.

moto lets a compliance lock be shortened, so the probe has to refuse it: that is one of these tests. That a bucket of
AWS passes is proven on no local server; `test_minio.py` has the lock on MinIO.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from ingest.schema.errors import ConfigError, Refused, StoreUnavailable
from tests.storage.archive.buckets import bucket_store, client

KEY = "acme/seg/topic/0/000000000000-aa.ndz"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


class Faulty:
    """A client whose next call of one operation fails, before or after it took effect."""

    def __init__(self, operation: str, error: Exception, *, applied: bool) -> None:
        self._client = client()
        self._operation = operation
        self._error: Exception | None = error
        self._applied = applied

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name != self._operation or self._error is None:
            return real

        def fail(**asked: Any) -> Any:
            error, self._error = self._error, None
            if self._applied:
                real(**asked)
            assert error is not None
            raise error

        return fail


def says(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "told by the test"}}, "PutObject")


def test_what_is_sealed_is_locked_for_as_long_as_the_settings_say() -> None:
    store = bucket_store("compliance", lockable=True, clock=lambda: NOW)
    store.put(KEY, b"sealed")
    s3 = client()
    told = s3.head_object(Bucket=store._bucket, Key=f"archive/of-all/{KEY}")
    assert told["ObjectLockMode"] == "COMPLIANCE"
    assert told["ObjectLockRetainUntilDate"] == NOW + dt.timedelta(days=30)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=store._bucket, Key=f"archive/of-all/{KEY}", VersionId=told["VersionId"])


def test_what_is_replaced_is_not_locked() -> None:
    store = bucket_store("compliance", lockable=True)
    assert store.swap("acme/log/1/checkpoint", None, b"1")
    assert store.swap("acme/log/1/checkpoint", b"1", b"2")
    told = client().head_object(Bucket=store._bucket, Key="archive/of-all/acme/log/1/checkpoint")
    assert "ObjectLockMode" not in told


def test_a_bucket_that_lets_a_lock_be_shortened_is_refused() -> None:
    with pytest.raises(ConfigError, match="a retention could be shortened"):
        bucket_store("compliance", lockable=True).probe()


def test_a_bucket_without_object_lock_is_refused_where_one_is_asked_for() -> None:
    with pytest.raises(ConfigError, match="it has no Object Lock"):
        bucket_store("compliance").probe()


def test_without_a_lock_the_probe_says_what_that_means() -> None:
    assert "Object Lock" in bucket_store("none").probe()[0]


def test_who_may_not_delete_does_not() -> None:
    store = bucket_store(allow_delete=False)
    store.put(KEY, b"x")
    with pytest.raises(Refused, match="may not"):
        store.delete(KEY)
    assert store.get(KEY) == b"x"


@pytest.mark.parametrize("applied", [False, True], ids=["lost", "applied"])
@pytest.mark.parametrize("error", [says("InternalError"), says("SlowDown"), ConnectionClosedError(endpoint_url="s3")])
def test_a_write_of_unknown_outcome_is_made_again_without_harm(error: Exception, *, applied: bool) -> None:
    store = bucket_store(made=Faulty("put_object", error, applied=applied))
    with pytest.raises(StoreUnavailable):
        store.put(KEY, b"one")
    store.put(KEY, b"one")
    assert store.get(KEY) == b"one"


@pytest.mark.parametrize("call", [lambda s: s.put(KEY, b"x"), lambda s: s.swap(KEY, None, b"x")], ids=["put", "swap"])
def test_a_right_that_is_missing_is_named_with_what_to_do(call: Callable[[Any], Any]) -> None:
    store = bucket_store(made=Faulty("put_object", says("AccessDenied"), applied=False))
    with pytest.raises(StoreUnavailable, match="AccessDenied") as caught:
        call(store)
    assert "rights" in caught.value.mend


def test_more_objects_than_one_page_are_all_listed() -> None:
    store = bucket_store()
    keys = [f"a/seg/t/0/{number:012d}" for number in range(1_050)]
    s3 = client()
    for key in keys:
        s3.put_object(Bucket=store._bucket, Key=f"archive/of-all/{key}", Body=b"")
    assert list(store.keys("a/")) == keys
    assert list(store.keys("a/", after=keys[1_020])) == keys[1_021:]
