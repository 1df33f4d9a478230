from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from ingest.schema.envelope import Envelope, Position, encode
from ingest.schema.errors import IntegrityError, Refused
from storage.archive.objects import get_object, put_object
from storage.archive.reader import ArchiveReader
from storage.verify.archive import check
from storage.verify.findings import Kind
from tests.storage.archive.samples import (
    START,
    TOPIC,
    Clock,
    header,
    message,
    open_store,
    seal_in_batches,
    sealer,
    stream,
)
from tests.storage.datakeys.samples import made_keys


@pytest.fixture
def reader(tmp_path: Path) -> ArchiveReader:
    store = open_store(tmp_path)
    seal_in_batches(store, stream(12), [3, 7], Clock())
    put_object(store, "acme", b"huge")
    put_object(store, "initech", b"only an object")
    return ArchiveReader(store)


def test_namespaces_are_those_with_sealed_records(reader: ArchiveReader):
    assert reader.namespaces() == ["acme", "globex", "unreadable"]


def test_records_come_in_the_order_of_their_positions(reader: ArchiveReader):
    positions = [record.position for record in reader.records("acme")]
    assert positions == sorted(positions)
    assert positions[:3] == [Position(TOPIC, 0, 1, 0), Position(TOPIC, 0, 1, 1), Position(TOPIC, 0, 2, 0)]


def test_records_carry_what_their_envelope_said(tmp_path: Path):
    store = open_store(tmp_path)
    one = sealer(store)
    one.add(0, encode(Envelope(header=header("acme"), records=(b"a", b"b", b"b"), repeats={2: 1})))
    one.seal()
    records = list(ArchiveReader(store).records("acme"))
    assert [(record.body, record.repeat) for record in records] == [(b"a", 0), (b"b", 0), (b"b", 1)]
    assert {record.header for record in records} == {header("acme")}


def test_a_time_range_is_half_open_and_by_receive_time(reader: ArchiveReader):
    since, until = START + dt.timedelta(seconds=4), START + dt.timedelta(seconds=8)
    offsets = {record.position.offset for record in reader.records("acme", since=since, until=until)}
    assert offsets == {4, 7}
    assert {record.position.offset for record in reader.records("globex", since=since, until=until)} == {6}


def test_unreadable_messages_have_no_time_and_no_format(reader: ArchiveReader):
    late = START + dt.timedelta(days=1)
    assert [record.body for record in reader.records("unreadable", since=late)] == [b"\x07 not an envelope"]
    assert list(reader.records("unreadable", formats=["aws.cloudtrail"])) == []


def test_formats_are_selected(reader: ArchiveReader):
    assert len(list(reader.records("acme", formats=["aws.cloudtrail"]))) == len(list(reader.records("acme")))
    assert list(reader.records("acme", formats=["kubernetes.audit"])) == []


def test_a_record_is_found_by_its_position(reader: ArchiveReader):
    for namespace in reader.namespaces():
        for record in reader.records(namespace):
            assert reader.record_at(record.position) == record


@pytest.mark.parametrize(("offset", "index"), [(1, 2), (12, 0), (99, 0)])
def test_where_nothing_is_none_is_found(reader: ArchiveReader, offset: int, index: int):
    assert reader.record_at(Position(TOPIC, 0, offset, index)) is None
    assert reader.record_at(Position("another.topic", 0, offset, index)) is None


def test_a_damaged_segment_is_not_read_as_if_it_were_whole(tmp_path: Path):
    store = open_store(tmp_path)
    one = sealer(store)
    one.add(0, message("acme", b"a"))
    one.seal()
    body = next(tmp_path.rglob("*.ndz"))
    body.chmod(0o640)
    body.write_bytes(b"")
    with pytest.raises(IntegrityError, match="was changed"):
        list(ArchiveReader(store).records("acme"))


def test_a_whole_object_is_kept_once_under_its_hash(tmp_path: Path):
    store = open_store(tmp_path)
    key = put_object(store, "acme", b"x" * 1000)
    assert put_object(store, "acme", b"x" * 1000) == key
    assert key.startswith("acme/obj/")
    assert store.get(key) == b"x" * 1000


def test_a_whole_object_is_encrypted_under_the_key_of_its_month_and_read_back(tmp_path: Path):
    store, keys = open_store(tmp_path / "archive"), made_keys(tmp_path / "datakeys")
    body = b"skytrail" * 1000
    key = put_object(store, "acme", body, keys, START)
    assert put_object(store, "acme", body, keys, START) == key
    assert key.endswith(".enc")
    stored = store.get(key)
    assert stored is not None
    assert b"skytrail" not in stored
    assert get_object(store, key, keys) == body
    assert list(check(tmp_path / "archive")) == []
    with pytest.raises(Refused, match="data key"):
        get_object(store, key)
    (entry,) = keys.entries()
    keys.table.remove("acme", entry.id)
    with pytest.raises(Refused, match=entry.id):
        get_object(store, key, keys)


def test_a_changed_encrypted_object_is_refused_and_found(tmp_path: Path):
    store, keys = open_store(tmp_path / "archive"), made_keys(tmp_path / "datakeys")
    key = put_object(store, "acme", b"body", keys, START)
    path = tmp_path / "archive" / key
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(IntegrityError):
        get_object(store, key, keys)
    assert [finding.kind for finding in check(tmp_path / "archive")] == [Kind.ALTERED]


def test_a_segment_of_many_sources_that_is_out_of_the_asked_time_is_not_opened(tmp_path: Path):
    store = open_store(tmp_path)
    one = sealer(store)
    for offset in range(30):
        one.add(offset, message("acme", b"r%d" % offset, second=offset, locator=f"bucket/{offset:0100}"))
    one.seal()
    one.add(30, message("acme", b"last", second=7200))
    one.seal()
    reader = ArchiveReader(store)
    body = tmp_path / next(key for key in store.keys("acme/") if key.endswith(".ndz"))
    body.chmod(0o600)
    body.write_bytes(b"whoever reads this body fails")
    assert [record.body for record in reader.records("acme", since=START + dt.timedelta(hours=1))] == [b"last"]
    with pytest.raises(IntegrityError):
        list(reader.records("acme", since=START))
