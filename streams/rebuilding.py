"""From the archive to the documents that the index role makes of it: the same code, hence the same ids. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import orjson

from ingest.schema import envelope as envelopes
from ingest.schema.envelope import Envelope, Header, Position
from ingest.schema.identity import equivocating_id, leaf_hash
from storage.archive.reader import Record
from storage.index.documents import serialise
from storage.retention.stamping import Stamps
from streams.agents.index import KeepOut
from streams.naming import Namer
from streams.preparing import Limits, PreparedRecord, prepare
from streams.stamping import subject_of


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What becomes of a sealed record.

    Attributes:
        leaf: Hex leaf hash of the record.
        received_at: When it came to us.
        index: Where its document belongs; with the ids and the document empty if it has none.
        second_id: The id if another record came first under `id`.
        document: As it is written, but for `event.ingested`.
        stamps: Every stamp of retention that it may carry; the one that it would get now is the last.
        why: Why it has no document: refused, or kept out by a filter.
    """

    position: Position
    received_at: dt.datetime
    leaf: str
    index: str = ""
    id: str = ""
    second_id: str = ""
    document: dict[str, Any] | None = None
    why: str = ""
    stamps: tuple[dict[str, str], ...] = ()


class Rebuilder:
    """Makes documents of sealed records.

    Args:
        namer: Names of indices.
        limits: Event times that are believable, measured from the receipt of a record.
        keep_out: The filters of the index.
        stamps: Gives the stamps of retention; None: documents carry none.
    """

    def __init__(self, namer: Namer, limits: Limits, keep_out: KeepOut, stamps: Stamps | None = None) -> None:
        self._namer = namer
        self._limits = limits
        self._keep_out = keep_out
        self._stamps = stamps

    def rebuild(self, records: Iterable[Record]) -> Iterator[Rebuilt]:
        """What becomes of records that come message by message; those without a header are passed over."""
        for _, group in groupby(records, key=_message_of):
            members = list(group)
            if members[0].header is not None:
                yield from self._message(members[0].header, members)

    def _message(self, header: Header, members: list[Record]) -> Iterator[Rebuilt]:
        first = members[0].position
        repeats = {record.position.index: record.repeat for record in members if record.repeat}
        # Of a message with records of somebody erased the others keep their numbers: nothing stands at these places.
        bodies = {record.position.index: record.body for record in members}
        records = tuple(bodies.get(index, b"") for index in range(members[-1].position.index + 1))
        envelope = Envelope(header=header, records=records, repeats=repeats)
        place = Position(first.topic, first.partition, first.offset)
        message = prepare(envelopes.encode(envelope), place, header.received_at, self._limits)
        kept_out = self._keep_out(message)
        filtered = {message.records[number].position: rule for number, rule in kept_out.items()}
        prepared = {each.position: each for each in message.records}
        refused = {letter.position: letter.message for letter in message.letters}
        for record in members:
            found = prepared.get(record.position)
            if found is None or record.position in filtered:
                rule = filtered.get(record.position)
                why = f"kept out by {rule}" if rule else refused.get(record.position, "refused")
                yield Rebuilt(record.position, header.received_at, leaf_hash(record.body).hex(), why=why)
            else:
                yield self._made(header, found)

    def _made(self, header: Header, prepared: PreparedRecord) -> Rebuilt:
        identified = prepared.identified
        stream = identified.document["data_stream"]
        index = self._namer(stream["dataset"], stream["namespace"], prepared.event_time)
        second = equivocating_id(header.format, stream["namespace"], identified.uid, identified.leaf)
        document = orjson.loads(serialise(identified.document))
        stamps: tuple[dict[str, str], ...] = ()
        if self._stamps is not None:
            self._stamps.adopted.refresh([header.namespace])
            subject = subject_of(document, prepared.event_time, header.received_at)
            stamps = tuple(stamp.fields() for stamp in self._stamps.possible(subject))
        if stamps:
            document["skytrail"]["retention"] = stamps[-1]
        return Rebuilt(
            prepared.position,
            header.received_at,
            identified.leaf.hex(),
            index,
            identified.id,
            second,
            document,
            stamps=stamps,
        )


def _message_of(record: Record) -> tuple[str, int, int]:
    place = record.position
    return place.topic, place.partition, place.offset
