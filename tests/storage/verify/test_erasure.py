"""The entry by which a person's keys go is judged by the verifier, and certified, without the code that made it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingest.schema.errors import ConfigError, Refused
from storage.ledger.entries import shred
from storage.retention.approval import Request, approve, ask
from storage.retention.entries import Hold, Selector, entry_of, policy_entry
from storage.retention.erasing import ErasurePlan, KeyFate, subject_of_request
from storage.retention.erasure_entry import enter_erasure, entered
from storage.retention.record import Record
from storage.verify.archive import check
from storage.verify.findings import Kind
from storage.verify.ledger.notes import parse_vkey
from storage.verify.ledger.pins import Pins
from storage.verify.places import Directory
from storage.verify.proof.certificate import check_certificate, make_erasure_certificate, parse_certificate
from storage.verify.proof.making import Unprovable
from tests.storage.archive.samples import Clock
from tests.storage.ledger.samples import keys_in
from tests.storage.ledger.test_notary import chains_in, notary_in, sealed, store_in
from tests.storage.retention.people import PEOPLE, SIGNERS
from tests.storage.retention.samples import policy

UNTIL = "2026-03-31T12:00:00Z"
KEYS = [f"2026-0{month}-0badcafe-{'ab' * 12}-{month:08x}" for month in (1, 2)]


class Scene:
    """An archive with a ledger and a policy whose people may agree."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = Clock()
        sealed(root, self.clock)
        self.notary = notary_in(root, self.clock)
        self.notary.record(chains_in(root))
        self.record = Record(store_in(root), self.notary.log("acme"))
        self.enter(policy_entry("acme", self.clock(), policy({"name": "x"}, people=PEOPLE)))

    def enter(self, *entries: bytes) -> None:
        left = list(entries)
        self.record.enter(lambda _: [left.pop(0)] if left else [])

    def plan(self, keys: list[str] = KEYS) -> ErasurePlan:
        state = self.record.now()
        fates = [KeyFate(key=each, fate="erase", records=1, segments=1) for each in keys]
        holds = frozenset(each.id for each in state.open_holds())
        return ErasurePlan("acme", fates, {}, holds, len(state.policies))

    def request(self, *signers: str, keys: list[str] = KEYS, until: str = UNTIL, basis: str = "Art. 17") -> bytes:
        about = subject_of_request("acme", keys)
        at = "2026-03-01T12:00:00Z"
        told = Request(
            action="erasure",
            namespace="acme",
            subject=about,
            reason="DPO-17",
            requested_by=signers[0],
            at=at,
            until=until,
            basis=basis,
        )
        raw = ask(told, SIGNERS[signers[0]])
        for name in signers[1:]:
            raw = approve(raw, SIGNERS[name], "test")
        return raw

    def erase(self, raw: bytes, plan: ErasurePlan | None = None) -> None:
        self.clock.pass_(60)
        store = store_in(self.root)
        enter_erasure(store, self.record, plan or self.plan(), raw, self.clock(), where="test")

    def found(self) -> list[tuple[Kind, str]]:
        return [(each.kind, each.detail) for each in check(self.root / "archive")]

    def pins(self) -> Pins:
        (pair,) = keys_in(self.root).pairs()
        return Pins(keys=tuple(parse_vkey(str(key)) for key in pair.verifier_keys(self.record.log.identity.origin)))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_an_erasure_with_its_approvals_is_lawful_and_is_entered_once(scene: Scene) -> None:
    raw = scene.request("alice", "bob")
    scene.erase(raw)
    size = scene.record.log.state().edge.size
    scene.erase(raw)
    assert scene.record.log.state().edge.size == size
    assert scene.found() == []
    told = entered(store_in(scene.root), scene.record, raw)
    assert told is not None
    assert (told.keys, told.approvers, told.basis) == (tuple(KEYS), ("alice", "bob"), "Art. 17")


def test_too_few_or_another_persons_keys_are_refused_before_anything_is_entered(scene: Scene) -> None:
    size = scene.record.log.state().edge.size
    with pytest.raises(Refused, match="1 people besides alice must agree, 0 did"):
        scene.erase(scene.request("alice"))
    with pytest.raises(ConfigError, match="it is about erasure"):
        scene.erase(scene.request("alice", "bob", keys=KEYS[:1]))
    assert scene.record.log.state().edge.size == size


def test_a_hold_that_came_in_after_the_plan_stops_it(scene: Scene) -> None:
    raw, plan = scene.request("alice", "bob"), scene.plan()
    hold = Hold(id="case-7", at="", reason="claim", placed_by="alice", selector=Selector())
    scene.enter(entry_of("acme", scene.clock(), hold))
    with pytest.raises(Refused, match="a hold or a policy came in meanwhile"):
        scene.erase(raw, plan)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"until": "2026-03-01T12:01:30Z"}, "the request of 2026-03-01T12:00:00Z was good until 2026-03-01T12:01:30Z"),
        ({"until": ""}, "does not say until when it is good"),
        ({"basis": ""}, "or by which rule"),
        ({"until": "soon"}, "a time in the request is none"),
    ],
    ids=["lapsed", "no-end", "no-basis", "no-time"],
)
def test_a_request_that_has_lapsed_or_says_too_little_enters_nothing(
    scene: Scene, more: dict[str, str], why: str
) -> None:
    size = scene.record.log.state().edge.size
    scene.clock.pass_(60)
    with pytest.raises(Refused, match=why):
        scene.erase(scene.request("alice", "bob", **more))
    assert scene.record.log.state().edge.size == size


def test_one_that_was_entered_in_time_is_gone_on_with_after_its_end(scene: Scene) -> None:
    raw = scene.request("alice", "bob")
    scene.erase(raw)
    scene.clock.pass_(90 * 86_400)
    scene.erase(raw)
    assert entered(store_in(scene.root), scene.record, raw) is not None


@pytest.mark.parametrize(
    ("more", "basis", "why"),
    [
        ({"until": "2026-03-01T11:59:59Z"}, "Art. 17", "the request had lapsed"),
        ({"until": "soon"}, "Art. 17", "the request can't be read: ValueError"),
        ({}, "Art. 6", "it was done by another rule than was signed"),
    ],
    ids=["lapsed", "no-time", "another-rule"],
)
def test_an_entry_of_a_lapsed_request_or_by_another_rule_is_found(
    scene: Scene, more: dict[str, str], basis: str, why: str
) -> None:
    raw = scene.request("alice", "bob", **more).decode()
    scene.enter(shred("acme", scene.clock(), keys=KEYS, request=raw, basis=basis, approvers=["alice", "bob"]))
    ((kind, detail),) = scene.found()
    assert kind is Kind.UNLAWFUL
    assert why in detail


@pytest.mark.parametrize(
    ("signers", "keys", "why"),
    [
        (("alice",), KEYS, "0 of 1 agreed"),
        (("alice", "mallory"), KEYS, "0 of 1 agreed"),
        (("mallory", "bob"), KEYS, "who asks did not sign"),
        (("alice", "bob"), KEYS[:1], "the request is about something else"),
    ],
    ids=["alone", "a-stranger-agrees", "a-stranger-asks", "other-keys"],
)
def test_whoever_writes_the_entry_past_the_command_is_found(
    scene: Scene, signers: tuple[str, ...], keys: list[str], why: str
) -> None:
    raw = scene.request(*signers, keys=keys).decode()
    scene.enter(shred("acme", scene.clock(), keys=KEYS, request=raw, basis="Art. 17", approvers=["alice", "bob"]))
    assert scene.found() == [
        (Kind.UNLAWFUL, f"a person was to be erased without the approvals for it: {why}"),
    ]


def test_an_entry_without_a_request_or_under_a_hold_on_everything_is_found(scene: Scene) -> None:
    scene.enter(shred("acme", scene.clock(), keys=KEYS, request="DPO-17", basis="x", approvers=["a", "b"]))
    hold = Hold(id="case-7", at="", reason="claim", placed_by="alice", selector=Selector())
    scene.enter(entry_of("acme", scene.clock(), hold))
    raw = scene.request("alice", "bob").decode()
    scene.enter(shred("acme", scene.clock(), keys=KEYS, request=raw, basis="Art. 17", approvers=["alice", "bob"]))
    kinds, details = zip(*scene.found(), strict=True)
    assert kinds == (Kind.UNLAWFUL, Kind.UNLAWFUL)
    assert "the request can't be read" in details[0]
    assert details[1] == "a person was to be erased while the hold case-7 was open"


def test_the_certificate_of_an_erasure_holds_and_names_keys_and_people_who_agreed(scene: Scene) -> None:
    raw = scene.request("alice", "bob")
    place = Directory(scene.root / "archive")
    with pytest.raises(Unprovable, match="no erasure by this request"):
        make_erasure_certificate(place, "acme", 1, raw.decode())
    scene.erase(raw)
    made = parse_certificate(make_erasure_certificate(place, "acme", 1, raw.decode()).encode())
    checked, told = check_certificate(made, scene.pins())
    assert checked.wrong == []
    assert (told["keys"], told["approvers"], told["basis"]) == (KEYS, ["alice", "bob"], "Art. 17")


def test_a_certificate_that_was_changed_anywhere_does_not_hold(scene: Scene) -> None:
    raw = scene.request("alice", "bob")
    scene.erase(raw)
    body = gzip.decompress(
        make_erasure_certificate(Directory(scene.root / "archive"), "acme", 1, raw.decode()).encode()
    )
    value: dict[str, Any] = msgspec.json.decode(body)
    changes = [
        lambda each: each["entries"].pop(),
        lambda each: each["entries"].reverse(),
        lambda each: each["entries"][1].update(index=each["entries"][1]["index"] - 1),
        lambda each: each["entries"][1].update(entry=each["entries"][0]["entry"]),
    ]
    for change in changes:
        other = msgspec.json.decode(body)
        change(other)
        assert other != value
        changed = parse_certificate(gzip.compress(msgspec.json.encode(other), mtime=0))
        assert check_certificate(changed, scene.pins())[0].wrong
