"""What every archive store promises, whatever it is made of."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import storage.archive.stores
from ingest.schema.errors import AlreadyExists, Refused, StoreUnavailable
from storage.archive.store import ArchiveStore
from storage.archive.stores.filesystem import FilesystemStore
from tests.storage.archive.buckets import bucket_store
from tests.storage.archive.containers import container, container_store
from tests.storage.archive.faults import Fault, FaultyStore
from tests.storage.archive.gcs_buckets import gcs_store

Open = Callable[[Path, pytest.FixtureRequest], ArchiveStore]
STORES: dict[str, Open] = {
    "azure_blob": lambda _, request: container_store(container(request.getfixturevalue("azurite"))),
    "filesystem": lambda root, _: FilesystemStore(root, allow_delete=True),
    "gcs": lambda *_: gcs_store(),
    "s3": lambda *_: bucket_store(),
}
KEY = "acme/seg/topic/0/000000000000-aa.ndz"


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArchiveStore:
    return STORES[request.param](tmp_path / "archive", request)


def test_every_store_is_in_this_suite():
    modules = {path.stem for path in Path(storage.archive.stores.__path__[0]).glob("[a-z]*.py")}
    assert modules == set(STORES)


def test_what_was_put_is_read_back_byte_for_byte(store: ArchiveStore):
    body = bytes(range(256)) * 100
    store.put(KEY, body)
    assert store.get(KEY) == body


def test_an_empty_object_is_an_object(store: ArchiveStore):
    store.put(KEY, b"")
    assert store.get(KEY) == b""


def test_what_was_never_put_is_none(store: ArchiveStore):
    assert store.get(KEY) is None


def test_putting_the_same_bytes_again_is_silent(store: ArchiveStore):
    store.put(KEY, b"one")
    store.put(KEY, b"one")
    assert store.get(KEY) == b"one"


def test_other_bytes_under_the_same_key_are_refused_and_change_nothing(store: ArchiveStore):
    store.put(KEY, b"one")
    with pytest.raises(AlreadyExists, match="other bytes"):
        store.put(KEY, b"two")
    assert store.get(KEY) == b"one"


def test_keys_come_complete_and_in_the_order_of_their_bytes(store: ArchiveStore):
    keys = ["b/seg/x", "a/seg/t/0/2", "a/seg/t/0/10", "a/seg/t-1/0/1", "a/seg/t.v1/0/1", "a.b/obj/1", "a-b/obj/1"]
    for key in keys:
        store.put(key, b"")
    assert list(store.keys("")) == sorted(keys)
    assert list(store.keys("a/seg/t")) == sorted(key for key in keys if key.startswith("a/seg/t"))
    assert list(store.keys("a/seg/t/")) == ["a/seg/t/0/10", "a/seg/t/0/2"]
    assert list(store.keys("a/", after="a/seg/t/0/10")) == ["a/seg/t/0/2"]
    assert list(store.keys("nothing/here/")) == []


def test_folders_are_the_next_parts(store: ArchiveStore):
    for key in ["a/seg/t/0/1", "a/seg/t/1/1", "a/obj/1", "b/obj/1"]:
        store.put(key, b"")
    assert store.folders("") == ["a", "b"]
    assert store.folders("a/") == ["obj", "seg"]
    assert store.folders("a/seg/t/") == ["0", "1"]
    assert store.folders("a/obj/") == []
    assert store.folders("c/") == []


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../x", "a/../../x", "a/./b", "a//b", "a/", ".hidden/x", "a/.lock", "a\\b", "a\x00", "a" * 251],
)
def test_what_is_no_key_is_refused(store: ArchiveStore, key: str):
    for attempt in (
        lambda: store.put(key, b"x"),
        lambda: store.get(key),
        lambda: store.swap(key, None, b"x"),
        lambda: store.delete(key),
        lambda: store.destroy(key),
    ):
        with pytest.raises(Refused, match="not a key"):
            attempt()


def test_swap_replaces_only_what_was_expected(store: ArchiveStore):
    assert store.swap("a/head.json", None, b"1")
    assert not store.swap("a/head.json", None, b"2")
    assert not store.swap("a/head.json", b"0", b"2")
    assert store.swap("a/head.json", b"1", b"2")
    assert store.get("a/head.json") == b"2"


def test_what_is_deleted_is_gone_and_deleting_it_again_is_fine(store: ArchiveStore):
    store.put(KEY, b"x")
    store.delete(KEY)
    store.delete(KEY)
    assert store.get(KEY) is None


def test_what_is_destroyed_is_gone_and_nothing_else_is(store: ArchiveStore):
    store.put(KEY, b"x")
    store.put(f"{KEY}.more", b"another")
    store.swap("a/head", None, b"1")
    store.swap("a/head", b"1", b"2")
    for _ in range(2):
        store.destroy(KEY)
        store.destroy("a/head")
    assert (store.get(KEY), store.get("a/head"), store.get(f"{KEY}.more")) == (None, None, b"another")


def test_of_racing_writers_exactly_one_wins_a_key(store: ArchiveStore):
    won: list[bytes] = []
    lost: list[bytes] = []
    barrier = threading.Barrier(8)

    def write(body: bytes) -> None:
        barrier.wait()
        try:
            store.put(KEY, body)
        except AlreadyExists:
            lost.append(body)
        else:
            won.append(body)

    _in_threads([lambda i=i: write(b"%d" % i) for i in range(8)])  # type: ignore[misc]
    assert (len(won), len(lost)) == (1, 7)
    assert store.get(KEY) == won[0]


def test_of_racing_swaps_exactly_one_wins(store: ArchiveStore):
    store.swap("a/head", None, b"start")
    results: list[tuple[bool, bytes]] = []
    barrier = threading.Barrier(8)

    def swap(body: bytes) -> None:
        barrier.wait()
        results.append((store.swap("a/head", b"start", body), body))

    _in_threads([lambda i=i: swap(b"%d" % i) for i in range(8)])  # type: ignore[misc]
    winners = [body for won, body in results if won]
    assert len(winners) == 1
    assert store.get("a/head") == winners[0]


def test_the_probe_passes_and_leaves_nothing_behind(store: ArchiveStore):
    assert all(isinstance(sentence, str) for sentence in store.probe())
    assert store.probe() == store.probe()
    assert list(store.keys("")) == []


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_put_that_reported_a_fault_can_be_made_again(store: ArchiveStore, fault: Fault):
    faulty = FaultyStore(store, 0, fault)
    with pytest.raises(StoreUnavailable):
        faulty.put(KEY, b"one")
    assert store.get(KEY) == (b"one" if fault == "applied" else None)
    faulty.put(KEY, b"one")
    assert store.get(KEY) == b"one"


@pytest.mark.parametrize("fault", ["lost", "applied"])
@pytest.mark.parametrize("before", [None, b"one"])
def test_after_a_swap_that_reported_a_fault_the_same_one_tells_what_happened(
    store: ArchiveStore, fault: Fault, before: bytes | None
):
    if before is not None:
        store.swap("a/head", None, before)
    faulty = FaultyStore(store, 0, fault)
    with pytest.raises(StoreUnavailable):
        faulty.swap("a/head", before, b"two")
    assert store.get("a/head") == (b"two" if fault == "applied" else before)
    assert faulty.swap("a/head", before, b"two") == (fault == "lost")
    assert store.get("a/head") == b"two"


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_deletion_that_reported_a_fault_can_be_made_again_and_the_key_be_used_anew(store: ArchiveStore, fault: Fault):
    store.put(KEY, b"one")
    faulty = FaultyStore(store, 0, fault)
    with pytest.raises(StoreUnavailable):
        faulty.delete(KEY)
    assert store.get(KEY) == (None if fault == "applied" else b"one")
    faulty.delete(KEY)
    assert list(store.keys("")) == []
    faulty.put(KEY, b"two")
    assert store.get(KEY) == b"two"


@pytest.mark.parametrize("number", range(12))
def test_a_full_disk_at_any_step_leaves_the_object_whole_or_absent(tmp_path: Path, number: int):
    calls = 0

    def fsync(_: int) -> None:
        nonlocal calls
        calls += 1
        if calls == number + 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    store = FilesystemStore(tmp_path / "archive", fsync=fsync)
    for write in (lambda: store.put(KEY, b"body"), lambda: store.swap("a/head", None, b"head")):
        for _ in range(2):
            with contextlib.suppress(StoreUnavailable):
                write()
            assert store.get(KEY) in {None, b"body"}
            assert store.get("a/head") in {None, b"head"}
    assert store.get(KEY) == b"body"
    assert store.get("a/head") == b"head"
    assert calls > number
    assert not [path for path in (tmp_path / "archive" / ".staging").iterdir() if path.stat().st_size > 4]


def test_a_full_disk_is_named_with_what_to_do(tmp_path: Path):
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreUnavailable, match="No space left") as caught:
        FilesystemStore(tmp_path / "archive", fsync=fsync).put(KEY, b"body")
    assert str(tmp_path) in caught.value.where
    assert "free space" in caught.value.mend


def _in_threads(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)
