"""From an audit event of Oracle Cloud to its ECS document (reference/ecs-mapping.md §8.3, §9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.document import utc_millis
from ingest.formats.contract import Document
from ingest.formats.oci_audit.actor import principal_of, region_of, session_of, user_of
from ingest.formats.oci_audit.classify import FAILED_FROM, is_denied, kinds_of, outcome_of, status_of
from ingest.formats.oci_audit.records import Opened
from ingest.parsing.addresses import ip_of
from ingest.parsing.flattened import flattened
from ingest.parsing.scalars import mapping_of, picked, text_of
from ingest.parsing.times import parse_time
from ingest.parsing.user_agents import user_agent_of
from ingest.schema.errors import MalformedRecord

_TOP = (("eventType", "event_type"), ("eventTypeVersion", "event_type_version"))
_DATA = (
    ("eventGroupingId", "event_grouping_id"),
    ("compartmentId", "compartment_id"),
    ("compartmentName", "compartment_name"),
    ("resourceId", "resource_id"),
    ("resourceName", "resource_name"),
    ("availabilityDomain", "availability_domain"),
    ("message", "message"),
)
_IDENTITY = (
    ("authType", "auth_type"),
    ("callerId", "caller_id"),
    ("callerName", "caller_name"),
    ("consoleSessionId", "console_session_id"),
    ("credentials", "credentials"),
    ("principalId", "principal_id"),
    ("principalName", "principal_name"),
    ("tenantId", "tenant_id"),
)
_REQUEST = (("id", "id"), ("action", "action"), ("path", "path"))
_BODIES = (
    ("additionalDetails", "additional_details"),
    ("freeformTags", "freeform_tags"),
    ("definedTags", "defined_tags"),
)
_REQUEST_BODIES = (("parameters", "parameters"), ("headers", "headers"))
_RESPONSE_BODIES = (("headers", "headers"), ("payload", "payload"))
_CHANGES = (("previous", "previous"), ("current", "current"))
_UNKNOWN = "unknown"


def document_of(opened: Opened, own_id: str) -> Document:
    """The ECS document of an opened record.

    Args:
        opened: The event, its secrets already replaced.
        own_id: `event.id`: the event id, else the leaf.

    Raises:
        MalformedRecord: No time is in it.
    """
    data = opened.data
    identity, request = mapping_of(data.get("identity")), mapping_of(data.get("request"))
    moment, marks = _time(opened)
    user = user_of(identity)
    source = _source(text_of(identity.get("ipAddress")))
    status = status_of(data)
    service = _service(opened.event)
    document: Document = {
        "@timestamp": moment,
        "event": _event(opened, service, status, own_id),
        "oci": {"audit": _vendor(opened, identity, request, status)},
        "cloud": _cloud(opened, identity, service),
        "related": _related(data, identity, user, source.get("ip")),
        "skytrail": _skytrail(user, identity, marks),
        "source": source,
        "user": user,
        "http": _http(request, status),
        "url": picked(request, (("path", "path"),)),
        "service": {"name": service} if service else {},
        "error": _error(mapping_of(data.get("response")), status),
    }
    agent = text_of(identity.get("userAgent"))
    if agent:
        document["user_agent"] = user_agent_of(agent)
    return {name: part for name, part in document.items() if part}


def _time(opened: Opened) -> tuple[str, list[str]]:
    """Event time, else that of the response or of ingestion, marked.

    Raises:
        MalformedRecord: There is none.
    """
    said = opened.event.get("eventTime")
    odd = "unreadable_event_time" if said else "missing_event_time"
    response = mapping_of(opened.data.get("response"))
    for value, marks in (
        (said, []),
        (response.get("responseTime"), [odd, "taken from response time"]),
        (opened.oracle.get("ingestedtime"), [odd, "taken from ingested time"]),
    ):
        parsed = parse_time(value) if value.__class__ is str else None
        if parsed:
            return utc_millis(parsed.moment), [*marks, *parsed.marks]
    named = f"; it says {str(said)[:40]!r}" if said else ""
    raise MalformedRecord(
        f"reading eventTime: the event has no readable time{named}",
        where="eventTime",
        mend="an export that removed it can't be placed in time; fetch the original log",
    )


def _service(event: Mapping[str, Any]) -> str:
    """The service: `source`, else what the type says, `ComputeApi` of `com.oraclecloud.ComputeApi.GetInstance`."""
    kind = (text_of(event.get("eventType")) or "").split(".")
    named = kind[2] if len(kind) > 3 else ""  # noqa: PLR2004 - com, oraclecloud, service, operation
    return text_of(event.get("source")) or named


def _event(opened: Opened, service: str, status: int | None, own_id: str) -> dict[str, Any]:
    kind = (text_of(opened.event.get("eventType")) or "").removesuffix(".begin").removesuffix(".end")
    action = text_of(opened.data.get("eventName")) or kind.rpartition(".")[2] or _UNKNOWN
    categories, types = kinds_of(f"{service} {kind.rpartition('.')[0]}", action, denied=is_denied(status))
    return {
        "kind": "event",
        "category": list(categories),
        "type": list(types),
        "outcome": outcome_of(status),
        "action": action,
        "provider": service or _UNKNOWN,
        "module": "oci",
        "dataset": "oci.audit",
        "id": own_id,
    }


def _cloud(opened: Opened, identity: Mapping[str, Any], service: str) -> dict[str, Any]:
    data = opened.data
    found: dict[str, Any] = {"provider": "oci"}
    tenant = text_of(identity.get("tenantId")) or text_of(opened.oracle.get("tenantid"))
    if tenant:
        found["account"] = {"id": tenant}
    if service:
        found["service"] = {"name": service}
    resource = text_of(data.get("resourceId"))
    region = region_of(resource, text_of(identity.get("principalId")))
    if region:
        found["region"] = region
    found |= picked(data, (("availabilityDomain", "availability_zone"),))
    if resource and resource.startswith("ocid1.instance."):
        found["instance"] = {"id": resource}
    return found


def _source(address: str | None) -> dict[str, str]:
    if not address:
        return {}
    ip = ip_of(address)
    return {"address": address, "ip": ip} if ip else {"address": address}


def _related(
    data: Mapping[str, Any], identity: Mapping[str, Any], user: Mapping[str, str], ip: str | None
) -> dict[str, list[str]]:
    resource = text_of(data.get("resourceId"))
    lists = (
        ("ip", {ip}),
        ("user", {user.get("name"), text_of(identity.get("callerName"))}),
        ("hosts", {resource if resource and resource.startswith("ocid1.instance.") else None}),
        (
            "entity",
            {
                resource,
                user.get("id"),
                text_of(data.get("resourceName")),
                text_of(identity.get("callerId")),
                text_of(identity.get("credentials")),
            },
        ),
    )
    return {name: told for name, values in lists if (told := sorted(filter(None, values)))}


def _skytrail(user: Mapping[str, str], identity: Mapping[str, Any], marks: list[str]) -> dict[str, Any]:
    found = {
        "principal": principal_of(user),
        "session": session_of(identity),
        "time": {"marks": marks} if marks else {},
    }
    return {name: part for name, part in found.items() if part}


def _http(request: Mapping[str, Any], status: int | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    asked = picked(request, (("action", "method"), ("id", "id")))
    if asked:
        found["request"] = asked
    if status is not None:
        found["response"] = {"status_code": status}
    return found


def _error(response: Mapping[str, Any], status: int | None) -> dict[str, Any]:
    if status is None or status < FAILED_FROM:
        return {}
    found: dict[str, Any] = {"code": text_of(mapping_of(response.get("payload")).get("code")) or str(status)}
    message = text_of(response.get("message")) or text_of(mapping_of(response.get("payload")).get("message"))
    return {**found, "message": [message]} if message else found


def _vendor(
    opened: Opened, identity: Mapping[str, Any], request: Mapping[str, Any], status: int | None
) -> dict[str, Any]:
    """The `oci.audit` object."""
    data = opened.data
    change = mapping_of(data.get("stateChange"))
    parts: dict[str, Any] = {
        "schema_version": opened.version,
        **picked(opened.event, _TOP),
        **picked(data, _DATA),
        "identity": picked(identity, _IDENTITY),
        "request": {**picked(request, _REQUEST), **_flat(request, _REQUEST_BODIES)},
        "response": _response(mapping_of(data.get("response")), status),
        "state_change": _flat(change, _CHANGES),
        **_flat(data, _BODIES),
    }
    return {name: part for name, part in parts.items() if part}


def _response(response: Mapping[str, Any], status: int | None) -> dict[str, Any]:
    found: dict[str, Any] = picked(response, (("message", "message"),))
    if status is not None:
        found["status"] = status
    told = response.get("responseTime")
    parsed = parse_time(told) if told.__class__ is str else None
    if parsed:
        found["response_time"] = utc_millis(parsed.moment)
    return found | _flat(response, _RESPONSE_BODIES)


def _flat(source: Mapping[str, Any], table: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """The objects named on the left of `table`, as a `flattened` field takes them, under the names on the right."""
    return {target: held for name, target in table if (held := flattened(mapping_of(source.get(name))))}
