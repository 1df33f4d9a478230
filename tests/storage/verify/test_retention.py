"""The verifier judges by itself what was destroyed: who has the keys and breaks the policy is found out."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.retention.applying import Outcome
from storage.retention.approval import Request, approve, ask
from storage.retention.entries import Receipt, Release, Told, Tombstone, entry_of
from storage.retention.inventory import segment_facts
from storage.retention.periods import Period
from storage.verify.archive import check
from storage.verify.findings import Finding, Kind, Site, Summary
from storage.verify.ledger.calendar import end_of, span_of_index
from storage.verify.ledger.entries import Told as Heard
from storage.verify.reading import canonical
from storage.verify.scope import Scope
from tests.storage.archive.samples import TOPIC
from tests.storage.retention.people import PEOPLE, SIGNERS
from tests.storage.retention.samples import moment, policy
from tests.storage.retention.test_applying import INDEX, LATER, RULE, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def enter(scene: Scene, told: Told, at: dt.datetime = LATER) -> None:
    """What somebody with the keys, and without our code, could enter."""
    entry, done = entry_of("acme", at, told), False

    def make(_: object) -> list[bytes]:
        nonlocal done
        once, done = not done, True
        return [entry] if once else []

    scene.record().enter(make)


def stone(scene: Scene, **more: Any) -> Tombstone:
    facts = segment_facts(scene.store, "acme", TOPIC, 0, 0)
    values: dict[str, Any] = {
        "id": "t",
        "at": "",
        "tier": "cold",
        "decision": "EXPIRE",
        "because": "",
        "until": "",
        "policy": "",
        "dataset": "aws.cloudtrail",
        "topic": TOPIC,
        "segments": (facts.destroyed,),
    }
    return Tombstone(**values | more)


def remove(scene: Scene, ending: str, seq: int = 0) -> None:
    (path,) = (scene.root / "archive" / "acme" / "seg" / TOPIC / "0").glob(f"{seq:012d}-*{ending}")
    path.unlink()


def found(scene: Scene) -> list[Finding]:
    return list(check(scene.root / "archive"))


def test_what_is_gone_as_announced_is_counted_and_is_no_finding(scene: Scene) -> None:
    assert {result.outcome for result in scene.apply(scene.plan())} == {Outcome.DONE}
    summary = Summary()
    assert list(check(scene.root / "archive", summary)) == []
    assert summary.destroyed > 0
    assert summary.records > 0


def test_what_is_gone_without_a_tombstone_is_missing(scene: Scene) -> None:
    remove(scene, ".ndz")
    (finding,) = found(scene)
    assert (finding.kind, finding.seq) == (Kind.MISSING, 0)


def test_leaves_must_stay_whatever_was_announced(scene: Scene) -> None:
    scene.apply(scene.plan())
    remove(scene, ".leaves")
    (finding,) = found(scene)
    assert (finding.kind, finding.seq) == (Kind.MISSING, 0)


def test_a_segment_destroyed_before_its_minimum_is_found(scene: Scene) -> None:
    enter(scene, stone(scene), moment("2027-03-01"))
    remove(scene, ".ndz")
    (finding,) = found(scene)
    assert finding.kind is Kind.UNLAWFUL
    assert "class 'all' keeps P12M until 2027-03-02" in finding.detail


def test_the_longest_promise_counts_for_the_verifier_too(scene: Scene) -> None:
    scene.adopt(policy(RULE | {"cold": "P9Y"}))
    scene.clock.pass_(60)
    scene.adopt(policy(RULE))
    enter(scene, stone(scene))
    (finding,) = found(scene)
    assert "keeps P9Y until 2035" in finding.detail


def test_a_segment_destroyed_under_a_hold_is_found(scene: Scene) -> None:
    scene.hold(principal="mallory")
    enter(scene, stone(scene))
    (finding,) = found(scene)
    assert finding.kind is Kind.UNLAWFUL
    assert "while the hold case-7 was open" in finding.detail


def test_a_release_without_approvals_releases_nothing(scene: Scene) -> None:
    scene.adopt(policy(RULE, people=PEOPLE))
    scene.hold()
    asked = Request(
        action="release", namespace="acme", subject="case-7", reason="", requested_by="alice", at="2027-11-27"
    )
    one = approve(ask(asked, SIGNERS["alice"]), SIGNERS["bob"], "test").decode()
    enter(scene, Release(id="case-7", at="", request=one))
    enter(scene, stone(scene))
    assert [finding.kind for finding in found(scene)] == [Kind.UNLAWFUL, Kind.UNLAWFUL]
    assert "1 of 2 agreed" in found(scene)[0].detail


def test_a_release_with_its_approvals_is_lawful(scene: Scene) -> None:
    scene.adopt(policy(RULE, people=PEOPLE))
    scene.hold()
    asked = Request(
        action="release", namespace="acme", subject="case-7", reason="", requested_by="alice", at="2027-11-27"
    )
    two = approve(approve(ask(asked, SIGNERS["alice"]), SIGNERS["bob"], "test"), SIGNERS["carol"], "test").decode()
    enter(scene, Release(id="case-7", at="", request=two))
    enter(scene, stone(scene))
    assert found(scene) == []


def test_a_tombstone_without_the_approvals_that_the_policy_asks_for_is_found(scene: Scene) -> None:
    scene.adopt(policy(RULE, people=PEOPLE, approvals={"expiry": 2}))
    enter(scene, stone(scene))
    (finding,) = found(scene)
    assert "a tombstone without its approvals" in finding.detail


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"dataset": "gcp.audit"}, "which skytrail.raw.aws.cloudtrail.v1 does not carry"),
        ({"tier": "hot", "index": INDEX, "segments": ()}, "although class 'all' keeps P3M hot until"),
        ({"tier": "hot", "index": "logs-x", "segments": ()}, "no index of this namespace"),
    ],
    ids=["another-data-set", "an-index-too-early", "no-index"],
)
def test_a_tombstone_that_lies_or_comes_too_early_is_found(scene: Scene, more: dict[str, Any], why: str) -> None:
    enter(scene, stone(scene, **more), LATER if "dataset" in more else moment("2026-03-20"))
    (finding,) = found(scene)
    assert finding.kind is Kind.UNLAWFUL
    assert why in finding.detail


def test_a_tombstone_of_another_segment_than_the_one_there_is_found(scene: Scene) -> None:
    other = segment_facts(scene.store, "acme", TOPIC, 0, 1).destroyed
    enter(scene, stone(scene, segments=({"seq": 0, "n": other.n, "root": other.root, "manifest": other.manifest},)))
    (finding,) = found(scene)
    assert "is about another segment" in finding.detail


@pytest.mark.parametrize("time", ["x", "2026-03-01T12:00:00", "2026-13-01T12:00:00.000000Z"])
@pytest.mark.parametrize("field", ["at", "since", "until"])
def test_a_time_that_is_none_is_found_and_ends_nothing(field: str, time: str) -> None:
    """By somebody with the keys: an error in place of a verdict would hide all the rest."""
    selector = {"datasets": ["*"], "since": None, "until": None, "principal": "", "account": "", "resource": ""}
    head = {"v": 1, "namespace": "acme", "at": "2026-03-01T12:00:00.000000Z", "builder": {"product": "", "version": ""}}
    hold = {**head, "type": "hold", "id": "h", "reason": "", "placed_by": "", "selector": selector}
    told = Heard(Site(namespace="acme"), "o/acme/1", Scope())
    list(told.take(0, b""))
    list(told.take(1, b""))
    assert list(told.take(2, canonical(hold))) == []
    wrong = {**hold, "at": time} if field == "at" else {**hold, "selector": {**selector, field: time}}
    assert [(f.kind, f.entry) for f in told.take(3, canonical(wrong))] == [(Kind.ALTERED, 3)]
    assert [index for index, _ in told.retention] == [2]


def test_a_receipt_that_nothing_announced_is_found(scene: Scene) -> None:
    enter(scene, Receipt(id="nothing", at=""))
    (finding,) = found(scene)
    assert "which nothing announced" in finding.detail


@given(
    st.integers(0, 60_000).map(lambda hours: moment("2019-01-01") + dt.timedelta(hours=hours)),
    st.integers(0, 200),
    st.integers(0, 900),
)
def test_the_verifier_and_the_policy_agree_on_every_date(start: dt.datetime, months: int, days: int) -> None:
    period = Period(months, days)
    if months or days:
        assert end_of(start, str(period)) == period.end(start)


@pytest.mark.parametrize(
    ("name", "span"),
    [
        ("logs-aws.cloudtrail-acme-2026.03.01", ("2026-03-01", "2026-03-02")),
        ("logs-aws.cloudtrail-acme-2026.w01", ("2025-12-29", "2026-01-05")),
        ("logs-aws.cloudtrail-acme-2028.02", ("2028-02-01", "2028-03-01")),
        ("logs-aws.cloudtrail-acme-2026.13", None),
        ("logs-aws.cloudtrail-acme-2026.02.30", None),
        ("logs-nginx-acme", None),
    ],
)
def test_the_span_of_an_index_follows_from_its_name(name: str, span: tuple[str, str] | None) -> None:
    assert span_of_index(name) == (span and (moment(span[0]), moment(span[1])))
