"""Tells of the keys of people that are still there, though the ledger says that they were to be destroyed.

A key opens what its person did in a month, in whatever chain. What keeps it may lie in any of them, so this is told
when all chains of a namespace were read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

from storage.verify.findings import Finding, Kind
from storage.verify.ledger.keeping import Reason
from storage.verify.ledger.retention import Lawful
from storage.verify.people import Person

_WORDS = {
    Kind.KEPT: "the ledger says that the key {key} of somebody was to be destroyed, and it is still in the table of "
    "subjects' keys: {records:,} records from here on can be read",
    Kind.HELD: "the key {key} of somebody was to be destroyed and stays, as the ledger says: {why}; {records:,} "
    "records from here on can be read until that is over and `skytrail erase apply` is run again",
    Kind.UNCHECKED: "the ledger says that the key {key} of somebody was to be destroyed, and it is still in the table "
    "of subjects' keys. Whether it must stay can't be told here: {why}",
}


@dataclass(slots=True)
class Kept:
    """What is to be told of such keys of a namespace.

    Args:
        lawful: What a sound ledger says; None: there is none, so no key was to go.
        at: When it is asked whether a minimum is over.
    """

    lawful: Lawful | None
    at: dt.datetime
    _first: dict[tuple[str, str, int | None], Person] = field(default_factory=dict)
    _records: dict[tuple[str, str, int | None], int] = field(default_factory=dict)
    _reasons: dict[str, Reason] = field(default_factory=dict)
    _unread: set[str] = field(default_factory=set)

    def take(self, person: Person) -> None:
        """Take note of such a key in the next segment."""
        place = person.key, person.site.topic, person.site.partition
        self._first.setdefault(place, person)
        self._records[place] = self._records.get(place, 0) + person.records
        found = self._reasons.get(person.key)
        if self.lawful is None or (found is not None and found.certain):
            return
        for reason in self.lawful.keeping(person.key, person.site.topic, person.times, person.names, self.at):
            if found is None or (reason.certain and not found.certain):
                found = reason
        if found is not None:
            self._reasons[person.key] = found

    def skip(self, month_key: str) -> None:
        """Take note that not every segment under a month's key was read."""
        self._unread.add(month_key)

    def findings(self) -> Iterator[Finding]:
        """One for each key and chain, at its first record there."""
        for place, first in self._first.items():
            reason = self._reasons.get(first.key)
            if reason is None and any(first.key.startswith(f"{each}-") for each in self._unread):
                reason = Reason("not all that it may have sealed was read", certain=False)
            kind = Kind.KEPT if reason is None else Kind.HELD if reason.certain else Kind.UNCHECKED
            why = reason.told if reason is not None else ""
            detail = _WORDS[kind].format(key=first.key, records=self._records[place], why=why)
            yield first.site.finding(kind, detail, offset=first.offset, index=first.index)
