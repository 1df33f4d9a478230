"""Two people are two keys: who asks never counts as who agrees, and nobody agrees to something else than was asked."""

from __future__ import annotations

import msgspec
import pytest

from ingest.schema.errors import ConfigError, Refused
from storage.retention.approval import Request, approve, ask, check, read
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


def test_a_signature_copied_twice_is_one_person() -> None:
    note, _ = read(signed_by("alice", "bob"), "test")
    twice = msgspec.structs.replace(note, signatures=(*note.signatures, note.signatures[1]))
    with pytest.raises(Refused, match="1 did"):
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
    with pytest.raises(Refused, match="did not sign"):
        check(raw, POLICY, changed, 2, "test")


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff", b"no note", signed_by("alice").replace(b"skytrail request v1", b"skytrail request v2")],
    ids=["empty", "bytes", "text", "version"],
)
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(ConfigError, match="reading a request"):
        read(raw, "test")
