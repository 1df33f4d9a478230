"""Rounds of rotation on an archive of files: nobody has to run them, and they do no more than `retention apply`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from storage.archive.manifest import digest
from storage.retention.applying import Outcome
from storage.retention.approval import Request, approve, ask
from storage.retention.offers import Offers, read_plan
from storage.retention.plan import IndexFacts
from storage.retention.rotation import Round, always, rotate
from storage.verify.archive import check
from tests.storage.archive.samples import TOPIC
from tests.storage.retention.people import PEOPLE, SIGNERS
from tests.storage.retention.samples import moment, policy
from tests.storage.retention.test_applying import INDEX, LATER, RULE, Locks, Scene, whole

BETWEEN = moment("2026-07-01")
"""The hot period is over, the cold one not."""


class Rotated(Scene):
    """The scene, with rounds."""

    def round(self, now: dt.datetime = LATER, *, go_on: bool = True) -> Round:
        offers = Offers(self.root / "state" / "retention")
        stop = always if go_on else lambda: False
        return rotate({"acme": self.record()}, self.means(now), self.plan(now), offers, stop)

    def sign(self, *others: str) -> None:
        """Ask for what waits, and let others agree, as `retention request` and `approve` do."""
        (path,) = (self.root / "state" / "retention").glob("*.plan.json")
        body, _ = read_plan(path)
        asked = Request(
            action="expiry", namespace="acme", subject=digest(body), reason="x", requested_by="alice", at="2027-11-27"
        )
        raw = ask(asked, SIGNERS["alice"])
        for name in others:
            raw = approve(raw, SIGNERS[name], "test")
        path.with_name("acme.request").write_bytes(raw)


@pytest.fixture
def scene(tmp_path: Path) -> Rotated:
    return Rotated(tmp_path)


def test_a_round_does_all_that_is_due_and_the_next_one_nothing(scene: Rotated) -> None:
    found = scene.round()
    assert {result.outcome for result in found.results} == {Outcome.DONE}
    assert (found.policies, found.waiting, found.overdue, found.whole) == (("acme",), [], dt.timedelta(), True)
    whole(scene)
    size = scene.record().log.state().edge.size
    assert scene.round().results == []
    assert scene.record().log.state().edge.size == size


def test_what_the_store_keeps_is_overdue_in_every_round_until_it_goes(scene: Rotated) -> None:
    sound = scene.store
    locked = next(key for key in sound.keys(f"acme/seg/{TOPIC}/0/000000000001-") if key.endswith(".ndz"))
    scene.store = Locks(sound, locked)
    for days in range(3):
        found = scene.round(LATER + dt.timedelta(days=days))
        assert found.count(Outcome.NOT_EXECUTED) == 1
        assert found.overdue > dt.timedelta(days=200 + days)
    scene.store = sound
    assert scene.round().overdue == dt.timedelta()
    whole(scene)


def test_what_is_hot_goes_before_the_archive_does(scene: Rotated) -> None:
    before = scene.bodies()
    assert [result.place for result in scene.round(BETWEEN).results] == [INDEX]
    assert scene.indices.present == {}
    assert scene.bodies() == before
    assert list(check(scene.root / "archive")) == []


def test_a_namespace_without_a_policy_is_left_alone(scene: Rotated) -> None:
    record = scene.record()
    plan = scene.plan()
    state = record.now()
    state.policies.clear()
    record.now = lambda: state  # type: ignore[method-assign]
    found = rotate({"acme": record}, scene.means(LATER), plan, Offers(scene.root / "state"))
    assert (found.policies, found.results, found.undecided) == ((), [], 0)
    assert INDEX in scene.indices.present


def test_destruction_that_two_must_agree_to_waits_and_the_index_goes_all_the_same(scene: Rotated) -> None:
    scene.adopt(policy(RULE, people=PEOPLE, approvals={"expiry": 2}))
    before = scene.bodies()
    found = scene.round()
    assert [(result.place, result.outcome) for result in found.results] == [(INDEX, Outcome.DONE)]
    (waiting,) = found.waiting
    assert "2 people must agree" in waiting.why
    assert {item.tier for item in waiting.offer.plan.items} == {"cold"}
    assert scene.bodies() == before
    assert found.overdue > dt.timedelta(days=200)
    assert list(check(scene.root / "archive")) == []  # an index alone is no destruction: the verifier agrees


def test_a_plan_that_waits_stays_byte_by_byte_until_enough_have_signed_it(scene: Rotated) -> None:
    scene.adopt(policy(RULE, people=PEOPLE, approvals={"expiry": 2}))
    (waiting,) = scene.round().waiting
    body = waiting.offer.path.read_bytes()
    scene.sign("bob")
    (waiting,) = scene.round(LATER + dt.timedelta(days=1)).waiting
    assert "2 people besides alice must agree, 1 did" in waiting.why
    assert waiting.offer.path.read_bytes() == body
    scene.sign("bob", "carol")
    found = scene.round(LATER + dt.timedelta(days=2))
    assert {result.outcome for result in found.results} == {Outcome.DONE}
    assert found.waiting == []
    whole(scene)
    scene.round(LATER + dt.timedelta(days=3))
    assert list((scene.root / "state" / "retention").iterdir()) == []


def test_signatures_under_one_plan_do_not_count_for_another(scene: Rotated) -> None:
    scene.adopt(policy(RULE, people=PEOPLE, approvals={"expiry": 1}))
    scene.round()
    scene.sign("bob")
    (path,) = (scene.root / "state" / "retention").glob("*.plan.json")
    _, plan = read_plan(path)
    path.write_bytes(msgspec.structs.replace(plan, at="2027-11-27T00:00:01.000000Z").encode())
    (waiting,) = scene.round().waiting
    assert "it is about expiry acme" in waiting.why


def test_a_hold_stops_a_round_and_is_not_overdue(scene: Rotated) -> None:
    scene.hold()
    before = scene.bodies()
    found = scene.round()
    assert (found.results, found.overdue) == ([], dt.timedelta())
    assert scene.bodies() == before
    assert INDEX in scene.indices.present


def test_an_index_that_is_not_sealed_is_told_as_blocked_and_overdue(scene: Rotated) -> None:
    facts = scene.indices.present[INDEX]
    scene.indices.present[INDEX] = msgspec.structs.replace(facts, reach={(TOPIC, 0): (1, 99)})
    found = scene.round(BETWEEN)
    assert [item.place for item in found.blocked] == [INDEX]
    assert found.overdue > dt.timedelta(days=25)
    assert INDEX in scene.indices.present


def test_a_worker_that_is_told_to_stop_begins_nothing_more_and_the_next_one_goes_on(scene: Rotated) -> None:
    found = scene.round(go_on=False)
    assert (found.results, found.whole) == ([], False)
    assert INDEX in scene.indices.present
    scene.round()
    whole(scene)


def test_two_leaders_at_once_destroy_everything_once(scene: Rotated) -> None:
    one, other = scene.record(), scene.record()
    plan, offers = scene.plan(), Offers(scene.root / "state")
    rotate({"acme": one}, scene.means(LATER), plan, offers)
    late = rotate({"acme": other}, scene.means(LATER), plan, offers)
    assert {result.outcome for result in late.results} <= {Outcome.SKIPPED}
    whole(scene)
    state = scene.record().now()
    assert len(state.tombstones) == len(state.receipts)


def test_an_index_that_only_elasticsearch_has_needs_the_agreement_of_people(scene: Rotated) -> None:
    scene.adopt(policy(RULE, people=PEOPLE, approvals={"expiry": 1}))
    name = "logs-skytrail.alert-acme-2026.03"
    scene.indices.present = {name: IndexFacts(name=name, uuid="u9", documents=1, bytes=1)}
    found = scene.round()
    assert found.results == []
    assert name in {item.place for waiting in found.waiting for item in waiting.offer.plan.items}
    assert name in scene.indices.present
