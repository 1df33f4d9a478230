"""From the bytes of a record to an audit event, whatever the channel wrapped around it.

A record is the exact slice of what the channel delivered, so a wrapper stays part of it (its bytes are evidence) and is
opened here:

* EKS through CloudWatch Logs: an element of ``logEvents``, ``{"id", "timestamp", "message": "<event>"}``, what its read
  API returns, and rows of Logs Insights with `@message`. What a subscription says beside its `logEvents` (owner, log
  group) is no part of the record: it is the context of the body;
* AKS and Azure Arc diagnostics: ``{"category": "kube-audit", "properties": {"log": "<event>"}}``, rows of Log Analytics
  with `log_s`;
* GKE: a Cloud Logging entry with `protoPayload` (see `gke.py`), also as the data of a Pub/Sub message;
* a container's output: ``{"log": "<event>", "stream": "stdout"}``.

https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.formats.gcp_records.messages import data_of, message_of
from ingest.formats.kubernetes_audit import gke
from ingest.parsing.json_value import json_text, parse_object
from ingest.parsing.scalars import NOTHING, mapping_of, text_of
from ingest.schema.envelope import Context
from ingest.schema.errors import MalformedRecord

LIST_KEYS = ("items", "logEvents", "records", "events", "results", "entries", "receivedMessages")
"""Keys whose array holds the records: EventList, CloudWatch Logs (subscription, read API, Insights), Event Hubs,
Cloud Logging's API, Pub/Sub's."""

_TELLING = frozenset({"auditID", "verb", "requestURI", "objectRef"})
_TEXTS = ("message", "@message", "log", "log_s")
_MOST_WRAPPERS = 3  # an AKS record sent on through a container's output is wrapped twice
_MEND = "send only the audit log to this source (kube-apiserver-audit, kube-audit, k8s.io), or choose another format"


class Opened(NamedTuple):
    """An audit event and what came around it.

    Attributes:
        event: The event with the API server's names.
        wrapper: The wrapper that says most about the cluster, empty when there was none.
        channel: `direct`, `cloudwatch`, `azure`, `gcp` or `container`.
        beside: What the body said of the record's place: `owner`, `log_group`, `log_stream`.
    """

    event: dict[str, Any]
    wrapper: Mapping[str, Any]
    channel: str
    beside: Mapping[str, str] = NOTHING


def open_record(record: bytes, context: Context = ()) -> Opened:
    """Parse a record and take the event out of its wrappers.

    Args:
        record: The exact bytes, or the same without secrets.
        context: What a subscription said beside its log events.

    Raises:
        MalformedRecord: Not JSON, something else of the same log group, or an object with none of an event's names.
    """
    event = _row(record) if record[:1] == b"[" else parse_object(record)
    if "auditID" in event:
        return Opened(event, NOTHING, "direct")
    opened = _opened(_in_message(event))
    return opened._replace(beside=dict(context)) if context and opened.channel == "cloudwatch" else opened


def _in_message(outer: dict[str, Any]) -> dict[str, Any]:
    """The entry in a Pub/Sub message; what is none stays."""
    message = message_of(outer)
    return parse_object(data_of(message)) if message else outer


def _opened(event: dict[str, Any]) -> Opened:
    wrapper: Mapping[str, Any] = NOTHING
    channel = "direct"
    for _ in range(_MOST_WRAPPERS):
        if not _TELLING.isdisjoint(event):
            return Opened(event, wrapper, channel)
        payload = mapping_of(event.get("protoPayload"))
        if payload:
            return Opened(_of_gke(event, payload), event, "gcp")
        inner, inner_channel = _unwrapped(event)
        if channel != "azure":
            wrapper, channel = event, inner_channel
        event = inner
    if not _TELLING.isdisjoint(event):
        return Opened(event, wrapper, channel)
    raise _foreign("none of auditID, verb, requestURI and objectRef is in it")


def _of_gke(entry: dict[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    if not gke.is_kubernetes(payload):
        raise _foreign(f"it is a log entry of {text_of(payload.get('serviceName')) or 'an unnamed service'}")
    return gke.event_of(entry)


def _unwrapped(outer: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The object one wrapper deeper, and the channel that wraps so."""
    properties = outer.get("properties")
    if properties.__class__ is str:
        properties = json_text(properties)
    inner = mapping_of(properties).get("log")
    if inner is not None:
        category = text_of(outer.get("category") or outer.get("Category"))
        return _event_in(inner, f"a record of category {category}" if category else "properties.log"), "azure"
    for key in _TEXTS:
        inner = outer.get(key)
        if inner is not None:
            channel = {"log": "container", "log_s": "azure"}.get(key, "cloudwatch")
            return _event_in(inner, key), channel
    raise _foreign("none of auditID, verb, requestURI and objectRef is in it, and no wrapper that we know")


def _event_in(inner: Any, where: str) -> dict[str, Any]:
    value = json_text(inner) if inner.__class__ is str else inner
    if value.__class__ is not dict:
        raise _foreign(f"{where} is no JSON object but text of another log")
    return value


def _row(record: bytes) -> dict[str, Any]:
    """A row of Logs Insights: ``[{"field": "@message", "value": "<event>"}, …]``."""
    row = json_text(record.decode("utf-8", "replace"))
    if row.__class__ is not list:
        raise MalformedRecord("reading Kubernetes audit event: not JSON")
    found: dict[str, Any] = {}
    for cell in row:
        name = text_of(mapping_of(cell).get("field"))
        if name:
            found[name] = cell.get("value")
    if not found:
        raise _foreign("a list is no event")
    return found


def _foreign(why: str) -> MalformedRecord:
    return MalformedRecord(f"reading Kubernetes audit event: {why}", mend=_MEND)
