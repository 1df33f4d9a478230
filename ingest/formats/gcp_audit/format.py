"""Google Cloud Audit Logs: admin activity, data access, system event and policy denied.

Format:   LogEntry with a google.cloud.audit.AuditLog
          https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog
Bodies:   sink exports (one entry a line), `gcloud logging read` arrays, `entries.list`, single entries, messages of
          Pub/Sub (pushed, pulled or bare). Base64 and gzip around a body are the transport's business.
Not here: records of a Kubernetes API server on GKE (format kubernetes.audit).
Fixtures: tests/ingest/formats/gcp_audit/golden/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from ingest.formats.contract import SAMPLED, Document, Format, LogSource, Reading, View
from ingest.formats.gcp_audit.fields import FIELDS
from ingest.formats.gcp_audit.mapping import document_of
from ingest.formats.gcp_audit.records import Opened, open_record
from ingest.formats.gcp_records.messages import LIST_KEYS
from ingest.parsing.json_slices import split_objects
from ingest.parsing.scalars import boolean_of, mapping_of, text_of
from ingest.schema.errors import MalformedRecord
from ingest.schema.fields import Field
from ingest.schema.identity import leaf_hash

# A sample may end inside its first record.
_TELLTALE = re.compile(rb'google\.cloud\.audit\.AuditLog"|logs/cloudaudit\.googleapis\.com(?:%2[Ff]|/)')
_KUBERNETES = re.compile(
    rb'"serviceName"\s*:\s*"k8s\.io"|"methodName"\s*:\s*"io\.k8s\.|\\*"apiVersion\\*"\s*:\s*\\*"audit\.k8s\.io/'
)

_BELOW_PAYLOAD = """
    methodName serviceName resourceName numResponseItems request response metadata status.code status.message
    authorizationInfo.permission authorizationInfo.granted authorizationInfo.resource
    authenticationInfo.principalEmail authenticationInfo.principalSubject authenticationInfo.serviceAccountKeyName
    authenticationInfo.authoritySelector requestMetadata.callerIp requestMetadata.callerSuppliedUserAgent
    resourceLocation.currentLocations
"""
_BELOW_ENTRY = "insertId timestamp receiveTimestamp severity resource.type resource.labels.project_id operation.id"


def _snaked(path: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", path).lower()


_ALIASES = {
    **{f"gcp.audit.{_snaked(path)}": f"protoPayload.{path}" for path in _BELOW_PAYLOAD.split()},
    **{f"data.protoPayload.{path}": f"protoPayload.{path}" for path in _BELOW_PAYLOAD.split()},
    # Wazuh's rules look for members of the entry in its payload, too
    **{f"data.{above}{path}": path for path in _BELOW_ENTRY.split() for above in ("", "protoPayload.")},
    "data.logName": "logName",
    "data.protoPayload.logName": "gcp.audit.log_id",  # they compare it with the log's id, not with the whole name
}


class GcpReading:
    """A parsed record without its secrets; only the leaf is that of the exact bytes."""

    __slots__ = ("_opened", "record", "shown")

    def __init__(self, record: bytes, opened: Opened) -> None:
        self.record = record
        self.shown = opened.shown
        self._opened = opened

    def identify(self) -> str | None:
        """Insert id, time and log name, which are unique together only; None where one of them is absent."""
        entry = self._opened.entry
        parts = [text_of(entry.get(name)) for name in ("insertId", "timestamp", "logName")]
        return "|".join(map(str, parts)) if all(parts) else None

    def view(self) -> View:
        """The log entry without its wrapper and secrets, for rules."""
        return View(vendor=self._opened.entry, member=self._member())

    def normalise(self) -> Document:
        """The ECS document, without secrets.

        Raises:
            MalformedRecord: It can't be placed in time.
        """
        return document_of(self._opened, text_of(self._opened.entry.get("insertId")) or self._leaf())

    def _member(self) -> str:
        """What first and last record of one long operation share; any other record stands for itself."""
        entry, payload = self._opened.entry, self._opened.payload
        operation = mapping_of(entry.get("operation"))
        id_ = text_of(operation.get("id"))
        if id_ and (boolean_of(operation.get("first")) is True) != (boolean_of(operation.get("last")) is True):
            who = mapping_of(payload.get("authenticationInfo")).get("principalEmail")
            parts = (operation.get("producer"), id_, payload.get("methodName"), who)
            return "|".join(text_of(part) or "" for part in parts)
        return self.identify() or self._leaf()

    def _leaf(self) -> str:
        return f"leaf:{leaf_hash(self.record).hex()}"


class GcpAudit(Format):
    """The format `gcp.audit`; see `ingest/formats/contract.py` for what each part promises."""

    name: str = "gcp.audit"
    dataset: str = "gcp.audit"
    version: str = "1"
    clock_name: str = "timestamp"
    log_source: LogSource = LogSource(product="gcp", service="gcp.audit")
    fields: Sequence[Field] = FIELDS
    aliases: Mapping[str, str] = MappingProxyType(_ALIASES)
    """Names of Filebeat (`gcp.audit.method_name`) and of Wazuh (`data.protoPayload.methodName`)."""
    list_keys: Sequence[str] = LIST_KEYS
    marks: Sequence[bytes] = (b"protopayload", b"cloudaudit.googleapis.com", b"google.cloud.audit", b'"data"')
    telltale: re.Pattern[bytes] | None = _TELLTALE

    def split(self, body: bytes) -> Iterator[bytes]:
        """Yield the exact slices of a body's records; messages of Pub/Sub stay wrapped.

        Raises:
            MalformedBody: At the first byte that can't be split; the records before it are delivered.
        """
        return split_objects(body, LIST_KEYS, self.claims)

    def read(self, record: bytes) -> Reading:
        """Take a record out of its wrapper, without secrets.

        Raises:
            MalformedRecord: No audit record, or one that belongs to another format, which is named.
        """
        return GcpReading(record, open_record(record))

    def claims(self, record: bytes) -> bool:
        """Whether a record is an audit record, and of no Kubernetes API server."""
        try:
            return bool(open_record(record).payload)
        except MalformedRecord:
            return False

    def recognise(self, sample: bytes) -> bool:
        """Whether the first record is an audit record; of a sample cut inside it, whether it reads like one.

        A body in which records of a Kubernetes API server stand as well is recognised by `kubernetes.audit`.
        """
        return not _KUBERNETES.search(sample[:SAMPLED]) and super().recognise(sample)


FORMAT = GcpAudit()
