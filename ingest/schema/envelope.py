"""The envelope: up to 500 records of one format in one Kafka message, each exactly as received.

Wire form: one version byte, then a msgpack array ``[header, records, repeats]``. The records are opaque: nothing here
parses or re-encodes them, so the archive can prove the bytes that arrived.

The position of a record is (topic, partition, offset, index in the envelope). It never changes; manifests, accounting,
dead letters and documents cite it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import msgspec

from ingest.schema.errors import UnsupportedEnvelope

VERSION = 1
MAX_RECORDS = 500
MAX_BYTES = 1024 * 1024  # records of one envelope together, uncompressed
MAX_RECORD_BYTES = 8 * 1024 * 1024  # a larger record goes to the archive as an object


Context = tuple[tuple[str, str], ...]
"""What a body says of all its records beside them, as (name, value): a log group, the names of columns."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a collected body came from; enough to fetch and compare it again.

    Attributes:
        transport: Name of the transport (`files`, `kubernetes_webhook`, …).
        locator: Path, bucket/key or request id of the body.
        version: Object version where the source has one.
        etag: The source's own checksum where it has one.
        sha256: Hex SHA-256 of the inflated body.
        first_ordinal: Ordinal in the body (from 0) of the first record of this envelope.
    """

    transport: str
    locator: str
    version: str = ""
    etag: str = ""
    sha256: str = ""
    first_ordinal: int = 0


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of every record in an envelope.

    Attributes:
        format: Name of the format (`aws.cloudtrail`).
        namespace: Tenant or business unit.
        collector: Id of the collector, as in the settings.
        received_at: When the body was collected (UTC, microseconds).
        context: What the body says of all its records beside them; their format may need it to read them.
    """

    format: str
    namespace: str
    collector: str
    received_at: dt.datetime
    origin: Origin
    context: Context = ()


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A header and its records.

    Attributes:
        records: The exact received bytes, one element a record.
        repeats: For a record whose bytes occurred before in the same body: index in `records` → how many times before.
            Identity needs it where a format has no id of its own.
    """

    header: Header
    records: tuple[bytes, ...]
    repeats: Mapping[int, int] = {}

    @property
    def size(self) -> int:
        """Bytes of all records together."""
        return sum(map(len, self.records))


class Position(msgspec.Struct, frozen=True, order=True):
    """Where an envelope lies in Kafka; with an index, where a record lies."""

    topic: str
    partition: int
    offset: int
    index: int = 0

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}/{self.index}"


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Header, tuple[bytes, ...], dict[int, int]])


def encode(envelope: Envelope) -> bytes:
    """Serialise an envelope; `decode` gives back an equal one."""
    body = (envelope.header, envelope.records, dict(envelope.repeats))
    return bytes((VERSION,)) + _encoder.encode(body)


def decode(message: bytes | None) -> Envelope:
    """Read a Kafka message value.

    Raises:
        UnsupportedEnvelope: Empty, of another version, or not an envelope: the whole message is a dead letter.
    """
    if not message:
        raise UnsupportedEnvelope("decoding envelope: the message is empty")
    if message[0] != VERSION:
        raise UnsupportedEnvelope(
            f"decoding envelope: version byte is {message[0]}, this build reads {VERSION}",
            mend="upgrade this worker, or find out who writes to the raw topics",
        )
    try:
        header, records, repeats = _decoder.decode(memoryview(message)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OverflowError, RecursionError) as exc:
        raise UnsupportedEnvelope(f"decoding envelope: {exc}") from exc
    return Envelope(header=header, records=records, repeats=repeats)


def pack(header: Header, records: Sequence[bytes], repeats: Mapping[int, int] | None = None) -> list[Envelope]:
    """Cut the records of one body into envelopes within the limits, in order.

    A record above `MAX_BYTES` travels alone. `header.origin.first_ordinal` is advanced per envelope.
    `repeats` is keyed by the ordinal in `records`.
    """
    seen = repeats or {}
    envelopes: list[Envelope] = []
    start = 0
    while start < len(records):
        end, size = start + 1, len(records[start])
        while end < len(records) and end - start < MAX_RECORDS and size + len(records[end]) <= MAX_BYTES:
            size += len(records[end])
            end += 1
        origin = msgspec.structs.replace(header.origin, first_ordinal=header.origin.first_ordinal + start)
        envelopes.append(
            Envelope(
                header=msgspec.structs.replace(header, origin=origin),
                records=tuple(records[start:end]),
                repeats={i - start: seen[i] for i in range(start, end) if i in seen},
            )
        )
        start = end
    return envelopes
