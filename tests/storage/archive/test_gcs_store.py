"""What only the store in a bucket of Google does: locks, holds, rights, and answers that say nothing of the outcome.

fake-gcs-server keeps a retention and does not enforce it, so the probe has to refuse it: that is one of these tests. It
drops holds. Both are shown on a server of our own, made after Google's documentation. That a bucket of Google passes is
not proven.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import Forbidden
from requests import ConnectionError as ConnectionLost

from ingest.schema.errors import ConfigError, Refused, StoreUnavailable
from storage.archive.store import HoldingStore
from storage.archive.stores.gcs import GcsStore
from storage.gcs_settings import GcsArchiveSettings
from tests.storage.archive.gcs_buckets import client, gcs_store
from tests.storage.archive.retaining_bucket import RetainingBucket, Wrong, running_bucket

KEY = "acme/seg/topic/0/000000000000-aa.ndz"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


class Failing:
    """The connection of a client that fails at its next write, before or after that took effect."""

    def __init__(self, error: Exception, *, applied: bool) -> None:
        self._error: Exception | None = error
        self._applied = applied

    def __call__(self) -> Any:
        made = client()
        real = made._http.request

        def request(method: str, *given: Any, **asked: Any) -> Any:
            if method != "POST" or self._error is None:
                return real(method, *given, **asked)
            error, self._error = self._error, None
            if self._applied:
                real(method, *given, **asked)
            raise error

        made._http.request = request
        return made


def written(store: GcsStore, key: str) -> Any:
    return client().bucket(store._settings.bucket).get_blob(f"archive/of-all/{key}")


def test_a_server_that_deletes_what_is_locked_is_refused_where_a_lock_is_asked_for() -> None:
    with pytest.raises(ConfigError, match="a locked object could be deleted"):
        gcs_store("locked").probe()


@pytest.mark.parametrize(("lock", "told"), [("none", "archive.gcs.lock")])
def test_without_a_lock_the_probe_says_what_that_means(lock: Any, told: str) -> None:
    assert told in gcs_store(lock).probe()[0]


def test_what_is_sealed_is_locked_for_as_long_as_the_settings_say_or_its_stamp() -> None:
    store = gcs_store("locked", clock=lambda: NOW)
    store.put(KEY, b"sealed")
    store.put("acme/later", b"sealed", NOW + dt.timedelta(days=400))
    store.put("acme/earlier", b"sealed", NOW + dt.timedelta(days=4))
    for key, days in ((KEY, 30), ("acme/later", 400), ("acme/earlier", 30)):
        found = written(store, key).retention
        assert (found.mode, found.retain_until_time) == ("Locked", NOW + dt.timedelta(days=days))


def test_what_is_replaced_is_not_locked() -> None:
    store = gcs_store("locked")
    assert store.swap("acme/log/1/checkpoint", None, b"1")
    assert store.swap("acme/log/1/checkpoint", b"1", b"2")
    assert written(store, "acme/log/1/checkpoint").retention.mode is None


def retaining(bucket: RetainingBucket, lock: Any = "locked", **options: Any) -> GcsStore:
    settings = GcsArchiveSettings(bucket="sealed", lock=lock, lock_days=30)
    return GcsStore(settings, **{"allow_delete": True, "connect": bucket.client, **options})


def test_a_bucket_that_keeps_its_locks_passes_the_probe_and_promises_everything() -> None:
    with running_bucket() as bucket:
        store = retaining(bucket)
        assert store.probe() == []
        assert list(store.keys("")) == []
        assert "overrideUnlockedRetention" in retaining(bucket, "unlocked").probe()[0]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("drops retentions", "drops retentions"),
        ("deletes locked objects", "a locked object could be deleted"),
        ("shortens locks", "a lock could be shortened"),
        ("keeps no versions", "keeps no versions"),
    ],
)
def test_a_bucket_that_does_not_keep_a_lock_is_refused(wrong: Wrong, told: str) -> None:
    with running_bucket(wrong) as bucket, pytest.raises(ConfigError, match=told):
        retaining(bucket).probe()


def test_a_held_object_is_deleted_by_nobody_until_it_is_let_go_of() -> None:
    with running_bucket() as bucket:
        store = retaining(bucket, clock=lambda: NOW - dt.timedelta(days=60))
        assert isinstance(store, HoldingStore)
        assert store.holds_objects
        assert not store.hold(KEY, on=True)
        store.put(KEY, b"sealed")  # its lock is over
        store.put(f"{KEY}.more", b"another")
        store.delete(KEY)
        assert store.hold(KEY, on=True)
        assert not store.hold(KEY, on=True)
        assert [each.held for each in bucket.generations] == [True, False]
        hidden = bucket.client().bucket("sealed").blob(KEY, generation=bucket.generations[0].number)
        with pytest.raises(Forbidden):
            hidden.delete()
        assert store.hold(KEY, on=False)
        hidden.delete()
        assert not store.hold(KEY, on=True)


def test_an_object_is_destroyed_with_every_generation_once_neither_lock_nor_hold_keeps_it() -> None:
    with running_bucket() as bucket:
        store = retaining(bucket)
        store.put("acme/locked", b"sealed")
        with pytest.raises(Refused, match="its lock ends at"):
            store.destroy("acme/locked")
        assert store.get("acme/locked") == b"sealed"
        store = retaining(bucket, clock=lambda: NOW - dt.timedelta(days=60))
        store.put(KEY, b"sealed")  # its lock is over
        store.hold(KEY, on=True)
        with pytest.raises(Refused, match="a hold of the store is on it"):
            store.destroy(KEY)
        assert store.get(KEY) == b"sealed"
        store.hold(KEY, on=False)
        store.delete(KEY)
        store.destroy(KEY)
        store.destroy(KEY)
        assert [each.name for each in bucket.generations] == ["acme/locked"]


def test_fake_gcs_server_drops_holds() -> None:
    store = gcs_store("locked")
    store.put(KEY, b"sealed")
    assert store.hold(KEY, on=True)
    if written(store, KEY).temporary_hold is None:
        pytest.skip("fake-gcs-server drops temporary holds: not proven on a server of others (docs/not-yet.md)")
    assert not store.hold(KEY, on=True)


def test_who_may_not_delete_does_not() -> None:
    store = gcs_store(allow_delete=False)
    store.put(KEY, b"x")
    with pytest.raises(Refused, match="may not"):
        store.delete(KEY)
    assert store.get(KEY) == b"x"


@pytest.mark.parametrize("applied", [False, True], ids=["lost", "applied"])
def test_a_write_of_unknown_outcome_is_made_again_without_harm(*, applied: bool) -> None:
    store = gcs_store(connect=Failing(ConnectionLost("reset"), applied=applied))
    with pytest.raises(StoreUnavailable):
        store.put(KEY, b"one")
    store.put(KEY, b"one")
    assert store.get(KEY) == b"one"


def test_a_swap_whose_answer_was_lost_is_not_told_as_lost() -> None:
    store = gcs_store(connect=Failing(ConnectionLost("reset"), applied=True))
    with pytest.raises(StoreUnavailable):
        store.swap("acme/head", None, b"1")
    assert store.get("acme/head") == b"1"
    assert not store.swap("acme/head", None, b"2")


@pytest.mark.parametrize("call", [lambda s: s.put(KEY, b"x"), lambda s: s.swap(KEY, None, b"x")], ids=["put", "swap"])
def test_a_right_that_is_missing_is_named_with_what_to_do(call: Callable[[Any], Any]) -> None:
    error = Forbidden("sealer does not have storage.objects.create access")
    store = gcs_store(connect=Failing(error, applied=False))
    with pytest.raises(StoreUnavailable, match=r"does not have storage\.objects\.create") as caught:
        call(store)
    assert "rights" in caught.value.mend


def test_a_bucket_that_is_not_there_is_no_empty_archive() -> None:
    store = GcsStore(GcsArchiveSettings(bucket="nobody-made-this"), connect=client)
    with pytest.raises(StoreUnavailable, match="NotFound"):
        store.get(KEY)


def test_a_file_that_holds_no_credentials_is_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    file.write_text("{}")
    with pytest.raises(ConfigError, match="reading credentials"):
        GcsStore(GcsArchiveSettings(bucket="sealed", credentials_file=file))


def test_more_objects_than_one_page_are_all_listed() -> None:
    store = gcs_store()
    keys = [f"a/seg/t/0/{number:012d}" for number in range(1_050)]
    bucket = client().bucket(store._settings.bucket)
    for key in keys:
        bucket.blob(f"archive/of-all/{key}").upload_from_string(b"")
    assert list(store.keys("a/")) == keys
    assert list(store.keys("a/", after=keys[1_020])) == keys[1_021:]
