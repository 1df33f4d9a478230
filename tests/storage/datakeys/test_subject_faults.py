"""Every operation of the table of people's keys × {lost, applied} × {error, death}: nothing is lost."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from ingest.schema.errors import StoreUnavailable
from storage.archive.reader import ArchiveReader
from storage.datakeys.keys import DataKeys
from storage.datakeys.providers.file import FileProvider
from storage.datakeys.subjects import SubjectKeys
from storage.datakeys.table import KeyTable
from storage.verify.archive import examine
from storage.verify.places import Directory
from storage.verify.scope import Scope
from tests.storage.archive.faults import Fault, FaultyStore, Killed
from tests.storage.archive.people import ANN, BOB, of_people
from tests.storage.archive.samples import Clock, expected_records, open_store, seal_in_batches, sealer
from tests.storage.datakeys.samples import Opener, made_keys

MESSAGES = of_people(3)


def faulty_keys(root: Path, at: int, fault: Fault, error: type[BaseException]) -> tuple[DataKeys, FaultyStore]:
    provider, table = FileProvider(root / "keks", clock=Clock()), KeyTable(open_store(root / "table"))
    people = FaultyStore(open_store(root / "subjects", allow_delete=True), at, fault, error)
    return DataKeys(table, provider, lambda _: provider, Clock(), SubjectKeys(people), by_subject=True), people


def operations() -> int:
    with tempfile.TemporaryDirectory() as folder:
        keys, people = faulty_keys(Path(folder) / "datakeys", -1, "lost", Killed)
        seal_in_batches(open_store(Path(folder) / "archive"), MESSAGES, [1], Clock(), keys)
        return people.operations


OPERATIONS = operations()


def assert_whole(root: Path) -> None:
    keys = made_keys(root / "datakeys", by_subject=True)
    scope = Scope(keys=Opener(keys, subjects=root / "datakeys" / "subjects"))
    assert list(examine(Directory(root / "archive"), scope)) == []
    found = {
        (record.namespace, record.position.offset, record.position.index): record.body
        for record in ArchiveReader(open_store(root / "archive"), keys).records("acme")
    }
    assert found == expected_records(MESSAGES)
    for who in (ANN, BOB):  # one that is lost is made anew; one that was kept is found again
        assert len(keys.of_subject("acme", who)) == 1


@pytest.mark.parametrize("fault", ["lost", "applied"])
@pytest.mark.parametrize("at", range(OPERATIONS))
def test_a_process_killed_at_any_operation_of_the_table_goes_on(tmp_path: Path, at: int, fault: Fault) -> None:
    keys, _ = faulty_keys(tmp_path / "datakeys", at, fault, Killed)
    store, clock = open_store(tmp_path / "archive"), Clock()
    with pytest.raises(Killed):
        seal_in_batches(store, MESSAGES, [1], clock, keys)
    seal_in_batches(store, MESSAGES, [], clock, made_keys(tmp_path / "datakeys", by_subject=True))
    assert_whole(tmp_path)


@pytest.mark.parametrize("fault", ["lost", "applied"])
@pytest.mark.parametrize("at", range(OPERATIONS))
def test_a_table_that_fails_once_is_asked_again(tmp_path: Path, at: int, fault: Fault) -> None:
    keys, _ = faulty_keys(tmp_path / "datakeys", at, fault, StoreUnavailable)
    clock, failures = Clock(), 0
    one = sealer(open_store(tmp_path / "archive"), clock, keys=keys)
    for offset, value in MESSAGES.items():
        one.add(offset, value)
        if offset not in (1, 2):
            continue
        clock.pass_(1)
        try:
            one.seal()
        except StoreUnavailable:
            failures += 1
            one.seal()
    assert failures == 1
    assert_whole(tmp_path)
