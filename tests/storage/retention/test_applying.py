"""Carrying out a plan on an archive of files: stopped or failing at any step it ends complete, and never too much."""

from __future__ import annotations

import copy
import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingest.schema.errors import IndexUnavailable, Refused, StoreUnavailable
from skytrail.deleting import spanned, unsound
from storage.archive.manifest import digest
from storage.archive.store import ArchiveStore
from storage.retention.applying import Applier, Approved, Indices, Means, Outcome, Result
from storage.retention.approval import Request, approve, ask
from storage.retention.entries import Hold, Selector, entry_of, policy_entry
from storage.retention.inventory import chains
from storage.retention.plan import IndexFacts, Plan, chain_items, index_item, make_plan
from storage.retention.policy import Policy
from storage.retention.record import Record, State
from storage.verify.archive import check
from storage.verify.findings import Grade
from streams.naming import dataset_of
from tests.storage.archive.samples import TOPIC, Clock, seal_in_batches, stream
from tests.storage.ledger.test_notary import chains_in, notary_in, store_in
from tests.storage.retention.people import PEOPLE, SIGNERS
from tests.storage.retention.samples import moment, policy

INDEX = "logs-aws.cloudtrail-acme-2026.03.01"
LATER = moment("2027-11-27")
RULE: dict[str, Any] = {"name": "all", "cold": "P1Y", "hot": "P3M"}


class Killed(BaseException):
    """The process ends here."""


class Indexes:
    """Elasticsearch, as far as retention asks it; `fault` breaks one drop, before ("lost") or after it happened."""

    def __init__(self, **present: IndexFacts) -> None:
        self.present = present
        self.fault = ""

    def facts(self, name: str, state: State) -> IndexFacts | None:
        del state
        return self.present.get(name)

    def drop(self, name: str, uuid: str) -> None:
        fault, self.fault = self.fault, ""
        if fault == "refused":
            raise Refused("dropping: 403")
        if fault != "lost" and name in self.present and self.present[name].uuid == uuid:
            del self.present[name]
        if fault:
            raise IndexUnavailable(f"injected: {fault}")


class Stops:
    """A store that does its n-th write or deletion, or loses it, and then ends the process or fails."""

    def __init__(self, store: ArchiveStore, at: int, fault: str, error: type[BaseException], within: str = "") -> None:
        self._store, self._left, self._fault, self._error, self._within = store, at, fault, error, within

    def _step(self, key: str, act: Callable[[], Any]) -> Any:
        self._left -= key.startswith(self._within)
        if self._left != 0 or not key.startswith(self._within):
            return act()
        if self._fault == "applied":
            act()
        raise self._error("injected")

    def put(self, key: str, body: bytes, until: dt.datetime | None = None) -> None:
        self._step(key, lambda: self._store.put(key, body, until))

    def swap(self, key: str, expected: bytes | None, body: bytes) -> bool:
        return bool(self._step(key, lambda: self._store.swap(key, expected, body)))

    def delete(self, key: str) -> None:
        self._step(key, lambda: self._store.delete(key))

    def destroy(self, key: str) -> None:
        self._step(key, lambda: self._store.destroy(key))

    def get(self, key: str) -> bytes | None:
        return self._store.get(key)

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        return self._store.keys(prefix, after)

    def folders(self, prefix: str) -> list[str]:
        return self._store.folders(prefix)

    def probe(self) -> list[str]:
        return []


class Locks(Stops):
    """A store that keeps one object whatever anybody asks."""

    def __init__(self, store: ArchiveStore, key: str) -> None:
        super().__init__(store, 0, "", Killed)
        self._key = key

    def destroy(self, key: str) -> None:
        if key == self._key:
            raise Refused("destroying archive object: its lock ends at 2099-01-01T00:00:00Z", where=key)
        super().destroy(key)


class Scene:
    """A sealed namespace under a policy, and an index with some of its records."""

    def __init__(self, root: Path) -> None:
        self.moved_to(root)
        seal_in_batches(self.store, stream(6), range(6), self.clock)
        notary_in(root, self.clock).record(chains_in(root))
        self.adopt(policy(RULE))

    def moved_to(self, root: Path) -> None:
        """Take what lies in a directory, and an Elasticsearch of its own."""
        self.root = root
        self.clock = Clock()
        self.store: ArchiveStore = store_in(root)
        facts = IndexFacts(name=INDEX, uuid="u1", documents=3, bytes=9, reach={(TOPIC, 0): (1, 2)})
        self.indices = Indexes(**{INDEX: facts})
        self.witnessed = True

    def record(self) -> Record:
        """As a process reads it that starts anew."""
        notary = notary_in(self.root, self.clock)
        notary._store = self.store
        return Record(self.store, notary.log("acme"))

    def adopt(self, told: Policy) -> None:
        self.record().enter(lambda s: [] if s.policy == told else [policy_entry("acme", self.clock(), told)])

    def hold(self, **selector: Any) -> None:
        told = Hold(id="case-7", at="", reason="x", placed_by="alice", selector=Selector(**selector))
        self.record().enter(lambda s: [] if s.holds else [entry_of("acme", self.clock(), told)])

    def means(self, now: dt.datetime) -> Means:
        indices: Indices = self.indices
        return Means(
            store=self.store,
            indices=indices,
            dataset_of=dataset_of,
            unsound=lambda *place: unsound(self.store, *place),
            spanned=lambda *place: spanned(self.store, *place),
            witnessed=lambda _namespace, _size: self.witnessed,
            clock=lambda: now,
        )

    def plan(self, now: dt.datetime = LATER) -> Plan:
        record = self.record()
        state, tips = record.now(), record.log.state().tips
        items = []
        for chain in chains(self.store, "acme", tips, state.destroyed(), dataset_of):
            items += chain_items("acme", chain, state, now)
        sealed = {place: tip.last_offset for place, tip in tips.items()}
        for facts in self.indices.present.values():
            items += filter(None, [index_item(facts, state, sealed, now)])
        return make_plan(now, {"acme": state}, items)

    def apply(self, plan: Plan, now: dt.datetime = LATER, request: str = "") -> list[Result]:
        applier = Applier(self.record(), self.means(now), Approved(digest(plan.encode()), request))
        return [*applier.finish(), *(result for item in plan.items for result in applier.apply(item))]

    def bodies(self) -> set[int]:
        """Numbers of the segments whose records are there."""
        folder = self.root / "archive" / "acme" / "seg" / TOPIC / "0"
        return {int(path.name[:12]) for path in folder.glob("*.ndz")}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def whole(scene: Scene) -> None:
    """The end: index and old segments are gone, each with a tombstone and a receipt, and the newest segment stays."""
    assert scene.indices.present == {}
    assert scene.bodies() == {max(scene.bodies())}
    state = scene.record().now()
    assert state.unfinished() == []
    assert {stone.tier for stone in state.tombstones.values()} == {"hot", "cold"}
    gone = state.destroyed()[TOPIC, 0]
    assert gone == set(range(len(gone)))
    assert list(check(scene.root / "archive")) == []


def test_what_is_over_is_destroyed_and_the_archive_verifies(scene: Scene) -> None:
    results = scene.apply(scene.plan())
    assert {result.outcome for result in results} == {Outcome.DONE}
    whole(scene)


def test_applying_again_does_nothing(scene: Scene) -> None:
    plan = scene.plan()
    scene.apply(plan)
    size = scene.record().log.state().edge.size
    again = scene.apply(plan)
    assert {result.outcome for result in again} <= {Outcome.SKIPPED}
    assert scene.record().log.state().edge.size == size
    whole(scene)


def no_tampering(scene: Scene) -> None:
    """An append that was stopped may be told, and nothing else."""
    assert [finding for finding in check(scene.root / "archive") if finding.grade is not Grade.INCOMPLETE] == []


def test_killed_before_any_write_the_next_run_ends_the_same(tmp_path: Path) -> None:
    made = Scene(tmp_path / "made")
    plan = made.plan()
    for step in range(1, 100):
        shutil.copytree(tmp_path / "made", tmp_path / str(step))
        scene = copy.copy(made)
        scene.moved_to(tmp_path / str(step))
        sound, killed = scene.store, False
        scene.store = Stops(sound, step, "lost", Killed)
        try:
            scene.apply(plan)
        except Killed:
            killed = True
        scene.store = sound
        no_tampering(scene)
        scene.apply(plan)
        whole(scene)
        if not killed:
            assert step > 20  # it was killed before every one of them
            return
    pytest.fail("it never came to its end")


@pytest.mark.parametrize("fault", ["lost", "applied"])
@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_deletion_that_the_store_fails_is_told_and_finished_by_the_next_run(
    scene: Scene, fault: str, step: int
) -> None:
    plan, sound = scene.plan(), scene.store
    scene.store = Stops(sound, step, fault, StoreUnavailable, within=f"acme/seg/{TOPIC}/")
    results = scene.apply(plan)
    assert [result.outcome for result in results] == [Outcome.DONE, Outcome.NOT_EXECUTED]
    scene.store = sound
    no_tampering(scene)
    scene.apply(plan)
    whole(scene)


def test_what_the_store_keeps_is_told_and_the_others_of_its_group_are_destroyed(scene: Scene) -> None:
    plan, sound = scene.plan(), scene.store
    before = scene.bodies()
    locked = next(key for key in sound.keys(f"acme/seg/{TOPIC}/0/000000000001-") if key.endswith(".ndz"))
    scene.store = Locks(sound, locked)
    for _ in range(2):
        told = [result for result in scene.apply(plan) if result.outcome is Outcome.NOT_EXECUTED]
        assert told
        assert all("the store keeps 1 of 2 segments" in result.detail for result in told)
        assert scene.bodies() == {1, max(before)}
        assert unsound(sound, "acme", TOPIC, 0, 1) == ""
        assert len(scene.record().now().unfinished()) == 1
        no_tampering(scene)
    scene.store = sound
    scene.apply(plan)
    whole(scene)


@pytest.mark.parametrize("fault", ["lost", "applied", "refused"])
def test_an_index_that_was_not_dropped_is_told_and_finished_by_the_next_run(scene: Scene, fault: str) -> None:
    plan = scene.plan()
    scene.indices.fault = fault
    results = scene.apply(plan)
    (told,) = [result for result in results if result.outcome is Outcome.NOT_EXECUTED]
    assert told.place == INDEX
    assert len(scene.record().now().unfinished()) == 1
    scene.apply(plan)
    whole(scene)


def test_a_hold_that_is_placed_between_plan_and_apply_is_in_time(scene: Scene) -> None:
    plan, before = scene.plan(), scene.bodies()
    scene.hold()
    results = scene.apply(plan)
    assert {result.outcome for result in results} == {Outcome.SKIPPED}
    assert all("legal hold case-7" in result.detail for result in results)
    assert scene.bodies() == before
    assert INDEX in scene.indices.present
    assert scene.record().now().tombstones == {}


def test_a_hold_that_is_placed_after_the_tombstone_stops_the_deletion(scene: Scene) -> None:
    plan, before = scene.plan(), scene.bodies()
    scene.witnessed = False
    assert {result.outcome for result in scene.apply(plan)} == {Outcome.WAITS}
    assert scene.bodies() == before
    scene.hold()
    scene.witnessed = True
    results = scene.apply(plan)
    assert {result.outcome for result in results} == {Outcome.SKIPPED}
    assert scene.bodies() == before
    assert INDEX in scene.indices.present


def test_without_witnesses_nothing_is_deleted_and_the_next_run_goes_on(scene: Scene) -> None:
    plan = scene.plan()
    scene.witnessed = False
    assert {result.outcome for result in scene.apply(plan)} == {Outcome.WAITS}
    assert INDEX in scene.indices.present
    scene.witnessed = True
    scene.apply(plan)
    whole(scene)


def test_a_plan_for_the_future_destroys_nothing_now(scene: Scene) -> None:
    plan, before = scene.plan(LATER), scene.bodies()
    results = scene.apply(plan, now=moment("2026-03-02"))
    assert {result.outcome for result in results} == {Outcome.SKIPPED}
    assert all("keeps" in result.detail for result in results)
    assert scene.bodies() == before


def test_a_policy_that_became_longer_after_the_plan_counts(scene: Scene) -> None:
    plan, before = scene.plan(), scene.bodies()
    scene.adopt(policy(RULE | {"cold": "P9Y", "hot": "P9Y"}))
    assert {result.outcome for result in scene.apply(plan)} == {Outcome.SKIPPED}
    assert scene.bodies() == before


def test_a_segment_that_is_not_as_it_was_sealed_stays_and_so_does_its_index(scene: Scene) -> None:
    plan = scene.plan()
    path = sorted((scene.root / "archive" / "acme" / "seg" / TOPIC / "0").glob("*.ndz"))[1]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    results = scene.apply(plan)
    skipped = [result for result in results if result.outcome is Outcome.SKIPPED]
    assert {result.place for result in skipped} == {INDEX, f"acme/seg/{TOPIC}/0/1"}
    assert 1 in scene.bodies()
    assert 0 not in scene.bodies()
    assert INDEX in scene.indices.present


def test_an_index_that_was_made_anew_under_the_name_stays(scene: Scene) -> None:
    plan = scene.plan()
    scene.indices.present[INDEX] = IndexFacts(name=INDEX, uuid="u2", documents=1, bytes=1)
    scene.apply(plan)
    assert scene.indices.present[INDEX].uuid == "u2"


def test_where_the_policy_asks_for_approvals_two_others_must_agree_to_this_very_plan(scene: Scene) -> None:
    scene.adopt(policy(RULE, people=PEOPLE, approvals={"expiry": 2}))
    scene.apply(scene.plan())  # the index goes, the archive has all of it
    assert scene.indices.present == {}
    plan = scene.plan()
    asked = Request(
        action="expiry",
        namespace="acme",
        subject=digest(plan.encode()),
        reason="monthly",
        requested_by="alice",
        at="2027-11-27",
    )
    one = approve(ask(asked, SIGNERS["alice"]), SIGNERS["bob"], "test")
    other = ask(msgspec.structs.replace(asked, subject="another plan"), SIGNERS["alice"])
    for request in ("", one.decode(), other.decode()):
        results = scene.apply(plan, request=request)
        assert {result.outcome for result in results} == {Outcome.SKIPPED}
    assert {stone.tier for stone in scene.record().now().tombstones.values()} == {"hot"}
    two = approve(one, SIGNERS["carol"], "test").decode()
    assert {result.outcome for result in scene.apply(plan, request=two)} == {Outcome.DONE}
    assert {stone.request for stone in scene.record().now().tombstones.values() if stone.tier == "cold"} == {two}
    whole(scene)
