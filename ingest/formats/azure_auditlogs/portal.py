"""What the portal shows of an audit event, under names of ours that the aliases of public Sigma rules lead to.

Those rules were written from the portal's columns and from the table AuditLogs: `properties.message` is the activity or
a piece of what was modified, `Status` the result or its reason.

https://learn.microsoft.com/azure/azure-monitor/reference/tables/auditlogs
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ingest.formats.azure_records.values import objects_of, opened
from ingest.parsing.scalars import mapping_of, text_of

_WORDS = re.compile(r"([a-z])([A-Z])")
_MODIFIED = ("displayName", "oldValue", "newValue")
_MOST = 64  # targets and modified properties that are shown; more is no single action

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "ActivityDisplayName": "properties.activityDisplayName",
        "activityDisplayName": "properties.activityDisplayName",
        "ActivityType": "operationName",
        "activityType": "operationName",
        "AADOperationType": "properties.operationType",
        "operationType": "properties.operationType",
        "LoggedByService": "properties.loggedByService",
        "loggedByService": "properties.loggedByService",
        "Result": "properties.result",
        "result": "properties.result",
        "ResultReason": "properties.resultReason",
        "failure_status_reason": "properties.resultReason",
        "Status": "portal.status",
        "properties.message": "portal.message",
        "InitiatedBy": "properties.initiatedBy",
        "initiatedBy": "properties.initiatedBy",
        "Initiatedby": "portal.initiator",
        "Initiatied.By": "portal.initiator",
        "Target": "portal.targets",
        "TargetResources": "properties.targetResources",
        "targetResources": "properties.targetResources",
        "TargetResources.modifiedProperties": "properties.targetResources.modifiedProperties",
        "TargetResources.modifiedProperties.newValue": "properties.targetResources.modifiedProperties.newValue",
        "TargetResources.modifiedProperties.displayName": "properties.targetResources.modifiedProperties.displayName",
        "TargetResources.ModifiedProperties.NewValue": "properties.targetResources.modifiedProperties.newValue",
        "TargetResources.ModifiedProperties.OldValue": "properties.targetResources.modifiedProperties.oldValue",
        "TargetResources.ModifiedProperties.DisplayName": "properties.targetResources.modifiedProperties.displayName",
        "TargetResources.type": "portal.types",
        "targetResources.type": "portal.types",
        "AdditionalDetails": "properties.additionalDetails",
        "additionalDetails": "properties.additionalDetails",
        "additionalDetails.additionalInfo": "portal.details",
        "ConsentContext.IsAdminConsent": "portal.modified.ConsentContext.IsAdminConsent",
        "AADTenantId": "tenantId",
        "IPAddress": "callerIpAddress",
        "IpAddress": "callerIpAddress",
        "TimeGenerated": "time",
    }
)


def vendor_of(event: dict[str, Any]) -> Mapping[str, Any]:
    """The record with `portal` beside it; `category` is both the log's and the event's."""
    properties = mapping_of(event.get("properties"))
    targets = objects_of(properties.get("targetResources"))[:_MOST]
    modified = [one for target in targets for one in objects_of(target.get("modifiedProperties"))][:_MOST]
    initiated = mapping_of(properties.get("initiatedBy"))
    who = [mapping_of(initiated.get(part)) for part in ("user", "app")]
    operation = text_of(event.get("operationName")) or ""
    category = [text for text in (text_of(event.get("category")), text_of(properties.get("category"))) if text]
    details = objects_of(properties.get("additionalDetails"))[:_MOST]
    changes = {text_of(one.get("displayName")): _plain(one.get("newValue")) for one in modified}
    portal = {
        "status": _texts((properties, ("result", "resultReason"))),
        "message": [operation.strip(), *map(_written, modified)],
        "initiator": _texts(*((one, ("userPrincipalName", "displayName", "servicePrincipalName")) for one in who)),
        "targets": _texts(*((one, ("userPrincipalName", "displayName", "id")) for one in targets)),
        "types": [name for one in targets for name in _spaced(text_of(one.get("type")))],
        "details": _texts(*((one, ("value", "additionalInfo")) for one in details)),
        "modified": {name: value for name, value in changes.items() if name},
    }
    return {**event, "category": list(dict.fromkeys(category)), "portal": portal}


def _texts(*sources: tuple[Mapping[str, Any], tuple[str, ...]]) -> list[str]:
    return [text for source, names in sources for name in names if (text := text_of(source.get(name)))]


def _written(modified: Mapping[str, Any]) -> str:
    """A modified property as it stands in the portal's text: `"displayName":"…","oldValue":"…","newValue":"…"`."""
    members = {name: modified.get(name) for name in _MODIFIED}
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))[1:-1]


def _spaced(kind: str | None) -> tuple[str, ...]:
    """`ServicePrincipal` as it is and as the portal writes it."""
    if not kind:
        return ()
    spaced = _WORDS.sub(r"\1 \2", kind)
    return (kind,) if spaced == kind else (kind, spaced)


def _plain(value: Any) -> Any:
    """A new value without the quotes of JSON in which Entra puts it."""
    if value.__class__ is str and value[:1] == '"' and value[-1:] == '"':
        return value[1:-1]
    inner = opened(value)
    return inner if inner.__class__ is list else value
