"""Tells of the keys of single people: each once in a chain, at its first record there, whatever it sealed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from storage.verify.findings import Finding, Kind, Site
from storage.verify.ledger.retention import Lawful, Times

_WORDS = {
    Kind.ERASED: "the key {key} of somebody was destroyed, as the ledger says: {records:,} records from here on "
    "can't be read; stored bytes, leaves and root are as they were sealed",
    Kind.MISSING: "the key {key} of somebody is not in the table of subjects' keys, and no entry of the ledger says "
    "that it was to go: {records:,} records from here on can't be read",
    Kind.UNCHECKED: "keys of single people, the first of them {key}, can't be opened, so {records:,} records from here "
    "on were not compared: {why}",
}


@dataclass(frozen=True, slots=True)
class Person:
    """What is to be told of a subject's key in a segment.

    Attributes:
        kind: Of the finding.
        key: Its id.
        records: How many records it sealed there.
        site: The segment.
        offset: Of the first of them.
        index: Of the first of them.
        why: Why nothing is known of the key.
        times: When these records were received, if the segment tells, and when it was sealed.
        names: Of the principals that holds name, those that this person is.
    """

    kind: Kind
    key: str
    records: int
    site: Site
    offset: int | None
    index: int | None
    why: str = ""
    times: Times = (None, "")
    names: frozenset[str] = frozenset()


@dataclass(slots=True)
class Told:
    """What is to be told of the people of a chain.

    Args:
        lawful: What a sound ledger says of retention; None: there is none.
        kept: Is told of keys that are still there, though they were to go.
    """

    lawful: Lawful | None
    kept: Callable[[Person], None]
    _first: dict[tuple[Kind, str], Person] = field(default_factory=dict)
    _records: dict[tuple[Kind, str], int] = field(default_factory=dict)
    _unlawful: dict[tuple[str, str], tuple[str, Person]] = field(default_factory=dict)

    def take(self, person: Person) -> None:
        """Take note of a key in the next segment."""
        if person.kind is Kind.KEPT:
            self.kept(person)
        else:
            what = person.kind, person.why if person.kind is Kind.UNCHECKED else person.key
            self._first.setdefault(what, person)
            self._records[what] = self._records.get(what, 0) + person.records
        if self.lawful is not None and person.site.topic is not None:
            for forbade, told in self.lawful.judge_erased(person.key, person.site.topic, person.times, person.names):
                self._unlawful.setdefault((person.key, forbade), (told, person))

    def findings(self) -> Iterator[Finding]:
        """One for each key, or for all of which the same is unknown, by their first records; then what was unlawful."""
        for what, first in self._first.items():
            detail = _WORDS[first.kind].format(key=first.key, records=self._records[what], why=first.why)
            yield first.site.finding(first.kind, detail, offset=first.offset, index=first.index)
        for (key, _), (told, first) in self._unlawful.items():
            detail = f"the key {key} of somebody {told}"
            yield first.site.finding(Kind.UNLAWFUL, detail, offset=first.offset, index=first.index)
