"""From a raw Kafka message to what the index role does with it. Pure: clock and limits are arguments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.document import Identified, Receipt, complete
from ingest.formats.contract import Format, Reading
from ingest.formats.registry import format_named
from ingest.schema import envelope as envelopes
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.envelope import Envelope, Header, Position
from ingest.schema.errors import ConfigError, MalformedRecord, RejectedRecord, UnsupportedEnvelope
from storage.archive.contents import fault_of


@dataclass(frozen=True, slots=True)
class Limits:
    """Event times outside are archived and dead-lettered, not indexed."""

    max_future: dt.timedelta
    max_age: dt.timedelta

    @classmethod
    def of(cls, future_h: int, age_d: int) -> Limits:
        """From the settings: hours ahead, days back."""
        return cls(dt.timedelta(hours=future_h), dt.timedelta(days=age_d))


@dataclass(frozen=True, slots=True)
class PreparedRecord:
    """One record on its way into the index."""

    record: bytes
    event_time: dt.datetime
    identified: Identified
    position: Position


@dataclass(slots=True)
class PreparedMessage:
    """One envelope: what goes on, and what was refused."""

    position: Position
    header: Header | None
    received: int
    size: int
    records: list[PreparedRecord] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    format: Format | None = None
    repeats: Mapping[int, int] = field(default_factory=dict)


def prepare(value: bytes | None, position: Position, now: dt.datetime, limits: Limits) -> PreparedMessage:
    """Decode, normalise and complete every record of a message; never raises for bad data."""
    message, envelope = open_message(value, position, now)
    if envelope is None or message.format is None:
        return message
    for index in range(len(envelope.records)):
        place = Position(position.topic, position.partition, position.offset, index)
        try:
            message.records.append(prepare_record(envelope, message.format, place, now, limits))
        except RejectedRecord as exc:
            message.letters.append(letter_of(envelope, message.format, place, now, exc))
    return message


def open_message(value: bytes | None, position: Position, now: dt.datetime) -> tuple[PreparedMessage, Envelope | None]:
    """Decode a message without looking at its records.

    What can't be decoded, or is of a format that this build does not know, is all letters; then there is no envelope.
    """
    try:
        envelope = _readable(value)
    except UnsupportedEnvelope as exc:
        return _poison(value or b"", position, now, exc), None
    try:
        format_ = format_named(envelope.header.format).within(envelope.header.context)
    except ConfigError as exc:
        return _of_unknown_format(envelope, position, now, exc), None
    message = PreparedMessage(position, envelope.header, len(envelope.records), envelope.size, format=format_)
    message.repeats = envelope.repeats
    return message, envelope


def _readable(value: bytes | None) -> Envelope:
    """The envelope of a message that every role can read.

    Raises:
        UnsupportedEnvelope: It is none; the sealer keeps it whole under the namespace `unreadable`.
    """
    envelope = envelopes.decode(value)
    if fault := fault_of(envelope):
        raise UnsupportedEnvelope(f"reading envelope: {fault}", mend="find out who writes to the raw topics")
    return envelope


def prepare_record(
    envelope: Envelope,
    format_: Format,
    place: Position,
    now: dt.datetime,
    limits: Limits,
    reading: Reading | None = None,
) -> PreparedRecord:
    """Normalise one record of an envelope and check that its time is believable.

    Args:
        envelope: What holds the record.
        format_: Its format.
        place: Which record of the envelope it is.
        now: Index time.
        limits: What is believable.
        reading: The record, where it was parsed already.

    Raises:
        RejectedRecord: It can't become a document.
    """
    record = envelope.records[place.index]
    header = envelope.header
    receipt = Receipt(
        namespace=header.namespace,
        collector=header.collector,
        received_at=header.received_at,
        locator=header.origin.locator,
        ordinal=header.origin.first_ordinal + place.index,
        repeat=envelope.repeats.get(place.index, 0),
        position=place,
    )
    identified = complete(format_, record, receipt, now, reading)
    return PreparedRecord(record, believable_time(identified, now, limits), identified, place)


def believable_time(identified: Identified, now: dt.datetime, limits: Limits) -> dt.datetime:
    """The event time of a document.

    Raises:
        MalformedRecord: It lies further ahead or back than the limits.
    """
    text = str(identified.document["@timestamp"])
    try:
        when = dt.datetime.fromisoformat(text)
    except ValueError as exc:
        raise MalformedRecord(f"reading event time: {text!r} is no time") from exc
    if when > now + limits.max_future:
        raise MalformedRecord(
            f"checking event time: {text} lies more than {limits.max_future} ahead of the clock",
            mend="check the clock of the source; redrive when the time has come",
        )
    if when < now - limits.max_age:
        raise MalformedRecord(
            f"checking event time: {text} is older than the longest retention ({limits.max_age.days} days)",
            mend="raise worker.max_age_d if it is to be indexed, then redrive",
        )
    return when


def letter_of(
    envelope: Envelope,
    format_: Format | None,
    place: Position,
    now: dt.datetime,
    error: RejectedRecord,
    *,
    stage: str = "index",
) -> DeadLetter:
    """The dead letter of one record."""
    record = envelope.records[place.index]
    return DeadLetter(
        stage=stage,
        reason=error.kind,
        message=str(error),
        refused_at=now,
        body=record,
        size=len(record),
        header=envelope.header,
        position=place,
        format_version=format_.version if format_ else "",
        repeat=envelope.repeats.get(place.index, 0),
    )


def letter_of_document(
    message: PreparedMessage, position: Position, record: bytes, refusal: str, index: str, now: dt.datetime
) -> DeadLetter:
    """The dead letter of a record whose document Elasticsearch refused for good."""
    return DeadLetter(
        stage="index",
        reason="RefusedDocument",
        message=f"indexing: {refusal}; mend the mapping or the record, then redrive",
        refused_at=now,
        body=record,
        size=len(record),
        header=message.header,
        position=position,
        format_version=message.format.version if message.format else "",
        index=index,
        repeat=message.repeats.get(position.index, 0),
    )


def _of_unknown_format(envelope: Envelope, position: Position, now: dt.datetime, error: ConfigError) -> PreparedMessage:
    """Each record is a letter of its own: its source is known, and it can be redriven when its format is."""
    refusal = UnsupportedEnvelope(error.what, mend="upgrade this worker, then `skytrail dead-letters redrive`")
    message = PreparedMessage(position, envelope.header, len(envelope.records), envelope.size)
    message.repeats = envelope.repeats
    for index in range(len(envelope.records)):
        place = Position(position.topic, position.partition, position.offset, index)
        message.letters.append(letter_of(envelope, None, place, now, refusal))
    return message


def _poison(value: bytes, position: Position, now: dt.datetime, error: UnsupportedEnvelope) -> PreparedMessage:
    message = PreparedMessage(position, None, 1, len(value))
    message.letters.append(
        DeadLetter(
            stage="index",
            reason=error.kind,
            message=str(error),
            refused_at=now,
            body=value,
            size=len(value),
            position=position,
        )
    )
    return message
