"""Every operation of the store × {lost, applied} × {the store answers an error, the process dies}."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from ingest.schema.errors import StoreUnavailable
from storage.verify.archive import check
from tests.storage.archive.faults import Fault, FaultyStore, Killed
from tests.storage.archive.samples import Clock, assert_complete_and_clean, open_store, seal_in_batches, sealer, stream

MESSAGES = stream(9)
FIRST = {offset: MESSAGES[offset] for offset in range(6)}
EDGES = [3]  # two batches of three namespaces


def operations() -> int:
    """How many operations of the store the work under test takes, at least."""
    with tempfile.TemporaryDirectory() as folder:
        store = FaultyStore(open_store(Path(folder)), -1, "lost")
        work(store, Clock())
        return store.operations


def work(store: FaultyStore, clock: Clock) -> None:
    seal_in_batches(store, FIRST, EDGES, clock)
    seal_in_batches(store, MESSAGES, [], clock)


OPERATIONS = operations()


@pytest.mark.parametrize("fault", ["lost", "applied"])
@pytest.mark.parametrize("at", range(OPERATIONS))
def test_a_process_killed_at_any_operation_leaves_a_chain_that_goes_on(tmp_path: Path, at: int, fault: Fault):
    clock = Clock()
    with pytest.raises(Killed):
        work(FaultyStore(open_store(tmp_path), at, fault, Killed), clock)
    assert list(check(tmp_path)) == []
    seal_in_batches(open_store(tmp_path), MESSAGES, [1, 6], clock)
    assert_complete_and_clean(tmp_path, MESSAGES)


@pytest.mark.parametrize("fault", ["lost", "applied"])
@pytest.mark.parametrize("at", range(OPERATIONS))
def test_a_store_that_fails_once_at_any_operation_is_called_again(tmp_path: Path, at: int, fault: Fault):
    store = FaultyStore(open_store(tmp_path), at, fault)
    clock = Clock()
    failures = 0
    for messages in (FIRST, MESSAGES):
        one = sealer(store, clock)
        for offset, value in messages.items():
            one.add(offset, value)
            if offset != 3 and offset != max(messages):
                continue
            clock.pass_(1)
            try:
                report = one.seal()
            except StoreUnavailable:
                failures += 1
                clock.pass_(1)
                report = one.seal()
            assert report.committed_through == offset
    assert failures == (store.operations > at)  # the two ways of working differ by a few reads
    assert_complete_and_clean(tmp_path, MESSAGES)


def test_messages_that_come_while_the_store_is_away_are_sealed_later(tmp_path: Path):
    store = FaultyStore(open_store(tmp_path), 3, "applied")
    one = sealer(store)
    for offset in range(4):
        one.add(offset, MESSAGES[offset])
    with pytest.raises(StoreUnavailable):
        one.seal()
    for offset in range(4, 9):
        one.add(offset, MESSAGES[offset])
    assert one.seal().committed_through == 3
    assert one.seal().committed_through == 8
    assert_complete_and_clean(tmp_path, MESSAGES)


def test_messages_lost_by_kafka_behind_a_batch_cut_in_the_middle_are_a_gap(tmp_path: Path):
    """One namespace of a batch is sealed, the other not; Kafka's retention takes the messages before the restart."""
    store = FaultyStore(open_store(tmp_path), -1, "lost")
    seal_in_batches(store, FIRST, [], Clock())
    at = store.operations
    for position in range(at, at + 60):
        root = tmp_path / str(position)
        clock = Clock()
        seal_in_batches(open_store(root), FIRST, [], clock)
        faulty = FaultyStore(open_store(root), position - at, "lost", Killed)
        with pytest.raises(Killed):
            seal_in_batches(faulty, {6: MESSAGES[6], 7: MESSAGES[7]}, [], clock)
        manifests = sorted(path.parents[3].name for path in root.rglob("000000000001.manifest.json"))
        if manifests != ["acme"]:
            continue
        one = sealer(open_store(root), clock)
        one.add(8, MESSAGES[8])
        assert one.seal().gaps == ((6, 7),)
        return
    pytest.fail("no operation lies between the two manifests of the batch")
