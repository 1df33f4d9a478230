"""Audit events of Oracle Cloud Infrastructure.

Format:   audit schema version 1 and 2
          https://docs.oracle.com/en-us/iaas/Content/Audit/Reference/logeventreference.htm
Bodies:   one event a line, arrays, single events, what `oci audit event list` prints (``{"data": […]}``), records of
          the Logging service (``{"logContent": {…}}``) and their content alone.
Fixtures: tests/ingest/formats/oci_audit/golden/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from ingest.formats.contract import Document, Format, LogSource, Reading, View
from ingest.formats.oci_audit.fields import FIELDS
from ingest.formats.oci_audit.mapping import document_of
from ingest.formats.oci_audit.records import LIST_KEYS, V1_NAMES, Opened, open_record
from ingest.parsing.json_slices import split_objects
from ingest.parsing.scalars import mapping_of, text_of
from ingest.schema.errors import MalformedRecord
from ingest.schema.fields import Field
from ingest.schema.identity import leaf_hash

_OWN = re.compile(rb"ocid1|com\.oracle|compartment[-_]?id", re.IGNORECASE)
# A sample may end inside its first record.
_TELLTALE = re.compile(rb'"(?:eventType|event-type|type)"\s*:\s*"com\.oraclecloud\.')
_PHASES = (".begin", ".end")


class OciReading:
    """A parsed record without its secrets; only the leaf is that of the exact bytes."""

    __slots__ = ("_opened", "record", "shown")

    def __init__(self, record: bytes, opened: Opened) -> None:
        self.record = record
        self.shown = opened.shown
        self._opened = opened

    def identify(self) -> str | None:
        """`eventId`, which Oracle chooses; None without one."""
        return text_of(self._opened.event.get("eventId"))

    def view(self) -> View:
        """The event in the shape of version 2, without secrets, for rules."""
        return View(vendor=self._opened.event, member=self._member())

    def normalise(self) -> Document:
        """The ECS document, without secrets.

        Raises:
            MalformedRecord: It can't be placed in time.
        """
        return document_of(self._opened, self.identify() or self._leaf())

    def _member(self) -> str:
        """What begin and end of one long operation share; any other event stands for itself."""
        data = self._opened.data
        group = text_of(data.get("eventGroupingId"))
        if group and (text_of(self._opened.event.get("eventType")) or "").endswith(_PHASES):
            parts = (group, data.get("eventName"), mapping_of(data.get("identity")).get("principalId"))
            return "|".join(text_of(part) or "" for part in parts)
        return self.identify() or self._leaf()

    def _leaf(self) -> str:
        return f"leaf:{leaf_hash(self.record).hex()}"


class OciAudit(Format):
    """The format `oci.audit`; see `ingest/formats/contract.py` for what each part promises."""

    name: str = "oci.audit"
    dataset: str = "oci.audit"
    version: str = "1"
    clock_name: str = "eventTime"
    log_source: LogSource = LogSource(product="oci", service="audit")
    fields: Sequence[Field] = FIELDS
    aliases: Mapping[str, str] = MappingProxyType(V1_NAMES)
    """Names of schema version 1."""
    list_keys: Sequence[str] = LIST_KEYS
    marks: Sequence[bytes] = (b"ocid1", b"com.oracle", b"compartmentid")
    telltale: re.Pattern[bytes] | None = _TELLTALE

    def split(self, body: bytes) -> Iterator[bytes]:
        """Yield the exact slices of a body's records; what the Logging service wrapped stays wrapped.

        Raises:
            MalformedBody: At the first byte that can't be split; the records before it are delivered.
        """
        return split_objects(body, LIST_KEYS, self.claims)

    def read(self, record: bytes) -> Reading:
        """Parse a record, without secrets.

        Raises:
            MalformedRecord: No audit event of Oracle Cloud.
        """
        return OciReading(record, open_record(record))

    def claims(self, record: bytes) -> bool:
        """Whether a record is an audit event of Oracle Cloud."""
        try:
            return _OWN.search(record) is not None and bool(open_record(record).event)
        except MalformedRecord:
            return False


FORMAT = OciAudit()
