"""What becomes of the records of one person: which keys can go now, which later, and what forbids it.

A right to erasure gives way to a legal hold and to a legal minimum (GDPR Art. 17(3)(b), (e)); what the organisation
promised itself gives way to it. A key opens all that its person did in a month, so one record that must stay keeps it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from ingest.formats.registry import format_named
from ingest.schema.envelope import Position
from ingest.schema.errors import ConfigError, RejectedRecord
from storage.archive.manifest import canonical, digest, instant
from storage.archive.people import Belonging
from storage.archive.subjects import as_received
from storage.retention.entries import Hold
from storage.retention.holding import names_subject, spans
from storage.retention.record import State
from storage.retention.verdict import Subject, bounds_of

Fate = Literal["erase", "later", "held", "kept", "gone"]
"""It goes; something may still be sealed under it; a hold, a legal minimum keeps it; it is gone already."""


class KeyFate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a person's key of one month.

    Attributes:
        records: Sealed under it.
        first: Received first.
        last: Received last.
        because: In words, for what does not go.
        until: When a legal minimum or the month ends.
    """

    key: str
    fate: Fate
    records: int
    segments: int
    first: str = ""
    last: str = ""
    because: str = ""
    until: str = ""


@dataclass(slots=True)
class ErasurePlan:
    """All keys of a person in a namespace.

    Attributes:
        places: Where the records of each key are.
        holds: Ids of the holds that it was compared with, and how many policies.
        segments: How many of each chain had been sealed before anything was read.
    """

    namespace: str
    keys: list[KeyFate]
    places: dict[str, set[Position]]
    holds: frozenset[str]
    policies: int
    segments: Mapping[tuple[str, int], int] = field(default_factory=dict)

    @property
    def going(self) -> list[str]:
        """Ids of the keys that can go now."""
        return sorted(each.key for each in self.keys if each.fate == "erase")

    def unchanged(self, state: State) -> bool:
        """Whether what could forbid it is still what it was."""
        return self.holds == frozenset(each.id for each in state.open_holds()) and self.policies == len(state.policies)


def subject_of_request(namespace: str, keys: Collection[str]) -> str:
    """What people sign: the hex SHA-256 of namespace and keys."""
    return digest(canonical({"keys": sorted(keys), "namespace": namespace}))


@dataclass(slots=True)
class _Seen:
    records: int = 0
    segments: set[tuple[str, int, int]] = field(default_factory=set)
    places: set[Position] = field(default_factory=set)
    first: dt.datetime | None = None
    last: dt.datetime | None = None
    gone: bool = False
    held: str = ""
    floor: tuple[dt.datetime, str] | None = None


def plan_erasure(
    namespace: str,
    keys: Sequence[str],
    belongings: Iterator[Belonging],
    state: State,
    now: dt.datetime,
    *,
    in_use: Callable[[str], str],
    segments: Mapping[tuple[str, int], int],
    present: Callable[[str], bool],
    dataset_of: Callable[[str], str],
) -> ErasurePlan:
    """Decide about every key of a person.

    Args:
        namespace: Whose logs.
        keys: Ids of all keys of the person.
        belongings: What is sealed under them.
        state: What is in force.
        now: The present.
        in_use: Why something may still be sealed under a key, in words; empty: nothing may. It is asked before anything
            is read, so what was sealed until then is among the records.
        segments: How many each chain had, counted before as well.
        present: Whether a key is still in its table.
        dataset_of: The data set of what a topic carries.
    """
    seen, running = {key: _Seen() for key in keys}, {key: in_use(key) for key in keys}
    holds, floors = state.open_holds(), _Floors(namespace, state, now)
    for each in belongings:
        _take(seen[each.key], each, holds, floors, dataset_of(each.position.topic))
    for key, each_seen in seen.items():
        each_seen.gone = not present(key)  # of a key that is left as a copy alone no record can be read, and it goes
    return ErasurePlan(
        namespace,
        [_fate(key, seen[key], running[key]) for key in sorted(seen)],
        {key: each.places for key, each in seen.items()},
        frozenset(hold.id for hold in holds),
        len(state.policies),
        segments,
    )


class _Floors:
    """Legal minimums, remembered for what happened and came in at the same time."""

    def __init__(self, namespace: str, state: State, now: dt.datetime) -> None:
        self._namespace = namespace
        self._state = state
        self._now = now
        self._known: dict[tuple[str, dt.datetime, dt.datetime], tuple[dt.datetime, str] | None] = {}

    def of(self, dataset: str, event: dt.datetime, received: dt.datetime) -> tuple[dt.datetime, str] | None:
        """The minimum that keeps longest what happened and was received then; None where none does."""
        when = (dataset, event, received)
        if when not in self._known:
            subject = Subject(namespace=self._namespace, dataset=dataset, event=event, received=received)
            found = [
                (limit.at, limit.because)
                for kind, limit in (bounds_of("cold", subject, self._state.policies, self._now))
                if kind == "floor" and limit.at > self._now
            ]
            self._known[when] = max(found, default=None)
        return self._known[when]


def _take(seen: _Seen, one: Belonging, holds: Sequence[Hold], floors: _Floors, carried: str) -> None:
    """Add one record to what is known of its key.

    Args:
        carried: The data set of its topic: a dead letter is of that, too, and not of its record's alone.
    """
    seen.records += 1
    seen.places.add(one.position)
    seen.segments.add((one.position.topic, one.position.partition, one.manifest.seq))
    if one.body is None:
        return
    dataset, document, event, received = _document(one, one.body)
    seen.first = min(received, seen.first or received)
    seen.last = max(received, seen.last or received)
    for name in {dataset, carried}:
        floor = floors.of(name, event, received)
        if floor is not None and (seen.floor is None or floor > seen.floor):
            seen.floor = floor
        for hold in holds:
            # From its event to its receipt, as for whole segments: once the key is gone nobody can tell the event.
            within = spans(hold, name, min(event, received) if document is not None else None, max(event, received))
            covered = within and (document is None or names_subject(hold, document))
            seen.held = hold.id if covered else seen.held


def _document(one: Belonging, body: bytes) -> tuple[str, dict[str, object] | None, dt.datetime, dt.datetime]:
    """Data set, document, time of the event and of its receipt; no document where this build can't make one any more.

    Of a dead letter those of the record in it.
    """
    header, record = as_received(one.header, body)
    if header is None:
        sealed = dt.datetime.fromisoformat(one.manifest.sealed_at)
        return one.position.topic, None, sealed, sealed
    received = header.received_at
    try:
        form = format_named(header.format).within(header.context)
    except ConfigError:
        return header.format, None, received, received
    try:
        document = form.read(record).normalise()
        return form.dataset, document, dt.datetime.fromisoformat(str(document["@timestamp"])), received
    except (RejectedRecord, KeyError, ValueError):
        return form.dataset, None, received, received


def _fate(key: str, seen: _Seen, running: str) -> KeyFate:
    fate: Fate = "erase"
    because = until = ""
    if seen.gone:
        fate, because = "gone", "its key was destroyed before"
    elif seen.held:
        fate, because = "held", f"the legal hold {seen.held} covers one of its records"
    elif seen.floor is not None:
        fate, because, until = "kept", f"{seen.floor[1]} keeps one of its records", instant(seen.floor[0])
    elif running:
        fate, because = "later", running
    return KeyFate(
        key=key,
        fate=fate,
        records=seen.records,
        segments=len(seen.segments),
        first=instant(seen.first) if seen.first else "",
        last=instant(seen.last) if seen.last else "",
        because=because,
        until=until,
    )
