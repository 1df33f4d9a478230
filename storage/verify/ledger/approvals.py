"""Whether those agreed to a request whom the policy in force asks for, judged without the writer's code."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from storage.verify.ledger.notes import Signature, VerifierKey, parse_signature, parse_vkey
from storage.verify.reading import canonical

_HEADING = "skytrail request v1"
_NEVER = "9999-12-31T00:00:00Z"
_LEAST = {"release": 2, "expiry": 0, "erasure": 1}
"""People besides the one who asks, where a policy does not say."""


def disapproved(
    policy: dict[str, Any] | None, entry: dict[str, Any], action: str, subject: str | None, namespace: str
) -> str:
    """Why the approvals that a policy asks for are not there, in words; empty if they are.

    Args:
        policy: In force; None: there is none.
        entry: The entry with the signed request, its time and, of an erasure, the rule by which it was done.
        action: What must have been asked for.
        subject: What it must be about; None: nobody compares it.
        namespace: Where.
    """
    if policy is None:
        return "" if action == "expiry" else "no policy says who may agree"
    try:
        needed = policy["approvals"].get(action, _LEAST[action])
        if not needed:
            return ""
        text, _, lines = entry["request"].rpartition("\n\n")
        asked = json.loads(text.removeprefix(f"{_HEADING}\n"))
        if f"{_HEADING}\n{canonical(asked).decode()}" != text:
            return "the request is not in its form"
        people = {name: parse_vkey(vkey) for name, vkey in policy["people"].items()}
        signed, wrong = _signed(people, f"{text}\n".encode(), [parse_signature(line) for line in lines.splitlines()])
        about = asked["action"] == action and asked["namespace"] == namespace
        if not about or subject not in (None, asked["subject"]):
            return "the request is about something else"
        if dt.datetime.fromisoformat(asked.get("until", _NEVER)) <= dt.datetime.fromisoformat(entry["at"]):
            return "the request had lapsed"
        if "basis" in asked and asked["basis"] != entry["basis"]:
            return "it was done by another rule than was signed"
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        return f"the request can't be read: {exc!r}"
    if wrong:
        return wrong
    if asked.get("requested_by") not in signed:
        return "who asks did not sign"
    agreed = len(signed) - 1
    return "" if agreed >= needed else f"{agreed} of {needed} agreed"


def _signed(people: dict[str, VerifierKey], message: bytes, signatures: list[Signature]) -> tuple[set[str], str]:
    """Who signed, and what is wrong: each key of a person signs once and rightly, or the note counts for nothing."""
    signed: set[str] = set()
    for name, key in people.items():
        own = [each for each in signatures if (each.name, each.key_id) == (key.name, key.key_id)]
        if len(own) > 1:
            return signed, f"it has {len(own)} signatures of {name}"
        if own and not key.signed_bytes(message, own[0].body):
            return signed, f"the signature of {name} is wrong"
        signed |= {name} if own else set()
    return signed, ""
