"""Why a person's key may still be there, though an entry said that it was to go (docs/integrity.md).

Who erases judges again after the entry: a hold or a policy that was entered since, or records that were sealed since,
keep the key. What a segment tells decides that, as for `storage.verify.ledger.erasures`. Where it decides nothing, as
with a hold by a name, it is said that it can't be told: nobody is called a forger for it.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from storage.verify.ledger.calendar import end_of
from storage.verify.ledger.erasures import Erasure, Sealed, class_of, covers, is_on_everything, minimums

_EARLIER = dt.timedelta(days=1)
"""By so much, at most, can something have happened after it was received, by the clock of its source."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a key is still there, in words, and whether that is certain."""

    told: str
    certain: bool


@dataclass(frozen=True, slots=True)
class Present:
    """What is in force when an archive is verified.

    Attributes:
        at: When that is.
        policies: The entries of all policies, oldest first.
        holds: The holds that are open.
    """

    at: dt.datetime
    policies: Sequence[dict[str, Any]]
    holds: Sequence[dict[str, Any]]


def reasons(namespace: str, erasure: Erasure, sealed: Sealed, present: Present) -> Iterator[Reason]:
    """Why a key of these records may still be there.

    Args:
        namespace: Whose.
        erasure: The newest entry by which the key was to go.
        sealed: Records that the key opens.
        present: What is in force.
    """
    late = sealed.sealed_at > erasure.at  # times of one form sort as texts
    try:
        yield from _by_holds(erasure, sealed, present, late=late)
        yield from _by_minimums(namespace, erasure, sealed, present, late=late)
    except (KeyError, TypeError, ValueError) as exc:
        yield Reason(f"a hold or a policy can't be read: {exc!r}", certain=False)
    if late:
        told = f"it sealed records after that entry, {erasure.index}; `skytrail erase apply` again judges them"
        yield Reason(told, certain=False)


def _by_holds(erasure: Erasure, sealed: Sealed, present: Present, *, late: bool) -> Iterator[Reason]:
    judged = set() if late else {hold["id"] for hold in erasure.holds}
    for hold in present.holds:
        if is_on_everything(hold["selector"]) or covers(hold["selector"], sealed):
            yield Reason(f"the hold {hold['id']} is open", certain=True)
        elif hold["id"] not in judged and _may_cover(hold["selector"], sealed):
            yield Reason(f"the hold {hold['id']}, which is open, may be about it", certain=False)


def _may_cover(selector: dict[str, Any], sealed: Sealed) -> bool:
    """Whether a hold can be about such records; of dead letters nobody can tell the data set of what is in them."""
    known = sealed.received is not None
    if known and not any(fnmatch.fnmatchcase(sealed.dataset, each) for each in selector["datasets"]):
        return False
    return not selector["since"] or dt.datetime.fromisoformat(selector["since"]) <= _latest(sealed)


def _by_minimums(namespace: str, erasure: Erasure, sealed: Sealed, present: Present, *, late: bool) -> Iterator[Reason]:
    if sealed.received is not None:
        first, last = map(dt.datetime.fromisoformat, sealed.received)
        for row, until in minimums(namespace, present.policies, sealed.dataset, first, last, present.at):
            if present.at < until:
                yield Reason(f"{row['id']} asks for {row['minimum']}, until {until:%Y-%m-%d}", certain=True)
    # Since when something happened it does not tell. What was judged for the entry keeps nothing afterwards.
    day, dataset = f"{present.at:%Y-%m-%d}", sealed.dataset if sealed.received is not None else None
    for number, entry in enumerate(present.policies):
        for row in _rows(entry["policy"], namespace, dataset):
            new = late or number >= len(erasure.policies) or row["valid_from"] > erasure.at[: len(day)]
            begun = new and bool(row.get("minimum")) and row["valid_from"] <= day
            if begun and present.at < end_of(_latest(sealed), row["minimum"]):
                yield Reason(f"{row['id']} asks for {row['minimum']}, which may not be over", certain=False)


def _rows(policy: dict[str, Any], namespace: str, dataset: str | None) -> Iterator[dict[str, Any]]:
    """Rows of the class of a data set; None: nobody knows it, so of every class of the namespace."""
    rule = class_of(policy, namespace, dataset) if dataset is not None else None
    rules = [rule] if rule is not None else policy["class"] if dataset is None else []
    named = {
        regime
        for each in rules
        if any(fnmatch.fnmatchcase(namespace, one) for one in each["namespaces"])
        for regime in each["regimes"]
    }
    yield from (row for row in policy["regime"] if row["regime"] in named)


def _latest(sealed: Sealed) -> dt.datetime:
    """When the newest of these records happened, or was received, at the latest."""
    told = sealed.received[1] if sealed.received is not None else sealed.sealed_at
    return dt.datetime.fromisoformat(told) + _EARLIER
