"""Who stands behind pseudonyms is told to two people at least, about tokens that they agreed to, and not for ever."""

from __future__ import annotations

import datetime as dt

import pytest

from ingest.schema.errors import ConfigError, Refused
from storage.retention.approval import Request, approve, ask
from storage.retention.entries import Hold, Selector
from storage.retention.holding import names_document, query_of
from storage.retention.policy import Approvals
from storage.retention.revealing import check_reveal, needed_of, subject_of_tokens
from tests.storage.retention.people import PEOPLE, SIGNERS
from tests.storage.retention.samples import policy

NOW = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
TOKENS = ["psn-u-aaaa", "fd04::1"]
POLICY = policy({"name": "x"}, people=PEOPLE)


def signed_by(*names: str, action: str = "reveal", at: str = "2026-11-27T00:00:00.000Z") -> bytes:
    asked = Request(
        action=action,  # type: ignore[arg-type]
        namespace="acme",
        subject=subject_of_tokens("acme", TOKENS),
        reason="CASE-7",
        requested_by="alice",
        at=at,
    )
    raw = ask(asked, SIGNERS[names[0]])
    for name in names[1:]:
        raw = approve(raw, SIGNERS[name], "test")
    return raw


def test_one_other_is_enough_where_the_policy_says_no_more() -> None:
    request, agreed = check_reveal(signed_by("alice", "bob"), POLICY, "acme", TOKENS[::-1], NOW, "test")
    assert (request.reason, agreed) == ("CASE-7", ["bob"])


def test_the_policy_may_ask_for_more() -> None:
    strict = policy({"name": "x"}, people=PEOPLE, approvals=Approvals(reveal=2))
    assert (needed_of(POLICY), needed_of(strict)) == (1, 2)
    with pytest.raises(Refused, match="2 people besides alice must agree, 1 did"):
        check_reveal(signed_by("alice", "bob"), strict, "acme", TOKENS, NOW, "test")
    assert check_reveal(signed_by("alice", "bob", "carol"), strict, "acme", TOKENS, NOW, "test")[1] == ["bob", "carol"]


@pytest.mark.parametrize("names", [("alice",), ("alice", "mallory"), ("mallory", "bob")])
def test_too_few_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(Refused):
        check_reveal(signed_by(*names), POLICY, "acme", TOKENS, NOW, "test")


def test_without_a_policy_nobody_is_told_anything() -> None:
    with pytest.raises(Refused, match="no policy"):
        check_reveal(signed_by("alice", "bob"), None, "acme", TOKENS, NOW, "test")


@pytest.mark.parametrize(
    ("namespace", "tokens"), [("acme", TOKENS[:1]), ("acme", [*TOKENS, "psn-u-bbbb"]), ("globex", TOKENS)]
)
def test_other_tokens_or_another_namespace_are_refused(namespace: str, tokens: list[str]) -> None:
    with pytest.raises(ConfigError, match="it is about"):
        check_reveal(signed_by("alice", "bob"), POLICY, namespace, tokens, NOW, "test")


def test_what_was_agreed_to_for_an_erasure_reveals_nobody() -> None:
    with pytest.raises(ConfigError, match="it is about erasure"):
        check_reveal(signed_by("alice", "bob", action="erasure"), POLICY, "acme", TOKENS, NOW, "test")


@pytest.mark.parametrize("at", ["2026-10-28T00:00:00.000Z", "2026-12-28T00:00:00.000Z"])
def test_an_old_request_and_one_of_the_future_are_refused(at: str) -> None:
    with pytest.raises(Refused, match="good for 30 days"):
        check_reveal(signed_by("alice", "bob", at=at), POLICY, "acme", TOKENS, NOW, "test")


def test_a_request_without_a_time_is_refused() -> None:
    with pytest.raises(ConfigError, match="no time"):
        check_reveal(signed_by("alice", "bob", at="yesterday"), POLICY, "acme", TOKENS, NOW, "test")


UNDER = {"user": {"name": "psn-u-aaaa"}, "cloud": {"account": {"id": "1"}}, "skytrail": {"pseudonyms": {"key": "k"}}}


@pytest.mark.parametrize(
    ("selector", "under", "plain"),
    [
        ({"principal": "alice"}, True, False),
        ({"resource": "arn:x"}, True, False),
        ({"account": "1"}, True, True),
        ({"account": "2", "principal": "alice"}, False, False),
    ],
)
def test_a_hold_on_somebody_covers_what_is_under_pseudonyms(
    selector: dict[str, str], *, under: bool, plain: bool
) -> None:
    hold = Hold(id="h", at="", reason="", placed_by="", selector=Selector(**selector))  # type: ignore[arg-type]
    assert names_document(hold, UNDER, "aws.cloudtrail", NOW) is under
    assert names_document(hold, UNDER | {"skytrail": {}}, "aws.cloudtrail", NOW) is plain
    assert ("skytrail.pseudonyms.key" in repr(query_of(hold))) is bool({"principal", "resource"} & selector.keys())
