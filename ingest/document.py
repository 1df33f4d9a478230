"""Completes a mapped document with what only the pipeline knows: receipt, identity, place in Kafka, the original bytes.

Pure: the clock is an argument. `complete` is the only place where these fields are written, for the index role and for
`skytrail normalise` alike.
"""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass

from ingest.formats.contract import Document, Format, Reading
from ingest.schema.envelope import Position
from ingest.schema.identity import document_id, leaf_hash, uid_of

PRODUCT_VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is known of a record's way to us.

    Attributes:
        locator: Where the body lay (path, bucket/key, request).
        ordinal: Ordinal of the record in that body, from 0.
        repeat: How many times the same bytes occurred before in that body.
        position: Place in Kafka; None where there is no Kafka (`skytrail normalise`).
    """

    namespace: str
    collector: str
    received_at: dt.datetime
    locator: str
    ordinal: int
    repeat: int = 0
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Identified:
    """A complete document with its id and the leaf of the bytes it stands for.

    Attributes:
        reading: The parsed record, for whoever asks more of it (the view of rules) without parsing it again.
    """

    id: str
    uid: str
    leaf: bytes
    document: Document
    reading: Reading


@functools.lru_cache(maxsize=1024)
def utc_millis(moment: dt.datetime) -> str:
    """ISO 8601 in UTC with milliseconds (truncated, as Elasticsearch does) and `Z`.

    Memoised: the records of a message share the moments of receipt and of indexing.
    """
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def whole_millis(moment: dt.datetime | None) -> dt.datetime | None:
    """Cut to milliseconds, as times stand in documents: a border between two is one on one side only."""
    return None if moment is None else moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def complete(
    format_: Format, record: bytes, receipt: Receipt, now: dt.datetime, reading: Reading | None = None
) -> Identified:
    """Normalise a record and add the pipeline's fields.

    Args:
        format_: The format of the record.
        record: The exact bytes.
        receipt: Its way to us.
        now: Index time, becomes `event.ingested`.
        reading: The record, where it was parsed already.

    Raises:
        RejectedRecord: As `Format.read` and `Reading.normalise`.
    """
    reading = format_.read(record) if reading is None else reading
    uid = uid_of(reading.identify(), record, receipt.repeat)
    document = reading.normalise()
    leaf = leaf_hash(record)
    leaf_hex, dataset = leaf.hex(), format_.dataset
    event = document.setdefault("event", {})
    event["hash"] = leaf_hex
    event["created"] = utc_millis(receipt.received_at)
    event["ingested"] = utc_millis(now)
    event["original"] = reading.shown.decode("utf-8", "replace")
    event.setdefault("dataset", dataset)
    event.setdefault("module", dataset.partition(".")[0])
    document["ecs"] = {"version": "8.11.0"}
    document["data_stream"] = {"type": "logs", "dataset": dataset, "namespace": receipt.namespace}
    document["observer"] = {"vendor": "Skytrail", "product": "Skytrail", "version": PRODUCT_VERSION}
    document.setdefault("log", {}).update(file={"path": receipt.locator}, offset=receipt.ordinal)
    document.setdefault("skytrail", {}).update(_provenance(format_, receipt, uid, leaf_hex))
    return Identified(document_id(format_.name, receipt.namespace, uid), uid, leaf, document, reading)


def _provenance(format_: Format, receipt: Receipt, uid: str, leaf_hex: str) -> Document:
    found: Document = {
        "collector": receipt.collector,
        "format": format_.name,
        "format_version": format_.version,
        "uid": uid,
        "integrity": {"leaf_hash": leaf_hex},
    }
    if receipt.position:
        place = receipt.position
        found["kafka"] = {
            "topic": place.topic,
            "partition": place.partition,
            "offset": place.offset,
            "index": place.index,
        }
    return found
