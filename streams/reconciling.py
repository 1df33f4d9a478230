"""Compares the documents of a namespace with what its archive makes of the same records, document by document.

Both come in the order of their places in Kafka, so memory stays bounded. A document is right if the archive has a
record at the place that it names, of which the same code makes the same document under the same id. A record is indexed
if its document is there, or that of another record with the same id and the same bytes.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.pseudonyms.pseudonyms import Pseudonyms, mark_of
from ingest.schema.envelope import Position
from storage.index.bulk import Mend
from storage.index.scan import Reach
from storage.index.search import Hit
from storage.verify.findings import Finding, Kind
from streams.differing import OF_EVERY_KEY, OF_EVERY_VERSION, differences, version_of
from streams.pseudonyms import NO_PSEUDONYMS
from streams.rebuilding import Rebuilt

Key = tuple[str, int, int, int]
Fetch = Callable[[Sequence[tuple[str, str]]], Awaitable[list[Hit | None]]]
"""Documents by index and id, in order; None where there is none."""
Restore = Callable[[Sequence["Lost"]], Awaitable[None]]
"""Takes records without a document; called before the records behind them are looked up."""
YOUNG = dt.timedelta(minutes=15)
"""What came later need not be in both yet."""
_BATCH = 500


@dataclass(slots=True)
class Counts:
    """What was compared.

    Attributes:
        documents: That are as the archive makes them.
        duplicates: Records whose document came from another record of the same bytes.
        not_indexed: Records that are refused (their dead letter is in the archive) or kept out by a filter.
        young: Records and documents so new that the other side need not have them.
        other_version: Documents that another version of Skytrail made: only their original was compared.
        other_key: Documents under pseudonyms of which there is no key: only hash and uid were compared.
    """

    documents: int = 0
    duplicates: int = 0
    not_indexed: int = 0
    young: int = 0
    other_version: int = 0
    other_key: int = 0


@dataclass(frozen=True, slots=True)
class Sides:
    """How far both sides got.

    Attributes:
        reach: Of the index.
        sealed: Newest sealed offset by topic and partition.
        buried: Places of records that are dead letters.
        dropped: Indices of which the ledger says that they were dropped.
        gone_key: Id of the data key that is gone and without which the archive's record at a place can't be read.
        shredded: Ids of the data keys of which the ledger says that they are to be destroyed.
    """

    reach: Reach
    sealed: Mapping[tuple[str, int], int]
    buried: Callable[[], frozenset[Position]]
    dropped: frozenset[str] = frozenset()
    gone_key: Callable[[Position], str | None] = lambda _: None
    shredded: Collection[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Lost:
    """A record that should have a document and has none.

    Attributes:
        taken: The document under its id is that of other bytes, so it belongs under the second id.
    """

    rebuilt: Rebuilt
    taken: bool


@dataclass(slots=True)
class Reconciling:
    """One comparison of one namespace.

    Args:
        namespace: Which.
        sides: How far both got.
        fetch: Reads documents by their ids.
        mend: Changes a document to fit the index, as the writer does.
        now: The present.
        restore: Is given every record without a document, which then is no finding.
        pseudonyms: The keys that there are, so that what is under one of them can be compared.
    """

    namespace: str
    sides: Sides
    fetch: Fetch
    mend: Mend
    now: dt.datetime
    restore: Restore | None = None
    pseudonyms: Pseudonyms = NO_PSEUDONYMS
    counts: Counts = field(default_factory=Counts)
    _waiting: list[Rebuilt] = field(default_factory=list)
    _lost: list[Lost] = field(default_factory=list)
    _strangers: dict[tuple[str, str], Finding] = field(default_factory=dict)
    _lag: Counter[tuple[str, int]] = field(default_factory=Counter)
    _lag_from: dict[tuple[str, int], Position] = field(default_factory=dict)
    _other: Counter[str] = field(default_factory=Counter)
    _hidden: Counter[str] = field(default_factory=Counter)

    async def compare(self, stored: AsyncIterator[Hit], rebuilt: Iterator[Rebuilt]) -> AsyncIterator[Finding]:
        """What differs.

        Args:
            stored: The documents, by place; those without one last.
            rebuilt: What the archive makes of its records, by place.
        """
        upcoming = next(rebuilt, None)
        async for hits in _by_place(stored):
            place = key_of(hits[0].source)
            if place is None:
                for hit in hits:
                    self._stranger(hit, "it names no place in Kafka")
                continue
            while upcoming is not None and _key(upcoming.position) < place:
                self._miss(upcoming)
                if len(self._waiting) >= _BATCH:
                    async for finding in self._looked_up():
                        yield finding
                upcoming = next(rebuilt, None)
            if upcoming is not None and _key(upcoming.position) == place:
                for finding in self._at_place(upcoming, hits):
                    yield finding
                upcoming = next(rebuilt, None)
            else:
                for finding in self._without_record(Position(*place), hits):
                    yield finding
        while upcoming is not None:
            self._miss(upcoming)
            if len(self._waiting) >= _BATCH:
                async for finding in self._looked_up():
                    yield finding
            upcoming = next(rebuilt, None)
        async for finding in self._looked_up():
            yield finding
        for finding in self._rest():
            yield finding

    def _at_place(self, expected: Rebuilt, hits: Sequence[Hit]) -> Iterator[Finding]:
        """The documents that name one place: one of them is that of the record."""
        own = [hit for hit in hits if hit.id in (expected.id, expected.second_id)]
        if own:
            yield from self._judged(expected, own[0])
        elif expected.document is None and len(hits) == 1 and leaf_of(hits[0].source) == expected.leaf:
            own = [hits[0]]  # refused today, accepted when it came
            self._other[hits[0].index] += 1
        else:
            self._miss(expected)
        for hit in hits:
            if not own or hit is not own[0]:
                self._stranger(hit, "another document than the archive makes of the record at its place")

    def _judged(self, expected: Rebuilt, hit: Hit) -> Iterator[Finding]:
        """Whether a document is as it was written."""
        assert expected.document is not None
        wanted, hidden = self._as_stored(expected.document, hit)
        differing = differences(expected, wanted, hit, self.mend)
        if hidden:
            self._hidden[hit.index] += 1
            differing = [name for name in differing if name in OF_EVERY_KEY]
        if version_of(hit.source) != version_of(expected.document):
            self._other[hit.index] += 1
            differing = [name for name in differing if name in OF_EVERY_VERSION]
        if hit.index != expected.index:
            differing.append(f"its index, which is {expected.index}")
        if differing:
            detail = f"not as the archive makes it: {', '.join(differing[:12])}"
            yield self._finding(Kind.ALTERED, detail, expected.position, f"{hit.index}/{hit.id}")
        else:
            self.counts.documents += 1

    def _as_stored(self, document: dict[str, Any], hit: Hit) -> tuple[dict[str, Any], bool]:
        """The document under the pseudonyms that the stored one names; True: it can't be made here."""
        mark = mark_of(hit.source)
        made = document if mark is None else self.pseudonyms.as_marked(document, mark)
        return (document, True) if made is None else (made, False)

    def _miss(self, expected: Rebuilt) -> None:
        """No document names this place: it may be that of another record."""
        if expected.document is None:
            self.counts.not_indexed += 1
        else:
            self._waiting.append(expected)

    def _without_record(self, place: Position, hits: Sequence[Hit]) -> Iterator[Finding]:
        """The documents that name a place at which the archive has no record, or one that can't be read any more."""
        sealed = place.offset <= self.sides.sealed.get((place.topic, place.partition), -1)
        key = self.sides.gone_key(place) if sealed else None
        for hit in hits:
            if key is None:
                self._stranger(hit, "the archive has no record at the place that it names")
            elif key in self.sides.shredded:
                detail = f"its record is erased: the data key {key} was destroyed, as the ledger says"
                yield self._finding(Kind.KEPT, detail, place, f"{hit.index}/{hit.id}")
            else:
                detail = (
                    f"not compared: the data key {key} of its record is gone, and no entry of the ledger says that it "
                    "was to go; this may be the last that is left of it"
                )
                yield self._finding(Kind.UNCHECKED, detail, place, f"{hit.index}/{hit.id}")

    def _stranger(self, hit: Hit, detail: str) -> None:
        """A document that is not that of its place; at the end it is a finding, unless it is known by then."""
        place = key_of(hit.source)
        position = Position(*place) if place else None
        sealed = self.sides.sealed.get(place[:2], -1) if place else -1
        if place and place[2] > sealed and self._is_young(hit.source.get("event", {}).get("created")):
            self.counts.young += 1
            return
        self._strangers[hit.index, hit.id] = self._finding(Kind.INSERTED, detail, position, f"{hit.index}/{hit.id}")

    async def _looked_up(self) -> AsyncIterator[Finding]:
        """Records of whose place no document tells."""
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), _BATCH):
            part = waiting[start : start + _BATCH]
            first = await self.fetch([(each.index, each.id) for each in part])
            second = await self.fetch([(each.index, each.second_id) for each in part])
            for expected, *found in zip(part, first, second, strict=True):
                for finding in self._without_place(expected, [hit for hit in found if hit is not None]):
                    yield finding
            lost, self._lost = self._lost, []
            if self.restore is not None and lost:
                await self.restore(lost)

    def _without_place(self, expected: Rebuilt, found: Sequence[Hit]) -> Iterator[Finding]:
        same = [hit for hit in found if leaf_of(hit.source) == expected.leaf]
        moved = next((hit for hit in found if (hit.index, hit.id) in self._strangers), None)
        own = next((hit for hit in found if key_of(hit.source) == _key(expected.position)), None)
        if moved is not None:
            del self._strangers[moved.index, moved.id]
            yield from self._judged(expected, moved)
        elif own is not None:  # its time of receipt was altered, so that it was not among those of the time range
            yield from self._judged(expected, own)
        elif same:
            self.counts.duplicates += 1
        elif expected.index in self.sides.dropped or expected.position in self.sides.buried():
            self.counts.not_indexed += 1
        elif self.restore is not None:
            self._lost.append(Lost(expected, any(hit.id == expected.id for hit in found)))
        else:
            yield from self._missing(expected)

    def _missing(self, expected: Rebuilt) -> Iterator[Finding]:
        """It should be there, unless the index role has not come to it."""
        place = expected.position
        reach = self.sides.reach
        passed = place.offset < reach.offsets.get((place.topic, place.partition), -1)
        later = reach.ingested is not None and reach.ingested > expected.received_at + YOUNG
        if passed or later:
            detail = "the archive has the record, and its document is gone"
            yield self._finding(Kind.MISSING, detail, place, f"{expected.index}/{expected.id}")
        elif self.now - expected.received_at < YOUNG:
            self.counts.young += 1
        else:
            self._lag[place.topic, place.partition] += 1
            self._lag_from.setdefault((place.topic, place.partition), place)

    def _rest(self) -> Iterator[Finding]:
        yield from self._strangers.values()
        for stream, count in sorted(self._lag.items()):
            detail = f"{count} of the newest records are not in the index: it lags, or its end was cut off"
            yield self._finding(Kind.UNCHECKED, detail, self._lag_from[stream], "")
        for index, count in sorted(self._hidden.items()):
            self.counts.other_key += count
            detail = (
                f"{count} documents are under pseudonyms of a key or a version that is not here: only their hash and "
                "uid were compared"
            )
            yield self._finding(Kind.UNCHECKED, detail, None, index)
        for index, count in sorted(self._other.items()):
            self.counts.other_version += count
            detail = f"{count} documents were made by another version: only their original was compared"
            yield self._finding(Kind.UNCHECKED, detail, None, index)

    def _finding(self, kind: Kind, detail: str, place: Position | None, document: str) -> Finding:
        return Finding(
            kind=kind,
            detail=detail,
            namespace=self.namespace,
            topic=place.topic if place else "",
            partition=place.partition if place else None,
            offset=place.offset if place else None,
            index=place.index if place else None,
            document=document,
        )

    def _is_young(self, created: Any) -> bool:
        try:
            return self.now - dt.datetime.fromisoformat(created) < YOUNG
        except (TypeError, ValueError):
            return False


def leaf_of(source: Mapping[str, Any]) -> str:
    """The leaf hash that a document names."""
    event = source.get("event")
    return str(event.get("hash", "")) if isinstance(event, dict) else ""


def key_of(source: Mapping[str, Any]) -> Key | None:
    """The place that a document names; None where it names none."""
    skytrail = source.get("skytrail")
    kafka = skytrail.get("kafka") if isinstance(skytrail, dict) else None
    if not isinstance(kafka, dict):
        return None
    topic = kafka.get("topic")
    numbers = [n for n in map(kafka.get, ("partition", "offset", "index")) if type(n) is int and n >= 0]
    if not isinstance(topic, str) or len(numbers) != 3:  # noqa: PLR2004 - those three
        return None
    return topic, numbers[0], numbers[1], numbers[2]


def _key(position: Position) -> Key:
    return position.topic, position.partition, position.offset, position.index


async def _by_place(stored: AsyncIterator[Hit]) -> AsyncIterator[list[Hit]]:
    """The documents that name the same place, together."""
    together: list[Hit] = []
    async for hit in stored:
        if together and key_of(together[0].source) != key_of(hit.source):
            yield together
            together = []
        together.append(hit)
    if together:
        yield together
