"""Signatures against published examples, and memory against a plain model."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ingest.transports.signed_webhook.memory import Memory
from ingest.transports.signed_webhook.settings import SignedWebhookSettings
from ingest.transports.signed_webhook.signature import Claim, Refusal, Scheme

NOW_S = 1_795_334_400.0
KEY = b"0123456789abcdef-secret"


def scheme(**changes: object) -> Scheme:
    return Scheme(SignedWebhookSettings.model_validate({"secret_file": Path("secrets"), **changes}))


def test_the_example_that_slack_publishes_is_proven() -> None:
    # https://api.slack.com/authentication/verifying-requests-from-slack
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "X-Slack-Request-Timestamp": "1531420618",
        "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    slack = scheme(
        signed="v0:{timestamp}:{body}",
        timestamp_header="X-Slack-Request-Timestamp",
        signature_header="X-Slack-Signature",
        signature_prefix="v0=",
    )
    claim = slack.claim(headers, 1531420700)
    assert isinstance(claim, Claim)
    assert slack.proven_by(claim, body, [b"another", b"8f742231b10e8888abcd99yyyzzz85a5"])
    assert not slack.proven_by(claim, body + b" ", [b"8f742231b10e8888abcd99yyyzzz85a5"])
    assert not slack.proven_by(claim, body, [])


@given(
    st.dictionaries(st.sampled_from(["X-Timestamp", "X-Signature"]), st.text(max_size=80)),
    st.sampled_from(["hex", "base64"]),
)
def test_no_header_breaks_the_reader_and_none_is_believed_by_accident(headers: dict[str, str], encoding: str) -> None:
    under_test = scheme(signature_encoding=encoding)
    claim = under_test.claim(headers, NOW_S)
    if isinstance(claim, Refusal):
        assert claim.status in (401, 403)
    else:
        assert under_test.proven_by(claim, b"body", [KEY]) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20), st.integers(0, 10))))
def test_a_memory_knows_exactly_what_has_not_ended(steps: list[tuple[int, int, int]]) -> None:
    memory, ends, now = Memory(4), dict[int, int](), 0
    for key, lasting, passed in steps:
        now += passed
        memory.note(key, b"x", now + lasting)
        ends[key] = max(now + lasting, ends[key] if ends.get(key, -1) >= now else 0)
        known = {each for each, end in ends.items() if end >= now}
        assert {each for each in range(6) if memory.value(each, now)} == known
        assert memory.full(now) == (len(known) >= 4)
