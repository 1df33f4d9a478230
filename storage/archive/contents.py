"""What a Kafka message contributes to the archive: whose it is and which records.

Every message contributes at least one record, so the chains of a partition together always reach its newest sealed
offset. What can't be read is a record too, whole, in the namespace `unreadable`: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from ingest.schema import dead_letter, envelope
from ingest.schema.envelope import Envelope, Header
from ingest.schema.errors import UnsupportedEnvelope
from storage.archive.store import is_key_part
from storage.index.names import naming_fault

UNREADABLE = "unreadable"


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """The records of one Kafka message.

    Attributes:
        records: Their exact bytes; never empty.
        header: What is known of them; None where the message could not be read.
        repeats: As in `ingest.schema.envelope.Envelope`.
    """

    namespace: str
    records: tuple[bytes, ...]
    header: Header | None = None
    repeats: Mapping[int, int] = {}


RecordsOf = Callable[[bytes | None], Content]
"""Reads a message value of one topic; never raises for what a message may hold."""


def of_envelope(value: bytes | None) -> Content:
    """The content of a message of a raw topic."""
    try:
        message = envelope.decode(value)
    except UnsupportedEnvelope:
        return _whole(UNREADABLE, value)
    if fault_of(message):
        return _whole(UNREADABLE, value)
    return Content(
        namespace=message.header.namespace, records=message.records, header=message.header, repeats=message.repeats
    )


def fault_of(message: Envelope) -> str:
    """Why a message that was decoded counts as unreadable all the same, in words; every role goes by this."""
    if not message.records:
        return "it has no records"
    if not _may_own(message.header.namespace):
        return f"its namespace {message.header.namespace[:100]!r} can't own records"
    return ""


def of_letter(value: bytes | None) -> Content:
    """The content of a message of the dead-letter topic: the letter itself, whole."""
    try:
        header = dead_letter.decode(value or b"").header
    except UnsupportedEnvelope:
        return _whole(UNREADABLE, value)
    return _whole(header.namespace if header and _may_own(header.namespace) else UNREADABLE, value)


def _whole(namespace: str, value: bytes | None) -> Content:
    return Content(namespace=namespace, records=(value or b"",))


def _may_own(namespace: str) -> bool:
    """Whether a namespace can have a chain of its own; collectors are configured so that it can."""
    return namespace != UNREADABLE and is_key_part(namespace) and not naming_fault(namespace)
