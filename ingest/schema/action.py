"""What Skytrail itself does on somebody's behalf, as a record: a search, a changed rule set, a redrive, a deletion.

Such a record goes the road of every other one: it is sealed, indexed and seen by rules (format `skytrail.audit`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

FORMAT_NAME = "skytrail.audit"
VERSION = 1
MARK = "skytrailAction"
"""Member that every record has; its value is the version."""

Kind = Literal["access", "change", "deletion"]
"""Reading what is kept; changing what the product does; destroying what is kept."""
Outcome = Literal["success", "failure", "unknown"]
"""`unknown`: it was begun, and the process that did it ended without a word."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One action.

    Attributes:
        id: Unique, chosen by the process that acts.
        at: When it was begun (UTC).
        actor: Account of the operating system, or the role of a worker.
        host: Machine on which it happened.
        program: What was run: `cli`, or a role.
        name: What was done, as the command is called: `search`, `dead-letters.redrive`, `rules.reload`.
        kind: See `Kind`.
        outcome: How it ended.
        reason: Why it failed; empty otherwise.
        target: What it was done to: an id, a name, a namespace.
        details: What was asked for, and counts of what came; never a secret.
    """

    id: str
    at: dt.datetime
    actor: str
    host: str
    program: str
    name: str
    kind: Kind
    outcome: Outcome = "unknown"
    reason: str = ""
    target: str = ""
    details: Mapping[str, Any] = {}


_encoder = msgspec.json.Encoder(order="deterministic")


def encode(action: Action) -> bytes:
    """The record of an action: one JSON object."""
    return _encoder.encode({MARK: VERSION, **msgspec.structs.asdict(action)})
