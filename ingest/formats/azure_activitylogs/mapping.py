"""From an Azure Activity event to its ECS document (field names of Elastic's integration, our superset beside them).

https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ingest.formats.azure_activitylogs.caller import Caller, caller_of
from ingest.formats.azure_records.document import ENVELOPE, Draft, is_forbidden, outcome_word, texts
from ingest.formats.azure_records.trees import held
from ingest.formats.azure_records.values import opened
from ingest.formats.contract import Document
from ingest.parsing.scalars import text_of

_TYPES = {"write": "change", "read": "access", "delete": "deletion", "action": "change"}
_IAM = ("microsoft.authorization/roleassignments", "microsoft.authorization/roledefinitions", "/elevateaccess/")
_LONGEST_NAME = 256  # characters that decide on the kind of an event; bounds what is memoised
_MOVED = frozenset({"statusMessage"})
_RENAMED = {"statusCode": "status_code", "serviceRequestId": "service_request_id"}


def document_of(event: Mapping[str, Any], own_id: str) -> Document:
    """Map a pruned record.

    Raises:
        MalformedRecord: It can't be placed in time.
    """
    draft = Draft(event, own_id)
    draft.name_level()
    caller = caller_of(event)
    vendor = texts(event, *ENVELOPE, ("tenantId", "tenant_id"), ("eventName", "event_name"))
    vendor["event_category"] = _event_category(draft.properties)
    _identity(event, caller, vendor, draft)
    properties = held({name: item for name, item in draft.properties.items() if name not in _MOVED}, snaked=False)
    if properties:
        vendor["properties"] = {_RENAMED.get(name, name): item for name, item in properties.items()}
    draft.azure["activitylogs"] = vendor
    message = text_of(draft.properties.get("statusMessage"))
    if message:
        draft.document["message"] = message
    operation = vendor.get("operation_name")
    draft.act(operation, (operation or "").partition("/")[0] or "Azure Activity")
    _classify(draft, vendor)
    draft.come_from(text_of(event.get("callerIpAddress")))
    _cloud(event, draft)
    return draft.finish()


def _event_category(properties: Mapping[str, Any]) -> str:
    return text_of(properties.get("eventCategory")) or ("Policy" if "policies" in properties else "Administrative")


def _identity(event: Mapping[str, Any], caller: Caller, vendor: dict[str, Any], draft: Draft) -> None:
    plain = text_of(event.get("identity"))
    if plain:
        vendor["identity_name"] = plain
    if caller.identity:
        vendor["identity"] = caller.identity
    name = caller.name or plain
    draft.user(name, caller.full_name, caller.object_id)
    draft.related.entity(caller.app_id, caller.principal_id)
    app = f"app:{caller.app_id}" if caller.app_id else None
    draft.principal(caller.object_id or name or app, caller.kind, name or caller.full_name or caller.app_id)


def _classify(draft: Draft, vendor: Mapping[str, Any]) -> None:
    """Elastic types by category; where that says nothing the last part of the operation's name does."""
    operation = (vendor.get("operation_name") or "")[:_LONGEST_NAME].lower()
    category, types = kinds_of((vendor.get("category") or "")[:_LONGEST_NAME].lower(), operation)
    outcome = _outcome(vendor.get("result_type"), draft.properties)
    if outcome == "failure" and is_forbidden(draft.event, draft.properties):
        types = (*types, "denied")
    draft.classify(category, types, outcome)


@functools.lru_cache(maxsize=4096)
def kinds_of(category: str, operation: str) -> tuple[str, tuple[str, ...]]:
    """ECS category and types, from lower-cased names."""
    verb = _TYPES.get(category) or _TYPES.get(operation.rpartition("/")[2], "info")
    if any(part in operation for part in _IAM):
        # `access` is no type of the category iam
        return "iam", ("admin", "info" if verb == "access" else verb)
    return "configuration", (verb,)


def _outcome(result_type: str | None, properties: Mapping[str, Any]) -> str | None:
    """None for progress records (`Start`, `Accepted`): they are neither success nor failure."""
    found = outcome_word(result_type)
    if found:
        return found
    told = (text_of(properties.get("result")) or "").lower()
    return told if told in ("success", "failure", "unknown") else None


def _cloud(event: Mapping[str, Any], draft: Draft) -> None:
    cloud = draft.document["cloud"]
    region = text_of(event.get("location")) or text_of(draft.properties.get("resourceLocation"))
    if region:
        cloud["region"] = region
    provider = draft.azure.get("resource", {}).get("provider")
    if provider:
        cloud["service"] = {"name": provider.partition("/")[0].lower()}
    entity = text_of(draft.properties.get("entity"))
    if entity and entity.count("/") > 1:
        draft.related.entity(entity)
    body = opened(draft.properties.get("requestbody"))
    if body.__class__ is dict:
        _assigned(body, draft)


def _assigned(body: Mapping[str, Any], draft: Draft) -> None:
    """Whom a role was assigned to: what responders ask for first."""
    inner = {name.lower(): item for name, item in body.items() if name.__class__ is str}
    properties = inner.get("properties")
    wanted = {name.lower(): item for name, item in properties.items()} if properties.__class__ is dict else {}
    principal = text_of(wanted.get("principalid"))
    if principal:
        draft.related.entity(principal, text_of(wanted.get("roledefinitionid")))
        draft.document.setdefault("user", {})["target"] = {"id": principal}
