"""The formats of Azure's logs: how they are split, recognised and read is the same for all; the rest is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.formats.azure_records.records import LIST_KEYS, kind_in, open_record
from ingest.formats.azure_records.redaction import redact
from ingest.formats.contract import Document, Format, LogSource, Reading, View
from ingest.parsing.json_slices import split_objects
from ingest.parsing.prune import prune
from ingest.schema.fields import Field
from ingest.schema.identity import leaf_hash

MARKS = (
    *(b'"category"', b'"operationname', b'"resourceid', b'"claims', b"signinlogs", b"auditlogs", b"azureactivity"),
    *(b"loggedbyservice", b"initiatedby", b"riskstate", b"userprincipalname", b"serviceprincipalid", b"eventdataid"),
    b"accountname",
)
"""What an Azure record holds, whatever the log and the channel: what `kinds.kind_of` looks at."""

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """What sets one of Azure's logs apart.

    Attributes:
        own_id: The source's own id of a record; None where it has none that is unique.
        document_of: Maps a pruned record; its second argument becomes `event.id`.
        vendor_of: The record as rules see it.
        telltale: What a sample of it that ends inside its first record looks like.
    """

    own_id: Callable[[Event], str | None]
    document_of: Callable[[Event, str], Document]
    vendor_of: Callable[[dict[str, Any]], Mapping[str, Any]]
    telltale: re.Pattern[bytes]


class AzureReading:
    """A parsed record without its secrets; only the leaf is that of the exact bytes."""

    __slots__ = ("_event", "_own_id", "_parts", "record", "shown")

    def __init__(self, record: bytes, shown: bytes, event: dict[str, Any], parts: Parts) -> None:
        self.record = record
        self.shown = shown
        self._event = event
        self._parts = parts
        self._own_id = parts.own_id(event)

    def identify(self) -> str | None:
        """The id that the source gave it; None without one: correlation ids are shared by several records."""
        return self._own_id

    def view(self) -> View:
        """The record in the shape of the resource log schema, for rules."""
        return View(vendor=self._parts.vendor_of(self._event), member=self._id())

    def normalise(self) -> Document:
        """The ECS document, without secrets.

        Raises:
            MalformedRecord: It can't be placed in time.
        """
        return self._parts.document_of(prune(self._event), self._id())

    def _id(self) -> str:
        return self._own_id or f"leaf:{leaf_hash(self.record).hex()}"


@dataclass(frozen=True, eq=False)
class AzureFormat(Format):
    """One of Azure's logs; see `ingest/formats/contract.py` for what each part promises."""

    name: str
    dataset: str
    version: str
    log_source: LogSource
    fields: Sequence[Field]
    aliases: Mapping[str, str]
    parts: Parts = field(repr=False)
    clock_name: str = "time"
    list_keys: Sequence[str] = LIST_KEYS
    marks: Sequence[bytes] = MARKS

    def split(self, body: bytes) -> Iterator[bytes]:
        """Yield the exact slices of a body's records.

        Raises:
            MalformedBody: At the first byte that can't be split; the records before it are delivered.
        """
        return split_objects(body, LIST_KEYS, self.claims)

    def read(self, record: bytes) -> Reading:
        """Take secrets out, parse, and bring the record into the shape of the resource log schema.

        Raises:
            MalformedRecord: Not a record of this log; one of another of Azure's logs is named.
        """
        shown = redact(record)
        return AzureReading(record, shown, open_record(shown, self.name).event, self.parts)

    def claims(self, record: bytes) -> bool:
        """Whether a record is of this log."""
        return kind_in(record) == self.name

    def reads_like(self, head: bytes) -> bool:
        """Whether a beginning has a time and what tells this log."""
        return b'"time' in head.lower() and self.parts.telltale.search(head) is not None
