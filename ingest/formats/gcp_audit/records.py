"""From the bytes of a record to a log entry with an audit payload, whatever the channel wrapped around it.

A record is the exact slice of what the channel delivered, so a Pub/Sub message stays part of it (its bytes are
evidence) and is opened here.

https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.formats.gcp_audit.redaction import redact
from ingest.formats.gcp_audit.spelling import ENTRY
from ingest.formats.gcp_records.messages import data_of, message_of, with_data
from ingest.formats.kubernetes_audit.gke import is_kubernetes
from ingest.parsing.json_value import parse_object
from ingest.parsing.scalars import mapping_of, text_of
from ingest.schema.errors import MalformedRecord

_TYPE = "google.cloud.audit.AuditLog"
_LEVELS = 200  # a log entry nests about ten deep; what walks a request uses the interpreter's stack
_MEND = "send only Cloud Audit Logs to this source (log names with cloudaudit.googleapis.com), or choose another format"
_MEND_KUBERNETES = "send it to a source of the format kubernetes.audit, which reads GKE's records: one set of rules"


class Opened(NamedTuple):
    """A log entry without secrets, and what came around it.

    Attributes:
        entry: The entry in Google's spelling.
        payload: Its `protoPayload`.
        wrapper: The Pub/Sub message around it, empty when there was none.
        shown: The record without secrets; the record itself when it holds none.
    """

    entry: dict[str, Any]
    payload: Mapping[str, Any]
    wrapper: Mapping[str, Any]
    shown: bytes


def open_record(record: bytes) -> Opened:
    """Take a record out of its wrapper, without secrets.

    Raises:
        MalformedRecord: Not JSON, no log entry, another kind of log, or an event of a Kubernetes API server.
    """
    outer = parse_object(record, deepest=_LEVELS)
    message = message_of(outer)
    if message:
        entry, shown = _inside(message, outer, record)
    else:
        shown = redact(record)
        entry = outer if shown is record else parse_object(shown, deepest=_LEVELS)
    ENTRY.respell(entry)
    payload = mapping_of(entry.get("protoPayload"))
    _judge(entry, payload)
    return Opened(entry, payload, message, shown)


def _inside(message: Mapping[str, Any], outer: dict[str, Any], record: bytes) -> tuple[dict[str, Any], bytes]:
    """The entry in a message, and what of the whole record may be shown."""
    inner = data_of(message)
    clean = redact(inner)
    entry = parse_object(clean, "data of a Pub/Sub message", deepest=_LEVELS)
    return entry, record if clean is inner else with_data(outer, message, clean)


def _judge(entry: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    """Refuse what is no audit record, or one of another format.

    Raises:
        MalformedRecord: It is.
    """
    if not payload:
        kind = next((name for name in ("jsonPayload", "textPayload") if name in entry), "")
        raise _foreign(f"a log entry with {kind} is none" if kind else "it has no protoPayload")
    type_ = text_of(payload.get("@type"))
    if type_ and not type_.endswith(_TYPE):
        raise _foreign(f"its payload is a {type_} (of Workspace, sign-in or another log)")
    if is_kubernetes(payload):
        raise MalformedRecord(
            "reading GCP audit record: a Kubernetes API server wrote it, so it belongs to the format kubernetes.audit",
            where="protoPayload.serviceName",
            mend=_MEND_KUBERNETES,
        )
    if not type_ and not text_of(payload.get("methodName")) and not text_of(payload.get("serviceName")):
        raise _foreign("its protoPayload names neither a type nor a method nor a service")


def _foreign(why: str) -> MalformedRecord:
    return MalformedRecord(f"reading GCP audit record: {why}", where="protoPayload", mend=_MEND)
