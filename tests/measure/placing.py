"""Puts values where the vendor writes them: events of each format from what a rule asks for, by the rule's names.

Public rules name columns of portals and tables. Each of those is put at the place of the log from which our formats
derive it, never under the rule's own name, so that a match shows that the derivation works.
"""

from __future__ import annotations

import copy
import functools
import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ingest.formats.contract import Format

VENDOR_FIELDS = Path(__file__).parents[2] / "detectors" / "vendor_fields.toml"

Event = dict[str, Any]
Place = Callable[[Event, Any], None]

_NAMES = """containers volumes add authorizationInfo layers containerDefinitions targetResources modifiedProperties
command"""
_LISTS = frozenset(_NAMES.split())
"""Keys whose values are lists in the vendors' logs."""
_OBJECTS = frozenset(["requestParameters", "responseElements", "requestObject"])
"""Keys whose values are objects: a text that is asked of one stands in a member."""

_TIME = "2026-11-22T09:15:04Z"
_ID = "0f0f0f0f-1111-4222-8333-444455556666"
_TENANT = f"/tenants/{_ID}/providers/Microsoft.aadiam"


def _azure(category: str, operation: str, **properties: Any) -> Event:
    return {
        "time": _TIME,
        "resourceId": _TENANT,
        "operationName": operation,
        "category": category,
        "tenantId": _ID,
        "correlationId": _ID,
        "properties": {"id": _ID, **properties},
    }


BASES: Mapping[str, Event] = {
    "aws.cloudtrail": {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "userName": "alice", "accountId": "111122223333"},
        "eventTime": _TIME,
        "eventSource": "example.amazonaws.com",
        "eventName": "Example",
        "awsRegion": "us-east-1",
        "eventID": _ID,
        "eventType": "AwsApiCall",
        "recipientAccountId": "111122223333",
    },
    "kubernetes.audit": {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": _ID,
        "stage": "ResponseComplete",
        "requestURI": "/example",
        "verb": "watch",
        "user": {"username": "alice"},
        "requestReceivedTimestamp": "2026-11-22T09:15:04.112233Z",
        "stageTimestamp": "2026-11-22T09:15:04.998877Z",
    },
    "gcp.audit": {
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": "example.googleapis.com",
            "methodName": "example",
            "authenticationInfo": {"principalEmail": "maria@orchard.example"},
        },
        "insertId": "1kq0z7d1abc",
        "resource": {"type": "example", "labels": {"project_id": "orchard-4711"}},
        "timestamp": _TIME,
        "logName": "projects/orchard-4711/logs/cloudaudit.googleapis.com%2Factivity",
    },
    "azure.activitylogs": {
        **_azure("Administrative", "Microsoft.Example/things/read"),
        "resourceId": f"/subscriptions/{_ID}/resourceGroups/orchard/providers/Microsoft.Example/things/one",
        "resultType": "Success",
    },
    "azure.auditlogs": _azure("AuditLogs", "Example", activityDisplayName="Example", result="success"),
    "azure.signinlogs": {
        **_azure("SignInLogs", "Sign-in activity", userPrincipalName="mara@orchard.example", createdDateTime=_TIME),
        "resultType": "50140",
    },
    "azure.identity_protection": _azure(
        "UserRiskEvents", "User Risk Detection", riskEventType="example", lastUpdatedDateTime=_TIME
    ),
}


CONTRARY: Mapping[str, Event] = {"azure.signinlogs": {"resultType": "0"}}
"""What else such an event may have: a rule for all but one kind of it does not fire on both."""


def at(path: str) -> Place:
    """Puts a value at a dotted path; where the vendor has a list, into its one element."""

    def place(event: Event, value: Any) -> None:
        *above, last = path.split(".")
        node: Any = event
        for key in above:
            child = node.setdefault(key, [{}] if key in _LISTS else {})
            node = child[0] if isinstance(child, list) else child
        if last in _OBJECTS and not isinstance(value, Mapping):
            node[last] = {"example": value}
        elif last in _LISTS:
            node[last] = _listed(last, value)
        else:
            node[last] = value

    return place


def _listed(key: str, value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    named = key in ("targetResources", "modifiedProperties", "layers", "containerDefinitions")
    return [{"displayName": one} if named else one for one in values]


def _sign_in_status(event: Event, value: Any) -> None:
    known = {"success": "0", "failure": "50126"}
    text = str(value)
    event["resultType"] = known.get(text.lower(), event.get("resultType", "0"))
    if text.lower() not in known:
        at("properties.status.additionalDetails")(event, text)


def _protocol(event: Event, value: Any) -> None:
    words = str(value).replace(" ", "")
    at("properties.authenticationProtocol")(event, words.lower() if words.isupper() else words[:1].lower() + words[1:])


def _networks(event: Event, value: Any) -> None:
    networks = [] if value == "[]" else [{"networkType": value, "networkNames": ["office"]}]
    at("properties.networkLocationDetails")(event, networks)


def _audit_message(event: Event, value: Any) -> None:
    """An activity, or a piece of the text that the portal makes of a modified property."""
    text = str(value)
    if '":"' in text:
        members = json.loads("{" + text.strip(",") + "}")
        at("properties.targetResources.modifiedProperties")(event, "")
        event["properties"]["targetResources"][0]["modifiedProperties"] = [members]
    else:
        event["operationName"] = text
        event["properties"]["activityDisplayName"] = text


def _audit_status(event: Event, value: Any) -> None:
    result = str(value).lower() in ("success", "failure", "timeout")
    at("properties.result" if result else "properties.resultReason")(event, value)


def _admin_consent(event: Event, value: Any) -> None:
    consent = {"displayName": "ConsentContext.IsAdminConsent", "newValue": f'"{value}"'}
    at("properties.targetResources.displayName")(event, "one")
    event["properties"]["targetResources"][0]["modifiedProperties"] = [consent]


def _joined(path: str) -> Place:
    """Two words of the portal are one of the log."""
    return lambda event, value: at(path)(event, str(value).replace(" ", ""))


def _element(path: str, member: str) -> Place:
    return lambda event, value: at(path)(event, [{member: value}])


def _provider(event: Event, value: Any) -> None:
    event["resourceId"] = f"/subscriptions/{_ID}/resourceGroups/orchard/providers/{value}/things/one"
    event["operationName"] = (
        f"{value}/things/write" if event["operationName"].endswith("/read") else event["operationName"]
    )


def _log_name(event: Event, value: Any) -> None:
    event["logName"] = f"projects/orchard-4711/logs/{quote(str(value), safe='.')}"


def _nothing(_: Event, __: Any) -> None:
    """It is the same in every event of the format."""


PLACES: Mapping[str, Mapping[str, Place]] = {
    "azure.activitylogs": {"event.provider": _provider},
    "azure.auditlogs": {
        "portal.message": _audit_message,
        "portal.status": _audit_status,
        "portal.initiator": at("properties.initiatedBy.user.userPrincipalName"),
        "portal.targets": at("properties.targetResources.userPrincipalName"),
        "portal.types": _joined("properties.targetResources.type"),
        "portal.details": _element("properties.additionalDetails", "value"),
        "portal.modified.ConsentContext.IsAdminConsent": _admin_consent,
        "category": at("properties.category"),
    },
    "azure.signinlogs": {
        "portal.activity": _nothing,
        "portal.status": _sign_in_status,
        "portal.result": at("properties.status.failureReason"),
        "portal.message": _protocol,
        "portal.networks": _networks,
        "resultType": lambda event, value: event.update(resultType=str(value)),
    },
    "gcp.audit": {"gcp.audit.log_id": _log_name},
}
"""Format → what its alias leads to → where it is derived from."""


def event_of(format_: Format, wanted: Mapping[str, Any]) -> bytes:
    """A record of a format in which fields, by the names of rules, have values; "" is a value that stands anywhere.

    Raises:
        LookupError: The vendor has no such field.
    """
    event = copy.deepcopy(BASES[format_.name])
    for field, value in wanted.items():
        _place(format_, field)(event, value)
    return json.dumps(event).encode()


def _place(format_: Format, field: str) -> Place:
    if not field:
        return _anywhere(format_)
    path = format_.aliases.get(field, field)
    fields, roots = _vendor_names(format_.name)
    path = fields.get(path.lower(), path)
    known = PLACES.get(format_.name, {})
    if path in known:
        return known[path]
    root = path.partition(".")[0]
    if path in fields.values() or root in roots or any(path.startswith(f"{one}.") for one in roots):
        return at(path)
    raise LookupError(f"{format_.name} has no place for {field}")


@functools.cache
def _vendor_names(format_name: str) -> tuple[Mapping[str, str], frozenset[str]]:
    """The vendor's fields by their lower-case name, and the roots below which a call decides; not what we derive."""
    known = tomllib.loads(VENDOR_FIELDS.read_text("utf-8"))[format_name]
    return {name.lower(): name for name in known["fields"]}, frozenset(known["open"]) - {"portal"}


def _anywhere(format_: Format) -> Place:
    """Where such a text stands in practice: the name of the operation, or something that was asked for."""
    paths = {"azure.activitylogs": "operationName", "gcp.audit": "protoPayload.request.metadata.annotations.example"}
    return at(paths.get(format_.name, "requestParameters.example"))
