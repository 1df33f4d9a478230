from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.dead_letter import DeadLetter, encode
from ingest.schema.errors import IntegrityError, Refused
from storage.archive import frames, grouped
from storage.archive.encryption import Cipher, Location
from storage.archive.reader import ArchiveReader
from storage.archive.subjects import principal_of
from storage.datakeys.key import DataKey
from storage.datakeys.keys import DataKeys
from tests.storage.archive.people import ANN, BOB, by_service, did, of_people
from tests.storage.archive.samples import START, Clock, header, open_store, seal_in_batches, sealer
from tests.storage.datakeys.samples import made_keys

PLACE = Location("acme", "topic", 0, 7)
LATER = START + dt.timedelta(days=40)


def keys_at(root: Path, clock: Clock) -> DataKeys:
    return made_keys(root / "datakeys", now=clock, by_subject=True)


def sealed(root: Path, messages: dict[int, bytes] | None = None) -> tuple[DataKeys, Clock]:
    clock = Clock()
    keys = keys_at(root, clock)
    seal_in_batches(open_store(root / "archive"), messages or of_people(), [2], clock, keys)
    return keys, clock


def read(root: Path, keys: DataKeys) -> tuple[list[bytes], dict[str, int]]:
    reader = ArchiveReader(open_store(root / "archive"), keys)
    return [record.body for record in reader.records("acme")], dict(reader.erased)


def bytes_in(archive: Path) -> dict[str, bytes]:
    """Every stored object, by its name."""
    return {path.name: path.read_bytes() for path in archive.rglob("*") if path.is_file()}


def test_a_segment_with_keys_of_people_is_read_back_exactly(tmp_path: Path):
    keys, _ = sealed(tmp_path)
    bodies, erased = read(tmp_path, keys)
    assert bodies == [
        record
        for at in range(0, 60, 10)
        for record in (did("ann", at), by_service(at + 1), did("bob", at + 2), b"no event %d" % at, did("ann", at + 4))
    ]
    assert erased == {}


def test_without_one_key_exactly_the_records_of_its_person_are_gone(tmp_path: Path):
    keys, clock = sealed(tmp_path)
    clock.now = LATER
    (ann,) = keys.of_subject("acme", ANN)
    keys.destroy("acme", ann)
    bodies, erased = read(tmp_path, keys)
    assert erased == {ann: 12}
    assert len(bodies) == 18
    assert not any(b'"ann"' in body for body in bodies)
    assert keys.of_subject("acme", ANN) == []
    assert len(keys.of_subject("acme", BOB)) == 1


def test_nothing_that_is_stored_names_a_person(tmp_path: Path):
    sealed(tmp_path)
    for path in tmp_path.rglob("*"):
        assert "ann" not in path.name.replace("channel", "")
        if path.is_file():
            assert b"ann" not in path.read_bytes()


def test_the_key_of_a_month_takes_those_of_its_people_with_it(tmp_path: Path):
    keys, clock = sealed(tmp_path)
    clock.now = LATER
    (month,) = keys.entries()
    (ann,) = keys.of_subject("acme", ANN)
    keys.destroy("acme", month.id)
    assert keys.opened("acme", ann) is None
    assert read(tmp_path, keys) == ([], {month.id: 30})


def test_a_key_is_not_destroyed_while_its_month_runs(tmp_path: Path):
    keys, _ = sealed(tmp_path)
    (ann,) = keys.of_subject("acme", ANN)
    with pytest.raises(Refused, match="its month is not over"):
        keys.destroy("acme", ann)


def test_sealing_again_gives_the_same_bytes_and_another_worker_finds_the_keys_of_the_first(tmp_path: Path):
    keys, clock = sealed(tmp_path)
    first = bytes_in(tmp_path / "archive")
    second = Clock()
    seal_in_batches(open_store(tmp_path / "again"), of_people(), [2], second, keys_at(tmp_path, second))
    assert bytes_in(tmp_path / "again") == first
    assert len(keys.of_subject("acme", ANN)) == 1
    assert clock.now == second.now


def test_what_comes_again_is_compared_with_what_was_sealed(tmp_path: Path):
    keys, clock = sealed(tmp_path)
    store, messages = open_store(tmp_path / "archive"), of_people()
    again = sealer(store, clock, keys=keys)
    again.add(1, messages[1])
    assert [message.known for message in again.seal().messages] == [True]
    forged = dict(messages)
    forged[1] = messages[1].replace(b"198.51.100.7", b"198.51.100.8")
    other = sealer(store, clock, keys=keys)
    other.add(1, forged[1])
    with pytest.raises(IntegrityError, match="other records"):
        other.seal()


def test_what_comes_again_of_somebody_erased_passes_and_what_stands_beside_is_compared(tmp_path: Path):
    keys, clock = sealed(tmp_path)
    clock.now = LATER
    keys.destroy("acme", keys.of_subject("acme", ANN)[0])
    store, messages = open_store(tmp_path / "archive"), of_people()
    again = sealer(store, clock, keys=keys)
    again.add(1, messages[1])
    assert [message.known for message in again.seal().messages] == [True]
    other = sealer(store, clock, keys=keys)
    other.add(1, messages[1].replace(b"no event 10", b"no event 11"))
    with pytest.raises(IntegrityError, match="other records"):
        other.seal()


def test_a_table_that_was_changed_is_refused_by_name(tmp_path: Path):
    keys, _ = sealed(tmp_path)
    (ann,) = keys.of_subject("acme", ANN)
    (file,) = (tmp_path / "datakeys" / "subjects").rglob(ann)
    file.chmod(0o600)
    file.write_bytes(file.read_bytes().replace(b'"v":1', b'"v":1,"x":2'))
    with pytest.raises(IntegrityError, match="table of subjects' keys"):
        read(tmp_path, keys)


def test_a_dead_letter_is_of_the_person_whose_record_is_in_it():
    letter = DeadLetter(
        stage="index", reason="x", message="x", refused_at=START, body=did("ann", 1), size=1, header=header()
    )
    assert principal_of(None, encode(letter)) == ANN


def test_services_and_what_can_not_be_read_are_nobodys():
    known = header()
    assert principal_of(known, did("ann", 1)) == ANN
    assert principal_of(known, by_service(1)) == ""
    assert principal_of(known, b"no event") == ""
    assert principal_of(None, did("ann", 1)) == ""


def cipher(name: str) -> Cipher:
    return Cipher(DataKey(name, name.encode().ljust(32, b".")))


@given(st.lists(st.tuples(st.binary(max_size=40), st.sampled_from(["", "a", "b", "c"])), max_size=30), st.data())
def test_any_grouping_comes_back_in_order_and_without_the_groups_whose_key_is_gone(
    records: list[tuple[bytes, str]], data: st.DataObject
):
    gone = data.draw(st.sets(st.sampled_from(["a", "b", "c"])))
    body = grouped.pack([r for r, _ in records], [cipher(who) if who else None for _, who in records], PLACE)
    found, lost = grouped.unpack(body, len(records), "here", lambda key: None if key in gone else cipher(key), PLACE)
    assert found == [None if who in gone else record for record, who in records]
    assert {group.key for group in lost} == gone & {who for _, who in records}


@given(st.binary(max_size=60))
def test_an_index_that_is_none_is_refused_as_damage(index: bytes):
    body = frames.pack([index, b"group", b"record"])
    with pytest.raises(IntegrityError):
        grouped.unpack(body, 1, "here", cipher, PLACE)


@pytest.mark.parametrize(
    "index",
    [
        b'{"groups":[]}',
        b'{"groups":[{"key":"a","records":[]},{"key":"b","records":[0]}]}',
        b'{"groups":[{"key":"a","records":[2]}]}',
        b'{"groups":[{"key":"a","records":[-1]}]}',
        b'{"groups":[{"key":"a","records":[0,0]}]}',
    ],
)
def test_an_index_that_contradicts_what_follows_is_refused_as_damage(index: bytes):
    with pytest.raises(IntegrityError, match="contradicts"):
        grouped.groups_of(frames.pack([index, b"group", b"record"]), 2 if b"[2]" in index or b"0,0" in index else 3, "")
