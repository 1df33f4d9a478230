"""A writer that dies may leave a copy of a wrapped key: the key is destroyed when the copy is gone as well."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from ingest.schema.errors import StoreUnavailable
from storage.archive.people import records_of_people
from storage.archive.stores.filesystem import FilesystemStore
from storage.datakeys.keys import DataKeys
from storage.retention.erasing import ErasurePlan, plan_erasure
from storage.retention.record import State
from storage.verify.findings import Kind
from tests.storage.archive.people import ANN, BOB, of_people
from tests.storage.archive.samples import START, Clock, open_store, seal_in_batches
from tests.storage.datakeys.samples import made_keys
from tests.storage.verify.ledger.samples import MadeArchive
from tests.storage.verify.people import clean, erased, key_of, keys_of, made, opener, table_of

__all__ = ["clean", "made"]  # fixtures

LATER = START + dt.timedelta(days=60)


class Dies(BaseException):
    """The process ended here."""


def test_a_writer_that_dies_behind_the_name_leaves_a_copy_that_is_found_and_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FilesystemStore(tmp_path, allow_delete=True, fsync=lambda _: None)

    def dies(*_: object, **__: object) -> None:
        raise Dies

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", dies)
        with pytest.raises(Dies):
            store.put("acme/a", b"key-1 and more")
    store.put("acme/b", b"key-2 and more")
    store.delete("acme/a")
    assert (store.leftovers(b"key-1"), store.leftovers(b"key-2")) == (1, 0)
    store.sweep(b"key-2")
    assert store.leftovers(b"key-1") == 1
    store.sweep(b"key-1")
    assert store.leftovers(b"key-1") == 0
    assert store.get("acme/b") == b"key-2 and more"


def left(table: Path, key: str) -> Path:
    """A copy as a writer leaves it that dies behind the name."""
    (entry,) = [path for path in table.rglob(f"{key}*") if path.is_file()]
    copy = table / ".staging" / "tmp0badcafe"
    copy.parent.mkdir(exist_ok=True)
    os.link(entry, copy)
    return copy


def sealed(root: Path) -> tuple[DataKeys, str]:
    clock = Clock()
    keys = made_keys(root / "datakeys", now=clock, by_subject=True)
    seal_in_batches(open_store(root / "archive"), of_people(), [2], clock, keys)
    clock.now = LATER
    (key,) = keys.of_subject("acme", ANN)
    return keys, key


def planned(root: Path, keys: DataKeys, key: str) -> ErasurePlan:
    return plan_erasure(
        "acme",
        [key],
        records_of_people(open_store(root / "archive"), "acme", [key], keys),
        State(),
        LATER,
        in_use=lambda _: "",
        segments={},
        present=lambda each: keys.has_subject_key("acme", each),
        dataset_of=lambda _: "aws.cloudtrail",
    )


def test_a_persons_key_is_destroyed_with_its_copy_and_no_other_copy(tmp_path: Path) -> None:
    keys, ann = sealed(tmp_path)
    table = tmp_path / "datakeys" / "subjects"
    copy = left(table, ann)
    other = copy.with_name("tmp1")
    (bob,) = keys.of_subject("acme", BOB)
    other.write_bytes(next(table.rglob(bob)).read_bytes())
    keys.destroy("acme", ann)
    assert not copy.exists()
    assert other.exists()
    assert not keys.has_subject_key("acme", ann)


def test_a_key_of_which_a_copy_is_left_is_not_counted_as_gone_and_goes_again(tmp_path: Path) -> None:
    keys, ann = sealed(tmp_path)
    table = tmp_path / "datakeys" / "subjects"
    left(table, ann)
    next(path for path in table.rglob(ann)).unlink()  # destroyed by a build that did not sweep
    (only,) = planned(tmp_path, keys, ann).keys
    assert (only.fate, only.records) == ("erase", 12)
    keys.destroy("acme", ann)
    (only,) = planned(tmp_path, keys, ann).keys
    assert (only.fate, only.records) == ("gone", 12)


def test_a_sweep_that_fails_leaves_the_key_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, ann = sealed(tmp_path)
    left(tmp_path / "datakeys" / "subjects", ann)

    def fails(*_: object, **__: object) -> None:
        raise PermissionError(13, "no")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fails)
        with pytest.raises(StoreUnavailable):
            keys.destroy("acme", ann)
    assert keys.of_subject("acme", ANN) == [ann]


def test_the_key_of_a_month_goes_with_its_copy(tmp_path: Path) -> None:
    keys, _ = sealed(tmp_path)
    (month,) = keys.entries()
    copy = left(tmp_path / "datakeys" / "table", month.id)
    keys.destroy("acme", month.id)
    assert not copy.exists()


def test_the_verifier_says_that_a_key_is_kept_of_which_a_copy_is_left(made: MadeArchive) -> None:
    ann = key_of(made, ANN)
    copy = left(table_of(made), ann).read_bytes()
    erased(made, ANN)
    assert [each.kind for each in made.findings(keys=opener(made))] == [Kind.ERASED]
    (table_of(made) / ".staging" / "tmp2").write_bytes(copy)
    (finding,) = made.findings(keys=opener(made))
    assert finding.kind is Kind.KEPT
    assert "12 records from here on can be read" in finding.detail
    keys_of(made).destroy("acme", ann)
    assert [each.kind for each in made.findings(keys=opener(made))] == [Kind.ERASED]
