"""Who may learn who stands behind pseudonyms: whoever asks, and others of the policy who agreed to these tokens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

from ingest.schema.errors import ConfigError, Refused
from storage.archive.manifest import canonical, digest
from storage.retention.approval import Request, check, read
from storage.retention.policy import Policy

LEAST_AGREEING: Final = 1
"""People besides the one who asks, where the policy does not say more."""
GOOD_FOR: Final = dt.timedelta(days=30)
"""A request that is older is refused: whoever agreed did not agree for ever."""


def needed_of(policy: Policy) -> int:
    """How many people, besides the one who asks, must agree."""
    told = policy.approvals.reveal
    return told if isinstance(told, int) else LEAST_AGREEING


def subject_of_tokens(namespace: str, tokens: Sequence[str]) -> str:
    """What a request is about: the digest of the tokens, each once, in any order."""
    return digest(canonical({"namespace": namespace, "tokens": sorted(set(tokens))}))


def check_reveal(
    raw: bytes, policy: Policy | None, namespace: str, tokens: Sequence[str], now: dt.datetime, where: str
) -> tuple[Request, list[str]]:
    """The request and who agreed.

    Raises:
        ConfigError: It is no request, or one about other tokens.
        Refused: Too few agreed, it is too old, or no policy says who may.
    """
    if policy is None:
        raise Refused(
            "revealing: no policy says who may ask for it and agree",
            where=where,
            mend="name people in a policy, then `skytrail retention adopt`: docs/retention.md",
        )
    _, written = read(raw, where)
    mend = "`skytrail pseudonyms request` writes a new one"
    try:
        age = now - dt.datetime.fromisoformat(written.at)
    except (ValueError, TypeError) as exc:
        raise ConfigError(f"reading a request: {written.at!r} is no time", where=where, mend=mend) from exc
    if not -dt.timedelta(days=1) < age < GOOD_FOR:
        raise Refused(
            f"revealing: the request of {written.at} is good for {GOOD_FOR.days} days", where=where, mend=mend
        )
    asked = Request(
        action="reveal",
        namespace=namespace,
        subject=subject_of_tokens(namespace, tokens),
        reason="",
        requested_by="",
        at="",
    )
    return check(raw, policy, asked, needed_of(policy), where)
