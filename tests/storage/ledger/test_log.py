"""A log takes every entry once, in order, whoever appends, whatever fails."""

from __future__ import annotations

import base64
import datetime as dt
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from ingest.schema.errors import ConfigError, IntegrityError, StoreUnavailable
from storage.archive.merkle import consistent
from storage.ledger.keyring import KeyRing
from storage.ledger.stored import head_of
from tests.storage.archive.faults import Fault, FaultyStore, Killed
from tests.storage.archive.samples import Clock, open_store
from tests.storage.ledger.oracle import entries_of
from tests.storage.ledger.samples import keys_in, missing, open_log, place, segments

CHAIN = segments(600)


def seqs(entries: list[dict[str, Any]], partition: int = 0) -> list[int]:
    return [e["seq"] for e in entries if e["type"] == "segment" and e["stream"]["partition"] == partition]


def key_ids(lines: list[str]) -> list[bytes]:
    return [base64.b64decode(line.split(" ")[2])[:4] for line in lines]


def kinds(root: Path, epoch: int = 1) -> list[str]:
    return [entry["type"] for entry in entries_of(place(root, epoch))]


@pytest.mark.parametrize("batch", [1, 7, 256])
def test_every_entry_is_in_the_log_once_and_in_order(tmp_path: Path, batch: int):
    log = open_log(tmp_path)
    head = log.append(lambda tips: missing(CHAIN[:40] if batch == 1 else CHAIN, tips, batch=batch))
    entries = entries_of(place(tmp_path))
    assert head is not None
    assert head.size == len(entries)
    assert [entry["type"] for entry in entries[:3]] == ["keychange", "config", "segment"]
    assert seqs(entries) == list(range(40 if batch == 1 else 600))


def test_superseded_partial_tiles_and_bundles_do_not_stay(tmp_path: Path):
    log = open_log(tmp_path)
    for number in range(1, 30):
        log.append(lambda tips, number=number: missing(CHAIN[:number], tips))  # type: ignore[misc]
    assert len(list(place(tmp_path).glob("tile/entries/000.p/*"))) == 2
    assert len(list(place(tmp_path).glob("tile/0/000.p/*"))) == 2
    assert len(list(place(tmp_path).glob("staging/*"))) == 1


def test_a_log_that_is_opened_anew_goes_on_where_it_ended(tmp_path: Path):
    open_log(tmp_path).append(lambda tips: missing(CHAIN[:300], tips))
    log = open_log(tmp_path)
    log.append(lambda tips: missing(CHAIN, tips))
    assert seqs(entries_of(place(tmp_path))) == list(range(600))


def life(root: Path, at: int, fault: Fault = "lost", error: type[BaseException] = Killed, count: int = 12) -> int:
    """Append up to `count` segments in batches of four; fails at one operation, returns how many there were."""
    faulty = FaultyStore(open_store(root / "archive", allow_delete=True), at, fault, error)
    open_log(root, faulty).append(lambda tips: missing(CHAIN[:count], tips, batch=4))
    return faulty.operations


def operations(root: Path, before: int, count: int = 12) -> range:
    """The operations of the life under test, on a log that has `before` segments (0: that is not there yet)."""
    if before:
        open_log(root).append(lambda tips: missing(CHAIN[:before], tips))
    found = range(life(root, -1, count=count))
    assert len(found) > 10
    return found


@pytest.mark.parametrize("error", [StoreUnavailable, Killed])
@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_whatever_step_fails_the_log_is_consistent_and_complete_afterwards(
    tmp_path: Path, fault: Fault, error: type[BaseException]
):
    for at in operations(tmp_path / "count", 3):
        root = tmp_path / str(at)
        open_log(root).append(lambda tips: missing(CHAIN[:3], tips))
        before = entries_of(place(root))
        log = open_log(root, FaultyStore(open_store(root / "archive", allow_delete=True), at, fault, error))
        with pytest.raises(error):
            log.append(lambda tips: missing(CHAIN[:12], tips, batch=4))
        published = head_of((place(root) / "checkpoint").read_bytes())
        if error is Killed:
            log = open_log(root)
        log.append(lambda tips: missing(CHAIN[:12], tips, batch=4))
        entries = entries_of(place(root))
        assert entries[: len(before)] == before
        assert seqs(entries) == list(range(12))
        reader = log.reader(len(entries))
        path = reader.consistency(published.size, len(entries))
        assert consistent(published.size, published.root, len(entries), reader.root(len(entries)), path)


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_log_whose_first_append_fails_anywhere_begins_once(tmp_path: Path, fault: Fault):
    for at in operations(tmp_path / "count", 0, count=4):
        root = tmp_path / str(at)
        with pytest.raises(Killed):
            life(root, at, fault, count=4)
        open_log(root).append(lambda tips: missing(CHAIN[:4], tips))
        assert kinds(root) == ["keychange", "config", *["segment"] * 4]


def test_the_killed_writer_is_finished_by_the_next_one_even_if_that_has_nothing_to_say(tmp_path: Path):
    behind = 0
    for at in operations(tmp_path / "count", 1, count=3):
        root = tmp_path / str(at)
        open_log(root).append(lambda tips: missing(CHAIN[:1], tips))
        with pytest.raises(Killed):
            life(root, at, count=3)
        locked = json.loads((place(root) / "lock.json").read_bytes())["checkpoint"].encode()
        behind += locked != (place(root) / "checkpoint").read_bytes()
        open_log(root).load()
        assert head_of((place(root) / "checkpoint").read_bytes()) == head_of(locked)
        entries_of(place(root))
    assert behind == 3  # lost: the first tile, the bundle, the checkpoint


def test_writers_that_race_leave_every_entry_once(tmp_path: Path):
    chains = [segments(12, partition) for partition in range(4)]
    failed: list[BaseException] = []

    def write(partition: int) -> None:
        try:
            log = open_log(tmp_path)
            log.append(lambda tips: missing(chains[partition], tips, partition, batch=1))
        except BaseException as exc:  # noqa: BLE001 - told by the main thread
            failed.append(exc)

    keys_in(tmp_path)
    threads = [threading.Thread(target=write, args=(partition,)) for partition in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    # Losing again and again is an error that the caller retries; nothing else may happen.
    assert [exc for exc in failed if not isinstance(exc, StoreUnavailable)] == []
    for partition in range(4):
        open_log(tmp_path).append(lambda tips, p=partition: missing(chains[p], tips, p))  # type: ignore[misc]
    entries = entries_of(place(tmp_path))
    assert [seqs(entries, partition) for partition in range(4)] == [list(range(12))] * 4


def test_a_writer_that_was_believed_dead_adds_nothing_twice(tmp_path: Path):
    zombie = open_log(tmp_path)
    zombie.append(lambda tips: missing(CHAIN[:2], tips))
    open_log(tmp_path).append(lambda tips: missing(CHAIN[:5], tips))
    zombie.append(lambda tips: missing(CHAIN[:3], tips))
    assert seqs(entries_of(place(tmp_path))) == list(range(5))


def test_an_entry_that_does_not_follow_is_refused(tmp_path: Path):
    log = open_log(tmp_path)
    log.append(lambda tips: missing(CHAIN[:2], tips))
    for wrong in (CHAIN[1], CHAIN[3]):
        with pytest.raises(IntegrityError, match="does not follow"):
            log.append(lambda _, wrong=wrong: [wrong])  # type: ignore[misc]
    assert seqs(entries_of(place(tmp_path))) == [0, 1]


def test_a_lock_that_was_set_back_is_refused(tmp_path: Path):
    log = open_log(tmp_path)
    log.append(lambda tips: missing(CHAIN[:2], tips))
    lock = place(tmp_path) / "lock.json"
    old = lock.read_bytes()
    log.append(lambda tips: missing(CHAIN[:3], tips))
    lock.unlink()
    lock.write_bytes(old)
    with pytest.raises(IntegrityError, match="ahead of"):
        open_log(tmp_path).load()
    lock.unlink()
    with pytest.raises(IntegrityError, match="lock is missing"):
        open_log(tmp_path).load()


def test_a_ledger_that_was_set_back_as_a_whole_is_refused_by_a_worker_that_knows_better(tmp_path: Path):
    log = open_log(tmp_path)
    log.append(lambda tips: missing(CHAIN[:2], tips))
    kept = {path: path.read_bytes() for path in place(tmp_path).rglob("*") if path.is_file()}
    log.append(lambda tips: missing(CHAIN[:300], tips))
    for path in [path for path in place(tmp_path).rglob("*") if path.is_file()]:
        path.unlink()
    for path, body in kept.items():
        path.write_bytes(body)
    with pytest.raises(IntegrityError, match="does not continue"):
        log.load()
    open_log(tmp_path).load()  # who knows nothing can't see it: that is what witnesses are for


@pytest.mark.parametrize("name", ["tile/0/000.p/4", "tile/entries/000.p/4"])
def test_a_damaged_edge_is_refused(tmp_path: Path, name: str):
    open_log(tmp_path).append(lambda tips: missing(CHAIN[:2], tips))
    path = place(tmp_path) / name
    body = path.read_bytes()
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        open_log(tmp_path).load()
    path.write_bytes(body[:-1])
    with pytest.raises(IntegrityError):
        open_log(tmp_path).load()
    path.write_bytes(bytes([body[0] ^ 1]) + body[1:])
    with pytest.raises(IntegrityError):
        open_log(tmp_path).load()


def test_rotated_keys_take_over_with_one_checkpoint_signed_by_both(tmp_path: Path):
    clock = Clock()
    log = open_log(tmp_path, clock=clock)
    log.append(lambda tips: missing(CHAIN[:2], tips))
    old = (place(tmp_path) / "checkpoint").read_text().splitlines()[-2:]
    clock.pass_(10)
    keys_in(tmp_path).add(clock.now, not_before=clock.now, days=30)
    log.append(lambda _: [])
    both = (place(tmp_path) / "checkpoint").read_text().splitlines()[4:]
    assert len(both) == 4
    assert key_ids(both[:2]) == key_ids(old)
    entries = entries_of(place(tmp_path))
    assert (entries[-1]["type"], entries[-1]["reason"]) == ("keychange", "rotation")
    assert {key["last_size"] for key in entries[-1]["retired"]} == {len(entries)}
    assert {key["first_size"] for key in entries[-1]["keys"]} == {len(entries)}
    log.append(lambda tips: missing(CHAIN[:3], tips))
    assert len((place(tmp_path) / "checkpoint").read_text().splitlines()[4:]) == 2
    entries_of(place(tmp_path))


def test_a_worker_without_the_new_keys_does_not_sign(tmp_path: Path):
    clock = Clock()
    stale = open_log(tmp_path, clock=clock)
    stale.append(lambda tips: missing(CHAIN[:2], tips))
    before = (tmp_path / "keys" / "keys.json").read_bytes()
    clock.pass_(10)
    keys_in(tmp_path).add(clock.now, not_before=clock.now, days=30)
    open_log(tmp_path, clock=clock).append(lambda _: [])
    (tmp_path / "keys" / "keys.json").write_bytes(before)
    with pytest.raises(ConfigError, match="keys file does not have"):
        stale.append(lambda tips: missing(CHAIN[:3], tips))
    assert seqs(entries_of(place(tmp_path))) == [0, 1]


def test_an_expired_key_signs_nothing(tmp_path: Path):
    clock = Clock()
    log = open_log(tmp_path, clock=clock)
    log.append(lambda tips: missing(CHAIN[:2], tips))
    clock.pass_(400 * 86_400)
    with pytest.raises(ConfigError, match="no key is valid"):
        log.append(lambda tips: missing(CHAIN[:3], tips))
    keys_in(tmp_path).add(clock.now, not_before=clock.now, days=30)
    with pytest.raises(ConfigError, match="was valid until"):
        log.append(lambda tips: missing(CHAIN[:3], tips))
    assert seqs(entries_of(place(tmp_path))) == [0, 1]


def test_a_new_epoch_begins_with_the_last_checkpoint_of_the_old_one(tmp_path: Path):
    open_log(tmp_path).append(lambda tips: missing(CHAIN[:2], tips))
    last = (place(tmp_path) / "checkpoint").read_text("utf-8")
    for path in (tmp_path / "keys").iterdir():
        path.unlink()
    KeyRing(tmp_path / "keys" / "keys.json").add_first(Clock().now - dt.timedelta(days=1), days=30)
    open_log(tmp_path, epoch=2).append(lambda tips: missing(CHAIN[:3], tips))
    entries = entries_of(place(tmp_path, 2))
    assert (entries[0]["reason"], entries[0]["continues"]) == ("emergency", last)
    assert seqs(entries) == [0, 1, 2]


def test_other_settings_are_told_once(tmp_path: Path):
    open_log(tmp_path).append(lambda _: [])
    log = open_log(tmp_path, settings={"quorum": 2})
    other = open_log(tmp_path)
    for number in range(3):
        log.append(lambda tips, n=number: missing(CHAIN[: n + 1], tips))  # type: ignore[misc]
        other.append(lambda _: [])
    told = [entry["settings"] for entry in entries_of(place(tmp_path)) if entry["type"] == "config"]
    assert told == [{"heartbeat_interval_s": 60, "quorum": 0}, {"quorum": 2}, {"heartbeat_interval_s": 60, "quorum": 0}]


def test_an_entry_that_no_bundle_can_hold_is_refused_before_anything_is_written(tmp_path: Path):
    log = open_log(tmp_path)
    log.append(lambda _: [])
    with pytest.raises(IntegrityError, match="65,535"):
        log.append(lambda _: [b'{"namespace":"acme","type":"policy","v":1,"x":"' + b"x" * 65_500 + b'"}'])
    assert kinds(tmp_path) == ["keychange", "config"]
