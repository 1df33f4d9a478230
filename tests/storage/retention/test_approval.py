"""Two people are two keys: who asks never counts as who agrees, and nobody agrees to something else than was asked."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.errors import ConfigError, Refused
from storage.ledger.note import Note
from storage.retention.approval import Request, approve, ask, check, read
from storage.retention.entries import policy_entry
from storage.verify.ledger.approvals import disapproved
from tests.storage.archive.samples import START
from tests.storage.retention.people import PEOPLE, SIGNERS
from tests.storage.retention.samples import policy

POLICY = policy({"name": "x"}, people=PEOPLE)
RELEASE = Request(
    action="release", namespace="acme", subject="case-7", reason="settled", requested_by="alice", at="2026-11-27"
)


def signed_by(*names: str, request: Request = RELEASE) -> bytes:
    raw = ask(request, SIGNERS[names[0]])
    for name in names[1:]:
        raw = approve(raw, SIGNERS[name], "test")
    return raw


def test_two_others_agree() -> None:
    request, agreed = check(signed_by("alice", "bob", "carol"), POLICY, RELEASE, 2, "test")
    assert (request, agreed) == (RELEASE, ["bob", "carol"])


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("alice",), "2 people besides alice must agree, 0 did"),
        (("alice", "bob"), "2 people besides alice must agree, 1 did"),
        (("alice", "bob", "mallory"), "2 people besides alice must agree, 1 did"),
        (("bob", "carol"), "'alice', who asks, did not sign"),
        (("mallory", "bob", "carol"), "'alice', who asks, did not sign"),
    ],
    ids=["alone", "one", "a-stranger", "without-who-asks", "in-the-name-of-another"],
)
def test_too_few_are_refused(names: tuple[str, ...], why: str) -> None:
    with pytest.raises(Refused, match=why):
        check(signed_by(*names), POLICY, RELEASE, 2, "test")


def test_nobody_signs_twice() -> None:
    with pytest.raises(Refused, match="signed this request already"):
        signed_by("alice", "bob", "bob")


def test_a_signature_copied_twice_counts_for_nothing() -> None:
    note, _ = read(signed_by("alice", "bob"), "test")
    twice = msgspec.structs.replace(note, signatures=(*note.signatures, note.signatures[1]))
    with pytest.raises(Refused, match="2 signatures of bob"):
        check(twice.encode(), POLICY, RELEASE, 2, "test")


@pytest.mark.parametrize(
    "other", [{"subject": "case-8"}, {"namespace": "globex"}, {"action": "expiry"}], ids=["hold", "namespace", "action"]
)
def test_an_approval_of_something_else_is_refused(other: dict[str, str]) -> None:
    raw = signed_by("alice", "bob", "carol", request=msgspec.structs.replace(RELEASE, **other))
    with pytest.raises(ConfigError, match="it is about"):
        check(raw, POLICY, RELEASE, 2, "test")


def test_a_request_that_was_changed_after_it_was_signed_is_refused() -> None:
    raw = signed_by("alice", "bob", "carol").replace(b"case-7", b"case-8")
    changed = msgspec.structs.replace(RELEASE, subject="case-8")
    with pytest.raises(Refused, match="the signature of alice is wrong"):
        check(raw, POLICY, changed, 2, "test")


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff", b"no note", signed_by("alice").replace(b"skytrail request v1", b"skytrail request v2")],
    ids=["empty", "bytes", "text", "version"],
)
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(ConfigError, match="reading a request"):
        read(raw, "test")


def forged(name: str, place: str) -> bytes:
    """A request of alice, bob and carol, with a signature that is none beside or before that of somebody."""
    note, _ = read(signed_by("alice", "bob", "carol"), "test")
    bogus = msgspec.structs.replace(SIGNERS[name].sign(note.text, 0), body=bytes(64))
    signatures = (bogus, *note.signatures) if place == "first" else (*note.signatures, bogus)
    return msgspec.structs.replace(note, signatures=signatures).encode()


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("name", ["alice", "bob"])
def test_a_forged_signature_under_a_name_counts_for_nothing_here_and_for_the_verifier(name: str, place: str) -> None:
    raw = forged(name, place)
    with pytest.raises(Refused, match=f"2 signatures of {name}"):
        check(raw, POLICY, RELEASE, 2, "test")
    told = disapproved(as_entered(), entry_with(raw), "release", "case-7", "acme")
    assert told == f"it has 2 signatures of {name}"


def entry_with(raw: bytes) -> dict[str, Any]:
    """An entry of a ledger with a request."""
    return {"at": "2026-11-28T00:00:00.000000Z", "request": raw.decode()}


def as_entered() -> dict[str, Any]:
    """The policy as a ledger has it."""
    entry: dict[str, Any] = json.loads(policy_entry("acme", START, POLICY))
    return dict(entry["policy"])


SIGNATURES = st.lists(st.tuples(st.sampled_from(sorted(SIGNERS)), st.booleans()), min_size=1, max_size=6)


@given(signers=SIGNATURES, needed=st.integers(0, 3))
def test_command_and_verifier_take_the_same_requests(signers: list[tuple[str, bool]], needed: int) -> None:
    """Whatever signatures of whomever, right and wrong, in whatever order."""
    text = read(ask(RELEASE, SIGNERS["alice"]), "test")[0].text
    made = [(SIGNERS[name].sign(text, 0), right) for name, right in signers]
    signatures = tuple(each if right else msgspec.structs.replace(each, body=each.body[::-1]) for each, right in made)
    raw = Note(text, signatures).encode()
    try:
        check(raw, POLICY, RELEASE, needed, "test")
        taken = True
    except Refused:
        taken = False
    entered = as_entered()
    entered["approvals"]["release"] = needed
    if needed:  # where nobody has to agree, the verifier asks for no request at all
        assert taken is (disapproved(entered, entry_with(raw), "release", "case-7", "acme") == "")
