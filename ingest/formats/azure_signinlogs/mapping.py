"""From an Entra sign-in to its ECS document (field names of Elastic's integration, our superset beside them).

https://learn.microsoft.com/azure/azure-monitor/reference/tables/signinlogs
https://learn.microsoft.com/graph/api/resources/signin
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.aws_cloudtrail.user_agents import user_agent_of
from ingest.formats.azure_records.document import ENVELOPE, Draft, outcome_word, texts
from ingest.formats.azure_records.trees import held
from ingest.formats.azure_records.values import first_text, objects_of
from ingest.formats.contract import Document
from ingest.parsing.scalars import mapping_of, text_of

_OBJECTS = frozenset({"deviceDetail", "location", "mfaDetail", "privateLinkDetails", "status"})
"""Members that are objects wherever Azure documents them: a text there would break the field for all others."""
_LISTED = frozenset({"key", "value"})
_RENAMED = {
    "created_date_time": "created_at",
    "risk_level_during_sign_in": "risk_level_during_signin",
    "processing_time_in_milliseconds": "processing_time_ms",
}
_ENTITIES = ("appId", "resourceId", "userId", "servicePrincipalId", "sessionId", "servicePrincipalCredentialKeyId")


def document_of(event: Mapping[str, Any], own_id: str) -> Document:
    """Map a pruned record.

    Raises:
        MalformedRecord: It can't be placed in time.
    """
    draft = Draft(event, own_id)
    properties = draft.properties
    vendor = texts(event, *ENVELOPE, ("identity", "identity"), ("tenantId", "tenant_id"))
    kept = held(_settled(properties), snaked=True)
    processing = held(_pairs(properties.get("authenticationProcessingDetails")), snaked=False)
    if processing:
        kept["authentication_processing_details"] = processing
    if kept:
        vendor["properties"] = {_RENAMED.get(name, name): item for name, item in kept.items()}
    draft.azure["signinlogs"] = vendor
    draft.act(vendor.get("operation_name"), "Microsoft Entra ID")
    draft.classify("authentication", ("info",), outcome_of(event))
    draft.come_from(first_text(properties, "ipAddress") or text_of(event.get("callerIpAddress")))
    _place(event, draft)
    _who(draft)
    _device(draft)
    draft.related.entity(*(text_of(properties.get(name)) for name in _ENTITIES))
    status = mapping_of(properties.get("status"))
    reason, details = text_of(status.get("failureReason")), text_of(status.get("additionalDetails"))
    if reason or details:
        draft.document["message"] = f"{reason} ({details})" if reason and details else reason or details
    session = text_of(properties.get("sessionId"))
    if session:
        draft.document.setdefault("skytrail", {})["session"] = {"key": session}
    return draft.finish()


def outcome_of(event: Mapping[str, Any]) -> str:
    """`success` when the error code is absent or 0, else `failure`.

    Exports that were cut down have no status; what their result type says counts then.
    """
    code = text_of(mapping_of(mapping_of(event.get("properties")).get("status")).get("errorCode"))
    if code is not None:
        return "success" if code == "0" else "failure"
    result = text_of(event.get("resultType"))
    if result is not None and result.isdecimal():
        return "success" if int(result[:12]) == 0 else "failure"
    return outcome_word(result) or "success"


def _settled(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The properties with the one shape that each of them has in the index."""
    return {
        name: item
        for name, item in properties.items()
        if name != "authenticationProcessingDetails" and (name not in _OBJECTS or item.__class__ is dict)
    }


def _pairs(value: Any) -> dict[str, Any]:
    """``[{"key": …, "value": …}]`` as an object; names may hold dots (`Legacy TLS (TLS 1.0, 1.1, 3DES)`)."""
    found: dict[str, Any] = {}
    for pair in objects_of(value):
        name, item = text_of(pair.get("key")), text_of(pair.get("value"))
        if name and item is not None:
            found[name] = item
        elif _LISTED.isdisjoint(pair):
            found.update({key: inner for key, inner in pair.items() if text_of(inner) is not None})
    return found


def _place(event: Mapping[str, Any], draft: Draft) -> None:
    """`geo` as Elastic has it (its country name is the state), and `source.geo` as ECS means it."""
    place = mapping_of(draft.properties.get("location"))
    country = text_of(event.get("location")) or text_of(place.get("countryOrRegion"))
    city, state = text_of(place.get("city")), text_of(place.get("state"))
    point = _point(mapping_of(place.get("geoCoordinates")))
    geo = {"country_iso_code": country, "city_name": city, "country_name": state, "location": point}
    found = {name: value for name, value in geo.items() if value}
    if found:
        draft.document["geo"] = found
    source = draft.document.get("source")
    ours = {"country_iso_code": country, "city_name": city, "region_name": state, "location": point}
    if source and any(ours.values()):
        source["geo"] = {name: value for name, value in ours.items() if value}


def _point(coordinates: Mapping[str, Any]) -> dict[str, float] | None:
    latitude, longitude = coordinates.get("latitude"), coordinates.get("longitude")
    if not isinstance(latitude, (int, float)) or not isinstance(longitude, (int, float)):
        return None
    if abs(latitude) > 90 or abs(longitude) > 180:  # noqa: PLR2004 - degrees
        return None
    return {"lat": latitude, "lon": longitude}


def _who(draft: Draft) -> None:
    properties = draft.properties
    name, full_name = text_of(properties.get("userPrincipalName")), text_of(properties.get("userDisplayName"))
    user_id = text_of(properties.get("userId"))
    if name or user_id:
        draft.user(name, full_name, user_id)
        draft.principal(user_id or name, "user", name or full_name)
        return
    app_id = text_of(properties.get("appId"))
    name, object_id = text_of(properties.get("servicePrincipalName")), text_of(properties.get("servicePrincipalId"))
    draft.user(name or full_name, None, object_id)
    category = (text_of(draft.event.get("category")) or "").lower()
    kind = "managed_identity" if category.startswith("managedidentity") else "service_principal"
    draft.principal(object_id or (f"app:{app_id}" if app_id else name), kind, name or app_id)


def _device(draft: Draft) -> None:
    properties = draft.properties
    agent = text_of(properties.get("userAgent"))
    if agent:
        draft.document["user_agent"] = user_agent_of(agent)
    device = mapping_of(properties.get("deviceDetail"))
    draft.related.host(text_of(device.get("displayName")))
    draft.related.entity(text_of(device.get("deviceId")))
