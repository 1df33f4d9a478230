"""What people decide about an alert: status, owner, classification, each with who, when and why. Pure.

An alert is open, acknowledged or closed. Closing says what it was (a classification) and why (a comment). Every change
is kept in the state document, so that later ones hide nothing; what detection counts is never touched here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from ingest.document import utc_millis

Action = Literal["acknowledge", "assign", "close", "reopen", "comment"]
Classification = Literal["true_positive", "benign_positive", "false_positive", "undetermined"]
"""What a closed alert was: an attack; what the rule looks for, but wanted; a wrong alert; nobody can tell."""
Reason = Literal["suspicious_activity", "suspicious_but_expected", "incorrect_alert_logic", "inaccurate_data"]
"""Why, in words that cases of other systems know."""

ENTRIES: Final = frozenset({"status", "owner", "classification", "closing_reason", "acknowledged", "closed", "history"})
"""Entries of `skytrail.alert` in the state that belong to people."""
MAX_COMMENT_CHARS: Final = 4_000
MAX_CHANGES: Final = 1_000
"""Changes that one alert keeps; a further one is refused, for none may vanish."""

_FITTING: Final[Mapping[str, frozenset[str]]] = {
    "true_positive": frozenset({"suspicious_activity"}),
    "benign_positive": frozenset({"suspicious_but_expected"}),
    "false_positive": frozenset({"incorrect_alert_logic", "inaccurate_data"}),
    "undetermined": frozenset(),
}


class ImpossibleChange(ValueError):
    """A change that this alert, as it is now, can't take; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a person decided.

    Attributes:
        by: Who, as they call themselves.
        comment: Why; needed to close.
        owner: Who works on it from now on, for `assign`; "" is nobody.
        classification: What it was, for `close`.
        reason: For `close`.
    """

    action: Action
    by: str
    comment: str = ""
    owner: str = ""
    classification: Classification | None = None
    reason: Reason | None = None

    def __post_init__(self) -> None:
        """Refuse what no alert could take.

        Raises:
            ImpossibleChange: The parts do not fit together.
        """
        if not self.by.strip():
            raise ImpossibleChange("nobody is named who changes it: name them with --by")
        if len(self.comment) > MAX_COMMENT_CHARS:
            raise ImpossibleChange(f"the comment is longer than {MAX_COMMENT_CHARS:,} characters: shorten it")
        if self.action == "comment" and not self.comment.strip():
            raise ImpossibleChange("the comment is empty: write one")
        if self.action != "close":
            return
        if self.classification is None:
            raise ImpossibleChange(f"closing needs a classification: {', '.join(get_args(Classification))}")
        if not self.comment.strip():
            raise ImpossibleChange("closing needs a comment: say how you know")
        if self.reason and self.reason not in _FITTING[self.classification]:
            fitting = ", ".join(sorted(_FITTING[self.classification])) or "none"
            raise ImpossibleChange(f"the reason {self.reason} does not fit {self.classification}: {fitting} would")


def changed(entries: Mapping[str, Any], change: Change, now: dt.datetime) -> dict[str, Any]:
    """The entries of `skytrail.alert` that a change replaces; empty when it would change nothing.

    Args:
        entries: `skytrail.alert` of the state document as it is.
        change: The decision.
        now: Time of the decision.

    Raises:
        ImpossibleChange: The alert can't take it.
    """
    decided = _decided(entries, change, utc_millis(now))
    different = {name: value for name, value in decided.items() if entries.get(name) != value}
    if not different and not change.comment.strip():
        return {}
    history = list(entries.get("history") or ())
    if len(history) >= MAX_CHANGES:
        raise ImpossibleChange(f"it was changed {MAX_CHANGES:,} times, more are not kept: open a case elsewhere")
    return {**different, "history": [*history, _record(entries, different, change, utc_millis(now))]}


def people_part(entries: Mapping[str, Any]) -> dict[str, Any]:
    """What people decided so far, without what detection counts; equal parts mean that nobody came in between."""
    return {name: entries[name] for name in sorted(ENTRIES) if entries.get(name) is not None}


def _decided(entries: Mapping[str, Any], change: Change, moment: str) -> dict[str, Any]:
    status = entries.get("status") or "open"
    match change.action:
        case "acknowledge":
            if status == "closed":
                raise ImpossibleChange("it is closed: `skytrail alerts reopen` first")
            owner = entries.get("owner") or change.by
            return {
                "status": "acknowledged",
                "owner": owner,
                "acknowledged": entries.get("acknowledged") or moment,
            }
        case "assign":
            return {"owner": change.owner or None}
        case "close":
            same = status == "closed" and entries.get("classification") == change.classification
            return {
                "status": "closed",
                "classification": change.classification,
                "closing_reason": change.reason,
                "closed": entries.get("closed") if same else moment,
            }
        case "reopen":
            if status != "closed":
                raise ImpossibleChange(f"it is {status}: only a closed alert can be reopened")
            return {"status": "open", "classification": None, "closing_reason": None, "closed": None}
        case "comment":
            return {}


def _record(entries: Mapping[str, Any], different: Mapping[str, Any], change: Change, moment: str) -> dict[str, Any]:
    """One line of the history: who, when, what, from what to what, why."""
    record: dict[str, Any] = {"at": moment, "by": change.by, "action": change.action}
    for name in ("status", "owner", "classification", "closing_reason"):
        if name in different:
            record[name] = {"from": entries.get(name), "to": different[name]}
    if change.comment.strip():
        record["comment"] = change.comment.strip()
    return record
