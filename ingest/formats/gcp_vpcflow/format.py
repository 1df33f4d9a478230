"""VPC flow logs of Google Cloud, of subnetworks and of tunnels and interconnects.

Format:   LogEntry with a flow in its jsonPayload
          https://cloud.google.com/vpc/docs/about-flow-logs-records
Bodies:   sink exports (one entry a line), `gcloud logging read` arrays, `entries.list`, single entries, messages of
          Pub/Sub (pushed, pulled or bare).
Not here: logs of firewall rules and of Cloud NAT.
Fixtures: tests/ingest/formats/gcp_vpcflow/golden/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ingest.formats.contract import Document, Format, LogSource, Reading, View
from ingest.formats.gcp_records.messages import LIST_KEYS
from ingest.formats.gcp_vpcflow.fields import FIELDS
from ingest.formats.gcp_vpcflow.mapping import document_of
from ingest.formats.gcp_vpcflow.records import Opened, open_record
from ingest.parsing.json_slices import split_objects
from ingest.parsing.scalars import long_of, mapping_of, text_of
from ingest.schema.errors import MalformedRecord
from ingest.schema.fields import Field
from ingest.schema.identity import leaf_hash

# A sample may end inside its first record.
_TELLTALE = re.compile(rb'\.googleapis\.com(?:%2[Ff]|/)vpc_flows"')
_PORTS = ("src_port", "dest_port", "protocol")
_COUNTS = ("bytes_sent", "packets_sent", "rtt_msec")

_ALIASES = {
    **{name: f"jsonPayload.connection.{name}" for name in ("src_ip", "src_port", "dest_ip", "dest_port", "protocol")},
    "dst_ip": "jsonPayload.connection.dest_ip",
    "dst_port": "jsonPayload.connection.dest_port",
    **{name: f"jsonPayload.{name}" for name in ("reporter", "bytes_sent", "packets_sent")},
}


class FlowReading:
    """A parsed record; it holds no secrets."""

    __slots__ = ("_opened", "record", "shown")

    def __init__(self, record: bytes, opened: Opened) -> None:
        self.record = self.shown = record
        self._opened = opened

    def identify(self) -> str | None:
        """Insert id, time and log name, which are unique together only; None where one of them is absent."""
        entry = self._opened.entry
        parts = [text_of(entry.get(name)) for name in ("insertId", "timestamp", "logName")]
        return "|".join(map(str, parts)) if all(parts) else None

    def view(self) -> View:
        """The log entry without its wrapper, numbers as numbers: Google writes 64-bit ones as text."""
        entry = self._opened.entry
        flow = _numbered(self._opened.flow, _COUNTS)
        if "connection" in flow:
            flow["connection"] = _numbered(mapping_of(flow["connection"]), _PORTS)
        return View(vendor={**entry, "jsonPayload": flow}, member=self.identify() or self._leaf())

    def normalise(self) -> Document:
        """The ECS document.

        Raises:
            MalformedRecord: It can't be placed in time.
        """
        return document_of(self._opened, text_of(self._opened.entry.get("insertId")) or self._leaf())

    def _leaf(self) -> str:
        return f"leaf:{leaf_hash(self.record).hex()}"


def _numbered(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    found = dict(values)
    for name in names:
        number = long_of(found.get(name))
        if number is not None:
            found[name] = number
    return found


class GcpVpcFlow(Format):
    """The format `gcp.vpcflow`; see `ingest/formats/contract.py` for what each part promises."""

    name: str = "gcp.vpcflow"
    dataset: str = "gcp.vpcflow"
    version: str = "1"
    clock_name: str = "timestamp"
    log_source: LogSource = LogSource(product="gcp", service="vpcflow")
    fields: Sequence[Field] = FIELDS
    aliases: Mapping[str, str] = MappingProxyType(_ALIASES)
    """Bare names of a connection, and `dst_…`, which rules for firewalls use."""
    list_keys: Sequence[str] = LIST_KEYS
    marks: Sequence[bytes] = (b"jsonpayload", b"vpcflows", b'"data"')
    telltale: re.Pattern[bytes] | None = _TELLTALE

    def split(self, body: bytes) -> Iterator[bytes]:
        """Yield the exact slices of a body's records; messages of Pub/Sub stay wrapped.

        Raises:
            MalformedBody: At the first byte that can't be split; the records before it are delivered.
        """
        return split_objects(body, LIST_KEYS, self.claims)

    def read(self, record: bytes) -> Reading:
        """Take a record out of its wrapper.

        Raises:
            MalformedRecord: Not a flow.
        """
        return FlowReading(record, open_record(record))

    def claims(self, record: bytes) -> bool:
        """Whether a record is a flow."""
        try:
            return bool(open_record(record).flow)
        except MalformedRecord:
            return False


FORMAT = GcpVpcFlow()
