from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.schema.errors import IntegrityError, StoreUnavailable
from storage.archive.manifest import Manifest, manifest_key, parse, stream_prefix
from storage.archive.progress import MAX_GAPS, bounded
from storage.archive.seal_report import SealReport
from storage.archive.sealer import MAX_RUNS, PartitionSealer
from storage.settings import ArchiveSettings
from storage.verify.archive import check
from storage.verify.findings import Kind
from tests.storage.archive.faults import Fault, FaultyStore
from tests.storage.archive.samples import (
    TOPIC,
    Clock,
    assert_complete_and_clean,
    message,
    open_store,
    seal_in_batches,
    sealer,
    stream,
)


def feed(one: PartitionSealer, messages: dict[int, bytes]) -> SealReport:
    for offset, value in messages.items():
        one.add(offset, value)
    return one.seal()


def test_everything_added_is_sealed_and_reported(tmp_path: Path):
    messages = stream()
    report = feed(sealer(open_store(tmp_path)), messages)
    assert report.committed_through == 11
    assert report.records == sum(message.records for message in report.messages)
    assert [segment.namespace for segment in report.segments] == ["acme", "globex", "unreadable"]
    assert [message.offset for message in report.messages] == list(messages)
    assert {message.offset for message in report.messages if message.header is None} == {5}
    assert_complete_and_clean(tmp_path, messages)


def test_sealing_nothing_is_nothing(tmp_path: Path):
    assert sealer(open_store(tmp_path)).seal() == SealReport(committed_through=None)
    assert not list(tmp_path.iterdir())


def test_each_chain_covers_every_offset_of_the_partition(tmp_path: Path):
    store = open_store(tmp_path)
    seal_in_batches(store, stream(12), [3, 7], Clock())
    ranges = []
    for key in store.keys(stream_prefix("globex", TOPIC, 0)):
        if key.endswith(".manifest.json"):
            manifest = parse(store.get(key) or b"", key)
            ranges.append((manifest.covers.first_offset, manifest.covers.last_offset))
    assert ranges == [(0, 3), (4, 7), (8, 11)]


def test_a_namespace_that_comes_late_covers_from_the_start_of_the_partition(tmp_path: Path):
    store = open_store(tmp_path)
    one = sealer(store)
    feed(one, {7: message("acme", b"a")})
    feed(one, {8: message("late", b"b")})
    key = manifest_key(stream_prefix("late", TOPIC, 0), 0)
    assert parse(store.get(key) or b"", key).covers.first_offset == 7
    assert list(check(tmp_path)) == []


@pytest.mark.parametrize(
    ("limits", "due_after"),
    [
        ({"segment_max_records": 3}, 3),
        ({"segment_max_bytes": 10}, 2),
        ({}, None),
    ],
)
def test_a_batch_is_due_by_records_or_bytes(tmp_path: Path, limits: dict[str, int], due_after: int | None):
    one = sealer(open_store(tmp_path), settings=ArchiveSettings(**limits))  # type: ignore[arg-type]
    due = None
    for offset in range(5):
        one.add(offset, message("acme", b"x" * 5))
        if one.due() and due is None:
            due = offset + 1
    assert due == due_after


def test_a_batch_is_due_by_age_and_by_a_clock_set_back(tmp_path: Path):
    clock = Clock()
    one = sealer(open_store(tmp_path), clock)
    assert not one.due()
    one.add(0, message("acme", b"x"))
    clock.pass_(4.9)
    assert not one.due()
    clock.pass_(0.1)
    assert one.due()
    clock.pass_(-10)
    assert one.due()
    one.seal()
    assert not one.due()


def test_what_comes_again_is_known_and_not_sealed_twice(tmp_path: Path):
    store, messages = open_store(tmp_path), stream()
    feed(sealer(store), messages)
    report = feed(sealer(store), messages | {12: message("acme", b"new")})
    assert report.records == 1
    assert [message.offset for message in report.messages if not message.known] == [12]
    assert_complete_and_clean(tmp_path, messages | {12: message("acme", b"new")})


def test_a_message_added_twice_is_buffered_once(tmp_path: Path):
    one = sealer(open_store(tmp_path))
    one.add(0, message("acme", b"a"))
    one.add(0, message("acme", b"a"))
    assert one.seal().records == 1
    one.add(1, message("acme", b"a"))
    with pytest.raises(IntegrityError, match="two under one offset"):
        one.add(1, message("acme", b"b"))


@pytest.mark.parametrize("value", [message("acme", b"other"), message("acme", b"a", b"b"), b"poison"])
def test_a_topic_made_anew_stops_the_sealer_instead_of_being_skipped(tmp_path: Path, value: bytes):
    store = open_store(tmp_path)
    feed(sealer(store), {0: message("acme", b"a"), 1: b"\x09bad"})
    with pytest.raises(IntegrityError, match="holds other records") as caught:
        feed(sealer(store), {0: value})
    assert f"{TOPIC}/0/0" in caught.value.where
    assert "new archive.directory" in caught.value.mend


def test_offsets_before_the_start_of_the_archive_are_refused(tmp_path: Path):
    store = open_store(tmp_path)
    feed(sealer(store), {100: message("acme", b"a")})
    with pytest.raises(IntegrityError, match="starts at offset 100"):
        feed(sealer(store), {99: message("globex", b"b")})


def test_offsets_that_kafka_never_delivered_are_stated_and_found(tmp_path: Path):
    store = open_store(tmp_path)
    feed(sealer(store), {0: message("acme", b"a"), 1: message("globex", b"b")})
    report = feed(sealer(store), {5: message("acme", b"c"), 8: message("acme", b"d")})
    assert report.gaps == ((2, 4), (6, 7))
    assert feed(sealer(store), {9: message("globex", b"e"), 10: message("acme", b"f")}).gaps == ()
    findings = list(check(tmp_path))
    assert {(finding.kind, finding.namespace, finding.offset) for finding in findings} == {
        (Kind.GAP, namespace, offset) for namespace in ("acme", "globex") for offset in (2, 6)
    }


def test_what_was_sealed_between_old_gaps_is_not_called_undelivered(tmp_path: Path):
    store = open_store(tmp_path)
    feed(sealer(store), {0: message("globex", b"a"), 1: message("acme", b"b")})
    for offset in range(3, 15, 2):
        feed(sealer(store), {offset: message("acme", b"r%d" % offset)})
    feed(sealer(store), {15: message("globex", b"z")})
    told = [each.detail for each in check(tmp_path) if each.namespace == "globex"]
    some, *exact = told
    assert some == "Kafka never delivered some of the offsets 2 to 8"
    assert exact == [f"Kafka never delivered offsets {offset} to {offset}" for offset in (10, 12, 14)]


def test_many_gaps_stay_bounded_without_hiding_one():
    gaps = bounded([(10 * i, 10 * i + 1) for i in range(MAX_GAPS + 5)])
    assert len(gaps) == MAX_GAPS
    assert gaps[0] == (0, 51)
    assert gaps[-1] == (10 * (MAX_GAPS + 4), 10 * (MAX_GAPS + 4) + 1)


def manifests_of(root: Path, namespace: str = "acme") -> list[Manifest]:
    store = open_store(root)
    keys = [key for key in store.keys(stream_prefix(namespace, TOPIC, 0)) if key.endswith(".manifest.json")]
    return [parse(store.get(key) or b"", key) for key in keys]


def test_what_is_too_much_for_one_segment_is_sealed_as_several(tmp_path: Path):
    messages = {offset: message("acme", *([b"r"] * (offset % 7 + 1)), second=offset) for offset in range(130)}
    report = feed(sealer(open_store(tmp_path)), messages)
    assert [each.offset for each in report.messages] == list(messages)
    assert (report.committed_through, len(report.segments)) == (129, 7)
    assert max(len(each.positions) for each in manifests_of(tmp_path)) == MAX_RUNS
    assert_complete_and_clean(tmp_path, messages)


def test_messages_of_one_size_make_one_segment_however_many_they_are(tmp_path: Path):
    messages = {offset: message("acme", b"r%d" % offset) for offset in range(1000)}
    report = feed(sealer(open_store(tmp_path)), messages)
    assert (report.committed_through, len(report.segments)) == (999, 1)
    assert_complete_and_clean(tmp_path, messages)


def test_of_two_namespaces_in_one_partition_each_has_its_own_runs(tmp_path: Path):
    messages = {offset: message(("acme", "globex")[offset % 2], b"r%d" % offset) for offset in range(4 * MAX_RUNS)}
    report = feed(sealer(open_store(tmp_path)), messages)
    assert [(each.namespace, each.records) for each in report.segments] == [("acme", 20), ("globex", 20)] * 2
    assert_complete_and_clean(tmp_path, messages)


def test_of_many_gaps_at_once_each_is_told_exactly(tmp_path: Path):
    messages = {offset: message("acme", b"r%d" % offset) for offset in range(0, 60, 2)}
    report = feed(sealer(open_store(tmp_path)), messages)
    assert report.gaps == tuple((offset, offset) for offset in range(1, 58, 2))
    assert max(len(each.partition.gaps) for each in manifests_of(tmp_path)) == MAX_GAPS
    findings = list(check(tmp_path))
    assert {each.kind for each in findings} == {Kind.GAP}
    assert sorted(each.offset for each in findings if each.offset is not None) == list(range(1, 58, 2))


@pytest.mark.parametrize("fault", ["lost", "applied"])
@pytest.mark.parametrize("at", [9, 11, 13, 16])
def test_what_was_sealed_before_the_store_went_away_is_told_when_it_is_back(tmp_path: Path, at: int, fault: Fault):
    messages = {offset: message("acme", *([b"r%d" % offset] * (offset % 2 + 1))) for offset in range(3 * MAX_RUNS)}
    one = sealer(FaultyStore(open_store(tmp_path), at, fault))
    with pytest.raises(StoreUnavailable):
        feed(one, messages)
    report = one.seal()
    assert [(each.offset, each.known) for each in report.messages] == [(offset, False) for offset in messages]
    assert (report.committed_through, len(report.segments)) == (max(messages), 3)
    assert_complete_and_clean(tmp_path, messages)


def test_a_slower_sealer_of_the_same_partition_loses_and_nothing_is_doubled(tmp_path: Path):
    store, messages, clock = open_store(tmp_path), stream(), Clock()
    slow, fast = sealer(store, clock), sealer(store, clock)
    slow.restore()
    for offset in range(6):
        slow.add(offset, messages[offset])
    fast.restore()
    clock.pass_(1)
    feed(fast, {offset: messages[offset] for offset in range(4)})
    clock.pass_(1)
    report = slow.seal()
    assert {message.offset for message in report.messages if not message.known} == {4, 5}
    feed(fast, {offset: messages[offset] for offset in range(4, 12)})
    assert_complete_and_clean(tmp_path, messages)


def test_two_threads_that_seal_at_once_seal_once(tmp_path: Path):
    messages = stream(40)
    one = sealer(open_store(tmp_path))
    for offset, value in messages.items():
        one.add(offset, value)
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: one.seal(), range(4)))
    assert [report.committed_through for report in reports if report.messages] == [39]
    assert_complete_and_clean(tmp_path, messages)


def test_an_archive_that_grows_while_it_is_checked_is_clean(tmp_path: Path):
    messages = stream(60)
    with ThreadPoolExecutor(1) as pool:
        sealing = pool.submit(seal_in_batches, open_store(tmp_path), messages, range(60), Clock())
        checks = 0
        while not sealing.done() or checks == 0:
            assert list(check(tmp_path)) == []
            checks += 1
        sealing.result(timeout=60)
    assert_complete_and_clean(tmp_path, messages)


def test_a_foreign_manifest_that_blocks_the_chain_stops_the_sealer(tmp_path: Path):
    store = open_store(tmp_path)
    store.put(manifest_key(stream_prefix("acme", TOPIC, 0), 0), b"{}")
    with pytest.raises(IntegrityError, match="reading manifest"):
        feed(sealer(store), {0: message("acme", b"a")})


def test_other_bytes_under_the_name_of_a_part_stop_the_sealer(tmp_path: Path):
    other, store = open_store(tmp_path / "other"), open_store(tmp_path / "archive")
    feed(sealer(other), {0: message("acme", b"a")})
    body = next(key for key in other.keys("acme/") if key.endswith(".ndz"))
    store.put(body, b"something else")
    with pytest.raises(IntegrityError, match="again and again"):
        feed(sealer(store), {0: message("acme", b"a")})


@pytest.mark.parametrize("part", [".ndz", ".leaves", ".headers"])
def test_a_damaged_last_segment_is_noticed_at_start(tmp_path: Path, part: str):
    store = open_store(tmp_path)
    feed(sealer(store), stream())
    path = next(path for path in (tmp_path / stream_prefix("acme", TOPIC, 0)).iterdir() if path.name.endswith(part))
    path.chmod(0o640)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match="was changed"):
        sealer(store).restore()
    path.unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        sealer(store).restore()


def test_a_removed_manifest_is_noticed_at_start(tmp_path: Path):
    store = open_store(tmp_path)
    seal_in_batches(store, stream(), [3, 7], Clock())
    (tmp_path / manifest_key(stream_prefix("acme", TOPIC, 0), 2)).unlink()
    with pytest.raises(IntegrityError, match="manifest 2 is missing"):
        sealer(store).restore()


@pytest.mark.parametrize("hint", [None, b"", b"[]", b'{"seq":"x"}', b'{"manifest":"00","seq":0,"v":1}'])
def test_the_hint_may_be_missing_broken_or_old(tmp_path: Path, hint: bytes | None):
    store, messages = open_store(tmp_path), stream()
    seal_in_batches(store, messages, [3, 7], Clock())
    head = tmp_path / stream_prefix("acme", TOPIC, 0) / "head.json"
    head.unlink()
    if hint is not None:
        head.write_bytes(hint)
    one = sealer(store)
    one.restore()
    assert one.through == 11
    messages[12] = message("acme", b"next")
    feed(one, {12: messages[12]})
    assert json.loads(head.read_bytes())["seq"] == 3
    assert_complete_and_clean(tmp_path, messages)


@given(edges=st.sets(st.integers(0, 15)), again=st.integers(0, 15), second=st.sets(st.integers(0, 15)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batch_edges_and_replays_never_change_what_is_sealed(
    tmp_path_factory: pytest.TempPathFactory, edges: set[int], again: int, second: set[int]
):
    root = tmp_path_factory.mktemp("archive")
    messages, clock = stream(16), Clock()
    first_part = {offset: messages[offset] for offset in range(12)}
    seal_in_batches(open_store(root), first_part, edges, clock)
    rest = {offset: value for offset, value in messages.items() if offset >= min(again, 12)}
    seal_in_batches(open_store(root), rest, second, clock)
    assert_complete_and_clean(root, messages)
