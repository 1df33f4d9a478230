"""What only the store in a container does: locks, holds, rights, and answers of Azure that say nothing of the outcome.

Azurite drops immutability policies, so the probe has to refuse it: that is one of these tests. Locks and holds are
shown on a server of our own, made after Microsoft's documentation. That a container of Azure passes is not proven.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ServiceResponseError

from ingest.schema.errors import AlreadyExists, ConfigError, Refused, StoreUnavailable
from storage.archive.store import HoldingStore
from storage.archive.stores.azure_blob import AzureBlobStore
from storage.azure_settings import AzureArchiveSettings
from tests.azurite import Azurite
from tests.storage.archive.containers import container, container_store
from tests.storage.archive.immutable_account import Account, Wrong, running_account

KEY = "acme/seg/topic/0/000000000000-aa.ndz"
NAME = f"archive/of-all/{KEY}"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


class Faulty:
    """A client whose next call of one operation fails, before or after it took effect."""

    def __init__(self, client: Any, operation: str, error: Exception, *, applied: bool) -> None:
        self._client = client
        self._operation = operation
        self._error: Exception | None = error
        self._applied = applied

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name != self._operation or self._error is None:
            return real

        def fail(*given: Any, **asked: Any) -> Any:
            error, self._error = self._error, None
            if self._applied:
                real(*given, **asked)
            assert error is not None
            raise error

        return fail


@pytest.fixture
def account() -> Iterator[Account]:
    with running_account() as found:
        yield found


def locked(account: Account, **options: Any) -> AzureBlobStore:
    return container_store(account.client(), "locked", **options)


def test_an_account_that_keeps_its_locks_passes_the_probe_and_promises_everything(account: Account) -> None:
    store = locked(account)
    assert store.probe() == []
    assert list(store.keys("")) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("drops policies", "drops immutability policies"),
        ("deletes locked versions", "a locked version could be deleted"),
        ("shortens locks", "a lock could be shortened"),
        ("keeps no versions", "keeps no versions"),
    ],
)
def test_an_account_that_does_not_keep_a_lock_is_refused(wrong: Wrong, told: str) -> None:
    with running_account(wrong) as account, pytest.raises(ConfigError, match=told):
        locked(account).probe()


def test_azurite_drops_locks_and_is_refused_where_one_is_asked_for(azurite: Azurite) -> None:
    with pytest.raises(ConfigError, match="drops immutability policies"):
        container_store(container(azurite), "locked").probe()


@pytest.mark.parametrize(("lock", "told"), [("none", "archive.azure.lock"), ("unlocked", "use the lock locked")])
def test_with_less_than_a_lock_the_probe_says_what_that_means(account: Account, lock: Any, told: str) -> None:
    assert told in container_store(account.client(), lock).probe()[0]


def test_what_is_sealed_is_locked_for_as_long_as_the_settings_say_or_its_stamp(account: Account) -> None:
    store = locked(account, clock=lambda: NOW)
    store.put(KEY, b"sealed")
    store.put("acme/later", b"sealed", NOW + dt.timedelta(days=400))
    store.put("acme/earlier", b"sealed", NOW + dt.timedelta(days=4))
    found = [each.until for each in account.versions]
    assert found == [NOW + dt.timedelta(days=days) for days in (30, 400, 30)]
    assert {each.mode for each in account.versions} == {"Locked"}


def test_a_sealed_blob_can_neither_be_replaced_nor_deleted(account: Account) -> None:
    store = locked(account)
    store.put(KEY, b"sealed")
    with pytest.raises(AlreadyExists):
        store.put(KEY, b"other")
    store.delete(KEY)  # hides it
    assert store.get(KEY) is None
    blob = account.client().get_blob_client(NAME)
    with pytest.raises(HttpResponseError, match="Immutable"):
        blob.delete_blob(version_id=account.versions[0].id)
    assert blob.download_blob(version_id=account.versions[0].id).readall() == b"sealed"


def test_a_locked_blob_is_neither_destroyed_nor_hidden(account: Account) -> None:
    store = locked(account)
    store.put(KEY, b"sealed")
    with pytest.raises(Refused, match="its lock ends at"):
        store.destroy(KEY)
    assert store.get(KEY) == b"sealed"


def test_a_blob_whose_lock_is_over_is_destroyed_with_every_version_unless_it_is_held(account: Account) -> None:
    locked(account, clock=lambda: dt.datetime.now(dt.UTC) - dt.timedelta(days=60)).put(KEY, b"sealed")
    store = locked(account)
    store.swap("acme/head", None, b"1")
    store.swap("acme/head", b"1", b"2")
    store.hold(KEY, on=True)
    with pytest.raises(Refused, match="a legal hold"):
        store.destroy(KEY)
    assert store.get(KEY) == b"sealed"
    store.hold(KEY, on=False)
    store.destroy(KEY)
    store.destroy("acme/head")
    assert [each.name for each in account.versions] == ["", "", ""]
    store.destroy(KEY)


def test_what_is_replaced_is_not_locked(account: Account) -> None:
    store = locked(account)
    assert store.swap("acme/log/1/checkpoint", None, b"1")
    assert store.swap("acme/log/1/checkpoint", b"1", b"2")
    assert [each.until for each in account.versions] == [None, None]


def test_a_held_blob_is_deleted_by_nobody_until_it_is_let_go_of(account: Account) -> None:
    store = container_store(account.client(), "unlocked", clock=lambda: NOW - dt.timedelta(days=60))
    assert isinstance(store, HoldingStore)
    assert store.holds_objects
    store.put(KEY, b"sealed")  # its lock is over
    store.put(f"{KEY}.more", b"another")
    store.delete(KEY)
    assert store.hold(KEY, on=True)
    assert not store.hold(KEY, on=True)
    assert [each.held for each in account.versions] == [True, False]
    blob, version = account.client().get_blob_client(NAME), account.versions[0].id
    with pytest.raises(HttpResponseError, match="Immutable"):
        blob.delete_blob(version_id=version)
    assert store.hold(KEY, on=False)
    blob.delete_blob(version_id=version)
    assert not store.hold(KEY, on=True)


def test_who_may_not_delete_does_not(azurite: Azurite) -> None:
    store = container_store(container(azurite), allow_delete=False)
    store.put(KEY, b"x")
    with pytest.raises(Refused, match="may not"):
        store.delete(KEY)
    assert store.get(KEY) == b"x"


@pytest.mark.parametrize("applied", [False, True], ids=["lost", "applied"])
def test_a_write_of_unknown_outcome_is_made_again_without_harm(azurite: Azurite, *, applied: bool) -> None:
    client = container(azurite)
    error = ServiceResponseError("the connection was reset")
    store = container_store(client, made=Faulty(client, "upload_blob", error, applied=applied))
    with pytest.raises(StoreUnavailable):
        store.put(KEY, b"one")
    store.put(KEY, b"one")
    assert store.get(KEY) == b"one"


@pytest.mark.parametrize("call", [lambda s: s.put(KEY, b"x"), lambda s: s.swap(KEY, None, b"x")], ids=["put", "swap"])
def test_a_right_that_is_missing_is_named_with_what_to_do(azurite: Azurite, call: Callable[[Any], Any]) -> None:
    client = container(azurite)
    error = HttpResponseError("AuthorizationPermissionMismatch")
    error.status_code = 403
    store = container_store(client, made=Faulty(client, "upload_blob", error, applied=False))
    with pytest.raises(StoreUnavailable, match="AuthorizationPermissionMismatch") as caught:
        call(store)
    assert "rights" in caught.value.mend


def test_a_container_that_is_not_there_is_no_empty_archive(azurite: Azurite) -> None:
    client = container(azurite)
    client.delete_container()
    with pytest.raises(StoreUnavailable, match="ContainerNotFound"):
        container_store(client).get(KEY)


def test_a_connection_string_of_another_account_is_refused(tmp_path: Path, azurite: Azurite) -> None:
    file = tmp_path / "connection"
    file.write_text(azurite.connection_string)
    settings = AzureArchiveSettings(account="example", container="sealed", connection_string_file=file)
    with pytest.raises(ConfigError, match="of another account"):
        AzureBlobStore(settings)
