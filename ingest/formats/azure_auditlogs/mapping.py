"""From an Entra audit event to its ECS document (field names of Elastic's integration, our superset beside them).

https://learn.microsoft.com/graph/api/resources/directoryaudit
https://learn.microsoft.com/azure/azure-monitor/reference/tables/auditlogs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.aws_cloudtrail.user_agents import user_agent_of
from ingest.formats.azure_auditlogs.classify import kinds_of, outcome_of
from ingest.formats.azure_records.document import ENVELOPE, Draft, texts
from ingest.formats.azure_records.trees import by_number, held
from ingest.formats.azure_records.values import first_text, objects_of
from ingest.formats.contract import Document
from ingest.parsing.scalars import mapping_of, text_of

_APART = frozenset({"initiatedBy", "targetResources", "additionalDetails"})
_LONGEST_NAME = 256  # characters that decide on the kind of an event; bounds what is memoised


def document_of(event: Mapping[str, Any], own_id: str) -> Document:
    """Map a pruned record.

    Raises:
        MalformedRecord: It can't be placed in time.
    """
    draft = Draft(event, own_id)
    properties = draft.properties
    vendor = texts(event, *ENVELOPE, ("identity", "identity"), ("level", "level"), ("tenantId", "tenant_id"))
    kept = _properties(properties)
    if kept:
        vendor["properties"] = kept
    draft.azure["auditlogs"] = vendor
    operation = vendor.get("operation_name")
    draft.act(operation, text_of(properties.get("loggedByService")) or "Microsoft Entra ID")
    category, types = kinds_of(
        (text_of(properties.get("category")) or "")[:_LONGEST_NAME],
        (text_of(properties.get("operationType")) or "")[:_LONGEST_NAME],
        (operation or "")[:_LONGEST_NAME],
    )
    draft.classify(category, types, outcome_of(event))
    _who(event, draft)
    _targets(draft)
    reason = text_of(properties.get("resultReason"))
    if reason:
        draft.document["message"] = reason
    return draft.finish()


def _properties(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Names in snake case; below `initiated_by` they stay as they are, because rules query them so."""
    kept = held({name: item for name, item in properties.items() if name not in _APART}, snaked=True)
    if "activity_date_time" in kept:
        kept["activity_datetime"] = kept["activity_date_time"]
    initiated = held(mapping_of(properties.get("initiatedBy")), snaked=False)
    if initiated:
        kept["initiated_by"] = initiated
    targets = [_target(one) for one in objects_of(properties.get("targetResources"))]
    if targets:
        kept["target_resources"] = by_number(targets)
    details = [held(pair, snaked=True) for pair in objects_of(properties.get("additionalDetails"))]
    if details:
        kept["additional_details"] = details
    return kept


def _target(target: Mapping[str, Any]) -> dict[str, Any]:
    found = held({name: item for name, item in target.items() if name != "modifiedProperties"}, snaked=True)
    modified = [held(one, snaked=True) for one in objects_of(target.get("modifiedProperties"))]
    if modified:
        found["modified_properties"] = by_number(modified)
    return found


def _who(event: Mapping[str, Any], draft: Draft) -> None:
    initiated = mapping_of(draft.properties.get("initiatedBy"))
    user, app = mapping_of(initiated.get("user")), mapping_of(initiated.get("app"))
    details = {
        text_of(pair.get("key")): text_of(pair.get("value"))
        for pair in objects_of(draft.properties.get("additionalDetails"))
    }
    draft.come_from(text_of(event.get("callerIpAddress")) or text_of(user.get("ipAddress")) or details.get("ipaddr"))
    agent = text_of(draft.properties.get("userAgent")) or details.get("User-Agent")
    if agent:
        draft.document["user_agent"] = user_agent_of(agent)
    app_id, app_name = text_of(app.get("appId")), first_text(app, "displayName", "servicePrincipalName")
    draft.related.user(app_name)
    draft.related.entity(app_id)
    name, shown, user_id = (text_of(user.get(part)) for part in ("userPrincipalName", "displayName", "id"))
    if name or user_id:
        draft.user(name, shown, user_id)
        draft.principal(user_id or name, "user", name or shown)
        return
    principal_id = text_of(app.get("servicePrincipalId"))
    name = app_name or shown or text_of(event.get("identity"))
    draft.user(name, None, principal_id)
    key = principal_id or (f"app:{app_id}" if app_id else name)
    draft.principal(key, "service_principal" if app else "unknown", name)


def _targets(draft: Draft) -> None:
    """`user.target` and `group` of the first of their kind; names and ids of all for pivoting."""
    document, related = draft.document, draft.related
    for target in objects_of(draft.properties.get("targetResources")):
        id_, kind = text_of(target.get("id")), (text_of(target.get("type")) or "").lower()
        shown, principal = text_of(target.get("displayName")), text_of(target.get("userPrincipalName"))
        related.entity(id_)
        if kind == "device":
            related.host(shown)
        elif kind == "group":
            found = {"id": id_, "name": shown}
            if any(found.values()):
                document.setdefault("group", {name: value for name, value in found.items() if value})
        elif kind == "user" or principal:
            related.user(principal, shown)
            found = {"id": id_, "name": principal or shown, "full_name": shown if principal else None}
            if any(found.values()):
                known = document.setdefault("user", {})
                known.setdefault("target", {name: value for name, value in found.items() if value})
