"""Chains are entered in the ledgers of their namespaces, those of an older archive too; idle ones are told of."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from ingest.schema.errors import ConfigError, IntegrityError
from storage.archive.chain import Chain
from storage.archive.stores.filesystem import FilesystemStore
from storage.ledger.keyring import KeyRing
from storage.ledger.notary import Notary, ready_keys, told_settings
from storage.settings import ArchiveSettings, LedgerSettings
from tests.storage.archive.samples import START, TOPIC, Clock, open_store, seal_in_batches, stream
from tests.storage.ledger.oracle import ledgers_tell_of_every_segment
from tests.storage.ledger.samples import keys_in

NAMESPACES = {"acme", "globex", "unreadable"}


def store_in(root: Path) -> FilesystemStore:
    return open_store(root / "archive", allow_delete=True)


def notary_in(root: Path, clock: Clock, **settings: Any) -> Notary:
    ledger = LedgerSettings(**settings)
    told = told_settings(ledger, ArchiveSettings())
    return Notary(store_in(root), keys_in(root), ledger, told, clock)


def chains_in(root: Path) -> list[Chain]:
    found = [Chain(store_in(root), namespace, TOPIC, 0) for namespace in sorted(NAMESPACES)]
    for chain in found:
        chain.restore()
    return found


def sealed(root: Path, clock: Clock, count: int = 12) -> None:
    seal_in_batches(store_in(root), stream(count), range(1, count, 2), clock)


def kinds(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["type"] for entry in entries]


def test_an_archive_without_a_ledger_is_taken_over_whole(tmp_path: Path):
    clock = Clock()
    sealed(tmp_path, clock)
    notary = notary_in(tmp_path, clock)
    notary.record(chains_in(tmp_path))
    ledgers = ledgers_tell_of_every_segment(tmp_path / "archive")
    assert set(ledgers) == NAMESPACES
    assert {namespace: len(entries) for namespace, entries in ledgers.items()} == notary.sizes()


def test_a_chain_longer_than_one_append_is_entered_in_several(tmp_path: Path):
    clock = Clock()
    seal_in_batches(store_in(tmp_path), stream(420), range(420), clock)
    told: list[str] = []
    notary = Notary(store_in(tmp_path), keys_in(tmp_path), LedgerSettings(), {}, clock, told.append)
    notary.record(chains_in(tmp_path))
    ledgers = ledgers_tell_of_every_segment(tmp_path / "archive")
    assert len(ledgers["acme"]) > 256
    assert told == ["ledger: many segments of acme are being entered"]


def test_recording_again_enters_nothing_twice(tmp_path: Path):
    clock = Clock()
    sealed(tmp_path, clock)
    notary_in(tmp_path, clock).record(chains_in(tmp_path))
    before = ledgers_tell_of_every_segment(tmp_path / "archive")
    notary_in(tmp_path, clock).record(chains_in(tmp_path))
    assert ledgers_tell_of_every_segment(tmp_path / "archive") == before


def test_a_worker_that_knows_less_of_a_chain_than_the_ledger_adds_nothing(tmp_path: Path):
    clock = Clock()
    seal_in_batches(store_in(tmp_path), dict(list(stream().items())[:6]), range(6), clock)
    stale = chains_in(tmp_path)
    sealed(tmp_path, clock)
    notary_in(tmp_path, clock).record(chains_in(tmp_path))
    before = ledgers_tell_of_every_segment(tmp_path / "archive")
    notary_in(tmp_path, clock).record(stale)
    assert ledgers_tell_of_every_segment(tmp_path / "archive") == before


def test_a_chain_whose_end_was_cut_off_is_refused(tmp_path: Path):
    clock = Clock()
    sealed(tmp_path, clock)
    notary_in(tmp_path, clock).record(chains_in(tmp_path))
    folder = tmp_path / "archive" / "acme" / "seg" / TOPIC / "0"
    max(folder.glob("*.manifest.json")).unlink()
    (folder / "head.json").unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        notary_in(tmp_path, clock).record(chains_in(tmp_path))


def test_a_chain_that_was_rewritten_is_refused_when_it_goes_on(tmp_path: Path):
    clock = Clock()
    messages = stream()
    seal_in_batches(store_in(tmp_path), dict(list(messages.items())[:6]), range(6), clock)
    notary_in(tmp_path, clock).record(chains_in(tmp_path))
    for path in (tmp_path / "archive" / "acme" / "seg").rglob("*"):
        if path.is_file():
            path.unlink()
    clock.pass_(100)
    sealed(tmp_path, clock)
    with pytest.raises(IntegrityError, match="does not follow"):
        notary_in(tmp_path, clock).record(chains_in(tmp_path))


def test_idle_chains_are_told_of_once_per_interval(tmp_path: Path):
    clock = Clock()
    sealed(tmp_path, clock)
    notary = notary_in(tmp_path, clock, heartbeat_interval_s=60)
    chains = chains_in(tmp_path)
    assert notary.tell_idle(chains) == 0  # nothing is entered of them yet
    notary.record(chains)
    clock.pass_(40)
    assert notary.tell_idle(chains) == 0
    clock.pass_(61)
    assert notary.tell_idle(chains) == 3
    assert notary.tell_idle(chains) == 0
    clock.pass_(60)
    assert notary.tell_idle(chains) == 3
    for namespace, entries in ledgers_tell_of_every_segment(tmp_path / "archive").items():
        beats = [entry for entry in entries if entry["type"] == "heartbeat"]
        assert [len(beat["streams"]) for beat in beats] == [1, 1], namespace
        newest = [entry for entry in entries if entry["type"] == "segment"][-1]
        named = {"topic": TOPIC, "partition": 0, "seq": newest["seq"], "last_offset": newest["covers"]["last_offset"]}
        assert beats[-1]["streams"] == [named]


def test_the_first_keys_are_made_only_where_no_ledger_is(tmp_path: Path):
    keys = KeyRing(tmp_path / "made" / "keys.json")
    assert ready_keys(store_in(tmp_path), keys, START, 30)
    assert not ready_keys(store_in(tmp_path), keys, START, 30)
    clock = Clock()
    sealed(tmp_path, clock)
    notary_in(tmp_path, clock).record(chains_in(tmp_path))
    with pytest.raises(ConfigError, match="the keys file is missing"):
        ready_keys(store_in(tmp_path), KeyRing(tmp_path / "lost" / "keys.json"), START, 30)
    assert not (tmp_path / "lost").exists()


def test_the_ledger_tells_by_what_it_is_kept(tmp_path: Path):
    clock = Clock()
    sealed(tmp_path, clock)
    notary_in(tmp_path, clock, heartbeat_interval_s=30).record(chains_in(tmp_path))
    entry = ledgers_tell_of_every_segment(tmp_path / "archive")["acme"][1]
    assert entry["settings"] == {
        "heartbeat_interval_s": 30,
        "segment_max_age_ms": 5000,
        "stamp_interval_s": 60,
        "quorum": 0,
        "witnesses": [],
        "authorities": [],
    }
    assert dt.datetime.fromisoformat(entry["at"]) == clock.now


def test_the_lock_names_what_the_ledger_has_of_each_chain(tmp_path: Path):
    clock = Clock()
    sealed(tmp_path, clock)
    notary_in(tmp_path, clock).record(chains_in(tmp_path))
    lock = json.loads((tmp_path / "archive" / "acme" / "log" / "1" / "lock.json").read_bytes())
    [tip] = lock["tips"]
    [acme] = [chain for chain in chains_in(tmp_path) if chain.namespace == "acme"]
    assert acme.last is not None
    assert (tip["seq"], tip["last_offset"]) == (acme.last.seq, acme.last.covers.last_offset)
