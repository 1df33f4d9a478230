"""Whether a person's key might go when an entry said so: by holds, and by the minimums of regimes (docs/retention.md).

What happened when, and to what, only records tell that nobody can read any more. So a segment is judged by what it
still tells: its data set, when its records were received, and whether a hold names the person by the key that tags are
made of. Whatever is said here is certain; what can't be decided is not said.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from storage.verify.ledger.calendar import end_of


@dataclass(frozen=True, slots=True)
class Erasure:
    """An entry by which keys of people go.

    Attributes:
        index: Of the entry.
        at: When it was made, as entries write times.
        policies: The entries of all policies so far, oldest first.
        holds: The holds that were open.
    """

    index: int
    at: str
    policies: Sequence[dict[str, Any]]
    holds: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a segment still tells of the records under a key.

    Attributes:
        dataset: Of its topic.
        received: When its first and its last record were received; None where it does not tell.
        sealed_at: When it was sealed.
        names: Those of the names asked for that are this person's.
    """

    dataset: str
    received: tuple[str, str] | None
    sealed_at: str
    names: Collection[str] = ()


def is_on_everything(selector: dict[str, Any]) -> bool:
    """Whether a hold leaves nothing of its namespace out."""
    narrow = ("since", "until", "principal", "account", "resource")
    return selector["datasets"] == ["*"] and not any(selector.get(name) for name in narrow)


def unlawful(namespace: str, erasure: Erasure, sealed: Sealed) -> Iterator[tuple[str, str]]:
    """Why a key of these records must not have gone: what forbade it, and in words.

    Args:
        namespace: Whose.
        erasure: The entry.
        sealed: Records that the key opened.
    """
    if sealed.sealed_at > erasure.at:
        return  # times of one form sort as texts: it came in after the entry
    for hold in erasure.holds:
        if covers(hold["selector"], sealed):
            yield f"hold {hold['id']}", f"while the hold {hold['id']} was open"
    if sealed.received is None:
        return
    first, last = map(dt.datetime.fromisoformat, sealed.received)
    at = dt.datetime.fromisoformat(erasure.at)
    try:
        for row, until in minimums(namespace, erasure.policies, sealed.dataset, first, last, at):
            if at < until:
                told = f"at {at:%Y-%m-%d}, although {row['id']} asks for {row['minimum']} until {until:%Y-%m-%d}"
                yield row["id"], told
    except (KeyError, TypeError, ValueError) as exc:
        yield "policy", f"by a policy that can't be read: {exc!r}"


def covers(selector: dict[str, Any], sealed: Sealed) -> bool:
    """Whether a hold was certainly about these records; one on everything is told at the entry itself."""
    if is_on_everything(selector) or selector["account"] or selector["resource"]:
        return False
    if not any(fnmatch.fnmatchcase(sealed.dataset, each) for each in selector["datasets"]):
        return False
    if selector["principal"] and selector["principal"] not in sealed.names:
        return False
    # A hold is about all that was received in its time or after and happened before its end, which is before receipt.
    if selector["since"] and (sealed.received is None or _is_before(sealed.received[0], selector["since"])):
        return False
    return not selector["until"] or _is_before(
        sealed.received[1] if sealed.received else sealed.sealed_at, selector["until"]
    )


def _is_before(one: str, other: str) -> bool:
    return dt.datetime.fromisoformat(one) < dt.datetime.fromisoformat(other)


def minimums(
    namespace: str,
    policies: Sequence[dict[str, Any]],
    dataset: str,
    first: dt.datetime,
    last: dt.datetime,
    at: dt.datetime,
) -> Iterator[tuple[dict[str, Any], dt.datetime]]:
    """Rows with a minimum that were in force for all records received from `first` to `last`, and its earliest end.

    Args:
        namespace: Whose.
        policies: The entries of all policies, oldest first.
        dataset: Of the records.
        first: When the first of them was received.
        last: And the last.
        at: When it is judged.
    """
    for number, entry in enumerate(policies):
        if number + 1 < len(policies) and dt.datetime.fromisoformat(policies[number + 1]["at"]) <= last:
            continue
        rule = class_of(entry["policy"], namespace, dataset)
        for row in entry["policy"]["regime"] if rule is not None else ():
            inside = row["valid_from"] <= f"{at:%Y-%m-%d}" and (row.get("valid_to") or "9999") > f"{last:%Y-%m-%d}"
            if rule is not None and row["regime"] in rule["regimes"] and inside and row.get("minimum"):
                yield row, end_of(first, row["minimum"])


def class_of(policy: dict[str, Any], namespace: str, dataset: str) -> dict[str, Any] | None:
    """The class of a policy that decides about a data set of a namespace."""
    for rule in policy["class"]:
        names = any(fnmatch.fnmatchcase(namespace, each) for each in rule["namespaces"])
        if names and any(fnmatch.fnmatchcase(dataset, each) for each in rule["datasets"]):
            return dict(rule)
    return None
