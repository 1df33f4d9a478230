"""Every operation of the key table × {lost, applied} × {it answers an error, the process dies}: nothing is lost."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from ingest.schema.errors import StoreUnavailable
from storage.archive.reader import ArchiveReader
from storage.datakeys.keys import DataKeys
from storage.datakeys.providers.file import FileProvider
from storage.datakeys.table import KeyTable
from storage.verify.archive import examine
from storage.verify.places import Directory
from storage.verify.scope import Scope
from tests.storage.archive.faults import Fault, FaultyStore, Killed
from tests.storage.archive.samples import Clock, expected_records, open_store, seal_in_batches, sealer, stream
from tests.storage.datakeys.samples import Opener, made_keys

MESSAGES = stream(6)


def faulty_keys(root: Path, at: int, fault: Fault, error: type[BaseException]) -> tuple[DataKeys, FaultyStore]:
    provider = FileProvider(root / "keks", clock=Clock())
    table = FaultyStore(open_store(root / "table", allow_delete=True), at, fault, error)
    return DataKeys(KeyTable(table), provider, lambda _: provider, Clock()), table


def operations() -> int:
    with tempfile.TemporaryDirectory() as folder:
        keys, table = faulty_keys(Path(folder) / "datakeys", -1, "lost", Killed)
        seal_in_batches(open_store(Path(folder) / "archive"), MESSAGES, [3], Clock(), keys)
        return table.operations


OPERATIONS = operations()


def assert_whole(root: Path) -> None:
    keys = made_keys(root / "datakeys")
    assert list(examine(Directory(root / "archive"), Scope(keys=Opener(keys)))) == []
    reader = ArchiveReader(open_store(root / "archive"), keys)
    found = {
        (record.namespace, record.position.offset, record.position.index): record.body
        for namespace in reader.namespaces()
        for record in reader.records(namespace)
    }
    assert found == expected_records(MESSAGES)


@pytest.mark.parametrize("fault", ["lost", "applied"])
@pytest.mark.parametrize("at", range(OPERATIONS))
def test_a_process_killed_at_any_operation_of_the_table_goes_on(tmp_path: Path, at: int, fault: Fault) -> None:
    keys, _ = faulty_keys(tmp_path / "datakeys", at, fault, Killed)
    store, clock = open_store(tmp_path / "archive"), Clock()
    with pytest.raises(Killed):
        seal_in_batches(store, MESSAGES, [3], clock, keys)
    seal_in_batches(store, MESSAGES, [], clock, made_keys(tmp_path / "datakeys"))
    assert_whole(tmp_path)


@pytest.mark.parametrize("fault", ["lost", "applied"])
@pytest.mark.parametrize("at", range(OPERATIONS))
def test_a_table_that_fails_once_is_asked_again(tmp_path: Path, at: int, fault: Fault) -> None:
    keys, _ = faulty_keys(tmp_path / "datakeys", at, fault, StoreUnavailable)
    clock, failures = Clock(), 0
    one = sealer(open_store(tmp_path / "archive"), clock, keys=keys)
    for offset, value in MESSAGES.items():
        one.add(offset, value)
        if offset not in (3, 5):
            continue
        clock.pass_(1)
        try:
            one.seal()
        except StoreUnavailable:
            failures += 1
            one.seal()
    assert failures == 1
    assert_whole(tmp_path)
