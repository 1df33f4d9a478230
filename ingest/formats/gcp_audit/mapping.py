"""From a log entry with an audit payload to its ECS document (reference/ecs-mapping.md §8.1, §9).

The method and resource names of a Kubernetes API server are not taken apart here: its records belong to
`kubernetes.audit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.contract import Document
from ingest.formats.gcp_audit.actor import client_user_of, principal_of, session_of, user_of
from ingest.formats.gcp_audit.classify import kinds_of, outcome_of, status_code
from ingest.formats.gcp_audit.records import Opened
from ingest.formats.gcp_audit.related import related_of
from ingest.formats.gcp_audit.vendor import code_name, vendor_of
from ingest.formats.gcp_audit.when import event_time
from ingest.formats.gcp_records.place import LogName, log_name_of, place_of
from ingest.parsing.addresses import ip_of
from ingest.parsing.scalars import mapping_of, picked, text_of
from ingest.parsing.user_agents import user_agent_of

_NO_METHOD = "unknown"


def document_of(opened: Opened, own_id: str) -> Document:
    """The ECS document of an opened record.

    Args:
        opened: The entry, its secrets already replaced.
        own_id: `event.id`: the insert id, else the leaf.

    Raises:
        MalformedRecord: No time is in it.
    """
    entry, payload = opened.entry, opened.payload
    moment, marks = event_time(opened)
    log = log_name_of(text_of(entry.get("logName")) or "")
    client = client_user_of(payload)
    user = user_of(client, entry, payload)
    metadata = mapping_of(payload.get("requestMetadata"))
    source = _source(text_of(metadata.get("callerIp")))
    document: Document = {
        "@timestamp": moment,
        "event": _event(entry, payload, log, own_id),
        "gcp": {"audit": vendor_of(entry, payload, log)},
        **place_of(entry, payload, log),
        "related": related_of(entry, payload, user, source.get("ip")),
        "skytrail": _skytrail(entry, payload, user, marks),
        "log": picked(entry, (("logName", "logger"), ("severity", "level"))),
        "source": source,
        "user": user,
        "service": picked(payload, (("serviceName", "name"),)),
        "error": _error(payload),
    }
    if client:
        document["client"] = {"user": client}
    agent = text_of(metadata.get("callerSuppliedUserAgent"))
    if agent:
        document["user_agent"] = user_agent_of(agent)
    if opened.wrapper:
        document["labels"] = {"skytrail_channel": "pubsub"}
    return {name: part for name, part in document.items() if part}


def _event(entry: Mapping[str, Any], payload: Mapping[str, Any], log: LogName, own_id: str) -> dict[str, Any]:
    categories, types = kinds_of(entry, payload)
    return {
        "kind": "event",
        "category": categories,
        "type": types,
        "outcome": outcome_of(payload),
        "action": text_of(payload.get("methodName")) or _NO_METHOD,
        "provider": log.stream,
        "module": "gcp",
        "dataset": "gcp.audit",
        "id": own_id,
    }


def _source(address: str | None) -> dict[str, str]:
    """`gce-internal-ip`, `private` and other words stay an address only."""
    if not address:
        return {}
    ip = ip_of(address)
    return {"address": address, "ip": ip} if ip else {"address": address}


def _skytrail(
    entry: Mapping[str, Any], payload: Mapping[str, Any], user: Mapping[str, Any], marks: list[str]
) -> dict[str, Any]:
    found = {
        "principal": principal_of(user),
        "session": session_of(entry, payload),
        "time": {"marks": marks} if marks else {},
    }
    return {name: part for name, part in found.items() if part}


def _error(payload: Mapping[str, Any]) -> dict[str, Any]:
    code = status_code(payload)
    if not code:
        return {}
    message = text_of(mapping_of(payload.get("status")).get("message"))
    return {"code": code_name(code), **({"message": [message]} if message else {})}
