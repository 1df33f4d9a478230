"""What the ledger says about retention: policies, holds, tombstones, receipts (docs/ledger-format.md).

An entry is canonical JSON. Each that is about something has its `id`, so that whoever is not sure whether it was
entered looks for it before entering it again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from storage.archive.manifest import canonical, instant
from storage.ledger.entries import head
from storage.retention.policy import Policy, encode


class Selector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events a hold is about; empty parts stand for all.

    Attributes:
        datasets: Patterns with ``*``.
        since: Only events from this moment on.
        until: Only events before this moment.
        principal: Key, name or id of who acted.
        account: Cloud account.
        resource: Name or id of what was acted on.
    """

    datasets: tuple[str, ...] = ("*",)
    since: str | None = None
    until: str | None = None
    principal: str = ""
    account: str = ""
    resource: str = ""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A legal hold of a namespace."""

    id: str
    at: str
    reason: str
    placed_by: str
    selector: Selector


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a hold.

    Attributes:
        id: Of the hold.
        request: The signed request with its approvals.
    """

    id: str
    at: str
    request: str


class Destroyed(msgspec.Struct, frozen=True, kw_only=True):
    """One segment whose records are destroyed; its manifest and its leaves stay."""

    seq: int
    n: int
    root: str
    manifest: str


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """What is destroyed, written down before it is.

    Attributes:
        id: Of this tombstone.
        tier: `hot`: an index; `cold`: segments of a chain.
        index: Name of the index.
        uuid: Elasticsearch's own id of it, so that a later index of the same name is another one.
        documents: Documents of the index.
        topic: Of the chain.
        partition: Of the chain.
        segments: Those destroyed.
        decision: `EXPIRE`, `HOT_EXPIRE` or `MUST_ERASE`.
        because: In words.
        until: Up to when it was kept.
        policy: Hex SHA-256 of the policy in force.
        dataset: What the index or the segments hold.
        request: The signed request with its approvals; empty where the policy asks for none.
    """

    id: str
    at: str
    tier: str
    decision: str
    because: str
    until: str
    policy: str
    dataset: str
    index: str = ""
    uuid: str = ""
    documents: int = 0
    topic: str = ""
    partition: int = 0
    segments: tuple[Destroyed, ...] = ()
    request: str = ""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a tombstone announced is gone.

    Attributes:
        id: Of the tombstone.
    """

    id: str
    at: str


Told = Hold | Release | Tombstone | Receipt
KINDS: dict[type, str] = {Hold: "hold", Release: "release", Tombstone: "tombstone", Receipt: "deleted"}


def policy_entry(namespace: str, now: dt.datetime, policy: Policy) -> bytes:
    """States by which policy logs are kept from now on."""
    return canonical(head("policy", namespace, now) | {"policy": encode(policy)})


def entry_of(namespace: str, now: dt.datetime, told: Told) -> bytes:
    """The entry of anything else; its `at` becomes `now`."""
    fields: dict[str, Any] = msgspec.to_builtins(told)
    return canonical(fields | head(KINDS[type(told)], namespace, now))


def chunks(segments: Sequence[Destroyed], most: int = 128) -> list[tuple[Destroyed, ...]]:
    """Segments in groups of which a tombstone has room for one."""
    return [tuple(segments[at : at + most]) for at in range(0, len(segments), most)]


def stamp(moment: dt.datetime | None) -> str | None:
    """A time as entries have it."""
    return None if moment is None else instant(moment)
