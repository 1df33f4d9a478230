"""Holds of the store follow those of the ledger, object by object, and are asked for no more than needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.schema.errors import StoreUnavailable
from skytrail.retaining import Retaining
from storage.archive.stores.filesystem import FilesystemStore
from storage.retention.entries import Hold, Release, Selector
from storage.retention.plan import ChainFacts, SegmentFacts
from storage.retention.record import State
from storage.retention.store_holds import Step, StoreHolds
from tests.storage.archive.buckets import bucket_store, client
from tests.storage.archive.samples import START, TOPIC, Clock, open_store, seal_in_batches, stream
from tests.storage.ledger.test_notary import chains_in, notary_in
from tests.storage.retention.samples import moment

KEY = "acme/seg/topic/0/000000000000-aa.ndz"


class Holding(FilesystemStore):
    """A store that holds objects in memory; `calls` counts what is asked of it, `broken` breaks the next one."""

    holds_objects = True

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.kept: set[str] = set()
        self.calls = 0
        self.broken = False

    def hold(self, key: str, *, on: bool) -> bool:
        self.calls += 1
        if self.broken:
            raise StoreUnavailable("injected: holding")
        changed = (key in self.kept) != on
        (self.kept.add if on else self.kept.discard)(key)
        return changed


@pytest.fixture
def store(tmp_path: Path) -> Holding:
    return Holding(tmp_path)


def hold(id_: str, **selector: object) -> Hold:
    return Hold(id=id_, at="", reason="x", placed_by="alice", selector=Selector(**selector))  # type: ignore[arg-type]


def state(*holds: Hold, released: tuple[str, ...] = ()) -> State:
    releases = {name: Release(id=name, at="", request="") for name in released}
    return State(holds={each.id: each for each in holds}, releases=releases)


def chain(count: int, dataset: str = "aws.cloudtrail") -> ChainFacts:
    """A segment of two objects each day of March."""
    segments = [
        SegmentFacts(
            seq=seq,
            n=1,
            stored=1,
            received=moment(f"2026-03-{seq + 1:02}"),
            root="",
            manifest="",
            objects=(f"{seq}.a", f"{seq}.b"),
        )
        for seq in range(count)
    ]
    return ChainFacts(topic=TOPIC, partition=0, dataset=dataset, segments=segments, last=count - 1, offset=count)


def keys(*numbers: int) -> set[str]:
    return {f"{number}.{part}" for number in numbers for part in "ab"}


def test_what_came_before_a_hold_begins_is_not_held_and_what_comes_later_is(store: Holding) -> None:
    holds, told = StoreHolds(store), state(hold("case", since="2026-03-03T00:00:00Z"))
    assert holds.keep_in_step("acme", [chain(4)], told) == Step(able=True, held=4)
    assert store.kept == keys(2, 3)
    calls = store.calls
    assert holds.keep_in_step("acme", [chain(4)], told) == Step(able=True)
    assert store.calls == calls  # nothing is new
    assert holds.keep_in_step("acme", [chain(6)], told) == Step(able=True, held=4)
    assert store.kept == keys(2, 3, 4, 5)


def test_a_released_hold_lets_go_of_what_no_other_hold_is_about(store: Holding) -> None:
    holds = StoreHolds(store)
    old, new = hold("old", since="2026-03-02T00:00:00Z"), hold("new", since="2026-03-04T00:00:00Z")
    holds.keep_in_step("acme", [chain(5)], state(old, new))
    assert store.kept == keys(1, 2, 3, 4)
    assert holds.keep_in_step("acme", [chain(5)], state(old, new, released=("old",))) == Step(able=True, freed=4)
    assert store.kept == keys(3, 4)
    holds.keep_in_step("acme", [chain(5)], state(old, new, released=("old", "new")))
    assert store.kept == set()


def test_what_somebody_let_go_of_is_held_again_by_the_next_process(store: Holding) -> None:
    told = state(hold("case"))
    StoreHolds(store).keep_in_step("acme", [chain(2)], told)
    store.kept.remove("1.a")
    assert StoreHolds(store).keep_in_step("acme", [chain(2)], told) == Step(able=True, held=1)
    assert store.kept == keys(0, 1)


def test_a_hold_of_other_data_sets_holds_nothing(store: Holding) -> None:
    told = state(hold("case", datasets=("gcp.*",)))
    assert StoreHolds(store).keep_in_step("acme", [chain(2)], told) == Step(able=True)
    assert store.kept == set()


def test_after_a_failure_the_same_call_holds_the_rest(store: Holding) -> None:
    holds, told = StoreHolds(store), state(hold("case"))
    store.broken = True
    with pytest.raises(StoreUnavailable):
        holds.keep_in_step("acme", [chain(2)], told)
    store.broken = False
    holds.keep_in_step("acme", [chain(2)], told)
    assert store.kept == keys(0, 1)


def test_a_directory_and_a_bucket_without_locks_say_that_they_can_not(tmp_path: Path) -> None:
    for store in (open_store(tmp_path), bucket_store("none")):
        assert StoreHolds(store).keep_in_step("acme", [chain(1)], state(hold("case"))) == Step(able=False)


def test_of_a_sealed_segment_all_objects_are_held(tmp_path: Path) -> None:
    clock, store = Clock(), Holding(tmp_path / "archive")
    seal_in_batches(store, stream(3), range(3), clock)
    notary = notary_in(tmp_path, clock)
    notary.record(chains_in(tmp_path)[:1])
    told = state(hold("case", since=START.isoformat()))
    step = StoreHolds(store).keep_in_step("acme", Retaining(store, notary).chains("acme"), told)
    folder = tmp_path / "archive" / "acme" / "seg" / TOPIC / "0"
    sealed = {f"acme/seg/{TOPIC}/0/{path.name}" for path in folder.iterdir() if path.name != "head.json"}
    assert store.kept == sealed
    assert step.held == len(sealed) > 4


def test_in_a_bucket_every_version_is_held_and_let_go_of() -> None:
    store = bucket_store("governance", lockable=True)
    store.put(KEY, b"sealed")
    store.delete(KEY)  # a marker hides it
    assert (store.hold(KEY, on=True), store.hold(KEY, on=True)) == (True, False)
    name = f"archive/of-all/{KEY}"
    (version,) = client().list_object_versions(Bucket=store._bucket, Prefix=name)["Versions"]

    def status() -> str:
        asked = {"Bucket": store._bucket, "Key": name, "VersionId": version["VersionId"]}
        return str(client().get_object_legal_hold(**asked)["LegalHold"]["Status"])

    assert status() == "ON"
    assert (store.hold(KEY, on=False), store.hold(KEY, on=False)) == (True, False)
    assert status() == "OFF"
    assert not store.hold("acme/none", on=True)
