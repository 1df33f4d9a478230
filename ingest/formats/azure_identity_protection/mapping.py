"""From a risk detection or a risky user to its ECS document (field names of Elastic's integration).

https://learn.microsoft.com/graph/api/resources/riskdetection
https://learn.microsoft.com/graph/api/resources/riskyuser
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.azure_identity_protection.fields import FIELDS, ROOT
from ingest.formats.azure_records.document import ENVELOPE, Draft, texts
from ingest.formats.azure_records.trees import held, snake
from ingest.formats.azure_records.values import first_text, objects_of
from ingest.formats.azure_records.when import iso_time
from ingest.formats.contract import Document
from ingest.parsing.addresses import ip_of
from ingest.parsing.scalars import mapping_of, text_of

_PROPERTIES = f"{ROOT}properties."
_TYPES = {field.name.removeprefix(_PROPERTIES): field.type for field in FIELDS if field.name.startswith(_PROPERTIES)}


def document_of(event: Mapping[str, Any], own_id: str) -> Document:
    """Map a pruned record.

    Raises:
        MalformedRecord: It can't be placed in time.
    """
    draft = Draft(event, own_id)
    properties = draft.properties
    vendor = texts(event, *ENVELOPE, ("identity", "identity"))
    kept = _properties(properties)
    if kept:
        vendor["properties"] = kept
    draft.azure["identityprotection"] = vendor
    draft.act(vendor.get("operation_name"), "Microsoft Entra ID Protection")
    if "riskEventType" in properties or "riskType" in properties:
        draft.classify("intrusion_detection", ("info",), "unknown")
    else:
        draft.classify("iam", ("user", "info"), "unknown")
    draft.come_from(first_text(properties, "ipAddress") or text_of(event.get("callerIpAddress")))
    _who(draft)
    risk, level = first_text(properties, "riskEventType", "riskType"), text_of(properties.get("riskLevel"))
    told = " ".join(part for part in (risk, level, text_of(properties.get("riskState"))) if part)
    if told:
        draft.document["message"] = told
    return draft.finish()


def _properties(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The registered properties, each in the type of its field; others stay in `event.original`."""
    found: dict[str, Any] = {}
    for name, item in properties.items():
        key = snake(name).replace("_date_time", "_datetime")
        kept = _typed(_TYPES.get(key), item)
        if kept is not None:
            found[key] = kept
    return found


def _typed(type_: str | None, item: Any) -> Any:
    match type_:
        case "keyword":
            return text_of(item)
        case "date":
            time = iso_time(item)
            return time[0] if time else None
        case "boolean":
            return item if item.__class__ is bool else {"true": True, "false": False}.get((text_of(item) or "").lower())
        case "ip":
            return ip_of(text_of(item) or "")
        case "flattened":
            return _object(item)
        case _:
            return None


def _object(item: Any) -> dict[str, Any] | None:
    """An object; ``[{"Key": …, "Value": …}]`` becomes one."""
    if item.__class__ is not list:
        return held(mapping_of(item), snaked=True) or None
    pairs = ((first_text(one, "Key", "key"), one.get("Value", one.get("value"))) for one in objects_of(item))
    return held({name: value for name, value in pairs if name and value is not None}, snaked=True) or None


def _who(draft: Draft) -> None:
    properties = draft.properties
    name, shown = (
        text_of(properties.get("userPrincipalName")),
        first_text(properties, "userDisplayName", "servicePrincipalDisplayName"),
    )
    risky_user = "riskEventType" not in properties and "riskType" not in properties
    user_id = first_text(properties, "userId", "servicePrincipalId")
    if user_id is None and risky_user:
        user_id = text_of(properties.get("id"))
    draft.user(name or text_of(draft.event.get("identity")), shown, user_id)
    kind = "service_principal" if "servicePrincipalId" in properties else "user" if name else "unknown"
    draft.principal(user_id or name, kind, name or shown)
    draft.related.entity(text_of(properties.get("requestId")), text_of(properties.get("appId")))
    country = text_of(draft.event.get("location"))
    if country:
        draft.document["geo"] = {"country_iso_code": country.upper()}
