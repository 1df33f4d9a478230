"""Compares what a store itself keeps from being deleted with what stamps and holds promise, object by object.

A lock or a legal hold that somebody took off leaves every byte as it was, so nothing else would find it. A place that
can't keep anything from being deleted (a directory, a bucket without Object Lock) is not asked: what is gone from
there is found when it is gone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from storage.verify.findings import Finding, Kind, Site
from storage.verify.places import Place

_ROUNDED = dt.timedelta(seconds=1)  # S3 keeps no fractions


@dataclass(frozen=True, slots=True)
class Owed:
    """What the store owes to one segment.

    Attributes:
        until: Up to when its own stamp promises to keep it, ISO 8601; empty where it has none.
        holds: Open holds that cover it.
        free: No hold can be about it, so the store must not hold it either.
    """

    until: str = ""
    holds: tuple[str, ...] = ()
    free: bool = False

    def __bool__(self) -> bool:
        return bool(self.until or self.holds or self.free)


NOTHING = Owed()


def compare(place: Place, manifest: dict[str, Any], owed: Owed, site: Site) -> Iterator[Finding]:
    """What the store does not keep as it should; one finding of a kind for a segment, naming the first object.

    Raises:
        OSError: The store can't be asked.
    """
    told: set[Kind] = set()
    for key in (manifest["body"]["key"], manifest["headers"]["key"], manifest["leaves"]["key"], site.key):
        for kind, detail in _wrong(place, key, owed):
            if kind not in told:
                told.add(kind)
                yield site.finding(kind, detail, key=key)


def _wrong(place: Place, key: str, owed: Owed) -> Iterator[tuple[Kind, str]]:
    guard = place.guard(key)
    if guard is None:
        return
    if owed.holds and not guard.held:
        yield Kind.DRIFT, f"the store does not hold it, and the hold {owed.holds[0]} of the ledger is open"
    if owed.free and guard.held:
        yield Kind.DRIFT, "the store holds it, and the ledger has no open hold about it"
    if not owed.until:
        return
    if guard.until is None:
        yield Kind.LOCK_WEAK, f"the store does not lock it, and its stamp promises to keep it until {owed.until[:10]}"
    elif guard.until + _ROUNDED < dt.datetime.fromisoformat(owed.until):
        until = f"{guard.until:%Y-%m-%d}"
        yield Kind.LOCK_WEAK, f"the store locks it until {until}, its stamp promises to keep it until {owed.until[:10]}"
