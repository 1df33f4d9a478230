"""Kubernetes audit events: self-run clusters, EKS, AKS, GKE and Azure Arc, with one set of fields for all.

Format:   audit.k8s.io/v1 (and v1alpha1, v1beta1)
          https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
Bodies:   webhook batches (EventList), log files (one event a line), arrays, single events; CloudWatch Logs, Event Hubs,
          Cloud Logging and Pub/Sub wrappers (see `records.py`). Gzip around them is the transport's business.
Fixtures: tests/ingest/formats/kubernetes_audit/golden/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from ingest.formats.aws_records.log_groups import context_of, control_message
from ingest.formats.contract import SAMPLED, Document, Format, LogSource, Reading, View
from ingest.formats.gcp_records.messages import data_of, message_of, with_data
from ingest.formats.kubernetes_audit.fields import FIELDS
from ingest.formats.kubernetes_audit.mapping import document_of
from ingest.formats.kubernetes_audit.records import LIST_KEYS, Opened, open_record
from ingest.formats.kubernetes_audit.redaction import redact
from ingest.parsing.json_slices import split_objects
from ingest.parsing.json_value import json_text
from ingest.parsing.scalars import mapping_of, text_of
from ingest.schema.envelope import Context
from ingest.schema.errors import RejectedRecord
from ingest.schema.fields import Field
from ingest.schema.identity import leaf_hash

# A sample may end inside its first record; `\\*` because clouds hold the event as JSON text.
_TELLTALE = re.compile(rb'"apiVersion\\*"\s*:\s*\\*"audit\.k8s\.io/|"serviceName"\s*:\s*"k8s\.io"')
_EARLY_STAGE = "RequestReceived"
_PLACES = frozenset({"objectRef", "requestURI"})

_ALIASES = {
    "apiGroup": "objectRef.apiGroup",
    "resource": "objectRef.resource",
    "subresource": "objectRef.subresource",
    "namespace": "objectRef.namespace",
    "name": "objectRef.name",
    "username": "user.username",
    "groups": "user.groups",
    "image": "requestObject.spec.containers.image",
    "hostPath": "requestObject.spec.volumes.hostPath.path",
    "capabilities": "requestObject.spec.containers.securityContext.capabilities.add",
    "privileged": "requestObject.spec.containers.securityContext.privileged",
    "hostNetwork": "requestObject.spec.hostNetwork",
    "hostPID": "requestObject.spec.hostPID",
    "hostIPC": "requestObject.spec.hostIPC",
    "serviceAccountName": "requestObject.spec.serviceAccountName",
    "decision": "annotations.authorization.k8s.io/decision",
}


class KubernetesReading:
    """A parsed record without its secrets; only the leaf is that of the exact bytes."""

    __slots__ = ("_leaf", "_opened", "record", "shown")

    def __init__(self, record: bytes, shown: bytes, opened: Opened) -> None:
        self.record = record
        self.shown = shown
        self._opened = opened
        self._leaf = leaf_hash(record).hex()

    def identify(self) -> str | None:
        """Audit id, stage and leaf: a client can choose the audit id by a header, so it never stands alone.

        None without an audit id.
        """
        audit_id = _audit_id(self._opened)
        return f"{audit_id}:{self._leaf}" if audit_id else None

    def view(self) -> View:
        """The event without its wrapper and secrets, for rules."""
        event = self._opened.event
        return View(
            vendor=event,
            final=event.get("stage") != _EARLY_STAGE,
            member=_member(self._opened) or f"leaf:{self._leaf}",
        )

    def normalise(self) -> Document:
        """The ECS document, without secrets.

        Raises:
            MalformedRecord: It can't be placed in time.
        """
        return document_of(self._opened, _audit_id(self._opened) or f"leaf:{self._leaf}")


class KubernetesAudit(Format):
    """The format `kubernetes.audit`; see `ingest/formats/contract.py` for what each part promises."""

    name: str = "kubernetes.audit"
    dataset: str = "kubernetes.audit_logs"
    version: str = "1"
    clock_name: str = "stageTimestamp"
    log_source: LogSource = LogSource(product="kubernetes", service="audit")
    fields: Sequence[Field] = FIELDS
    aliases: Mapping[str, str] = MappingProxyType(_ALIASES)
    """Bare names that public Sigma rules use."""
    list_keys: Sequence[str] = LIST_KEYS
    marks: Sequence[bytes] = (b"k8s", b"auditid", b"objectref", b"requesturi", b'"data"')

    def __init__(self, context: Context = ()) -> None:
        """For records of a body that said `context`."""
        self._context = context

    def split(self, body: bytes) -> Iterator[bytes]:
        """Yield the exact slices of a body's records; what a cloud wrapped stays wrapped.

        Raises:
            MalformedBody: At the first byte that can't be split; the records before it are delivered.
        """
        return split_objects(body, LIST_KEYS, self.claims)

    def context(self, body: bytes) -> Context:
        """Owner, log group and stream of a subscription of CloudWatch Logs: they name account and cluster."""
        return context_of(body)

    def within(self, context: Context) -> Format:
        """The format for records that came through that log group."""
        return KubernetesAudit(context) if context else self

    def read(self, record: bytes) -> Reading:
        """Take secrets out, parse, and take the event out of its wrappers.

        Raises:
            MalformedRecord: Not a Kubernetes audit event.
        """
        shown = _without_secrets(record)
        return control_message(record) or KubernetesReading(record, shown, open_record(shown, self._context))

    def claims(self, record: bytes) -> bool:
        """Whether a record is an audit event of an API server, whatever wrapped it."""
        try:
            return _is_audit_event(open_record(record))
        except RejectedRecord:
            return False

    def recognise(self, sample: bytes) -> bool:
        """Whether the first record is an audit event; of a sample cut inside it, whether it reads like one."""
        try:
            record = next(self.split(sample), None)
            if record is not None:
                return _is_audit_event(open_record(record))
        except RejectedRecord:
            pass  # cut or foreign: its beginning decides
        return _TELLTALE.search(sample[:SAMPLED]) is not None


def _without_secrets(record: bytes) -> bytes:
    """The record without secrets, also where a Pub/Sub message holds the event as base64; then as JSON of our own.

    Raises:
        MalformedRecord: The data of a message is not base64.
    """
    shown = redact(record)
    if b'"data"' not in record or b"auditID" in record or b"protoPayload" in record:
        return shown
    outer = mapping_of(json_text(shown.decode("utf-8", "replace")))
    message = message_of(outer)
    if not message:
        return shown
    data = data_of(message)
    clean = redact(data)
    return shown if clean is data else with_data(outer, message, clean)


def _audit_id(opened: Opened) -> str | None:
    """Audit id and stage; the id alone where the stage is not told."""
    audit_id = text_of(opened.event.get("auditID"))
    stage = text_of(opened.event.get("stage"))
    return f"{audit_id}:{stage}" if audit_id and stage else audit_id


def _member(opened: Opened) -> str | None:
    """What all stages of one request share. The audit id is not enough: a client may send one id with many requests."""
    event = opened.event
    audit_id = text_of(event.get("auditID"))
    if not audit_id:
        return None
    username = text_of(mapping_of(event.get("user")).get("username")) or ""
    return "|".join((audit_id, text_of(event.get("verb")) or "", text_of(event.get("requestURI")) or "", username))


def _is_audit_event(opened: Opened) -> bool:
    event = opened.event
    api = text_of(event.get("apiVersion")) or ""
    if opened.channel == "gcp" or api.startswith("audit.k8s.io/") or {"auditID", "stage", "verb"} <= event.keys():
        return True
    # one that was cut down: access logs of other programs have a verb, too, but not these beside it
    if event.get("kind") == "Event" and "verb" in event and "resource" in mapping_of(event.get("objectRef")):
        return True
    return "verb" in event and "username" in mapping_of(event.get("user")) and not _PLACES.isdisjoint(event)


FORMAT = KubernetesAudit()
