"""Bringing what REST, Microsoft Graph, SDKs and Log Analytics deliver into the shape of the resource log schema.

What a table or a Graph object has on its top level stands below `properties` in that schema; texts that hold objects
are opened where Azure documents an object. Rules and mapping then see one event however it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.azure_records import kinds
from ingest.formats.azure_records.spelling import TOP_NAMES, respelled_inside
from ingest.formats.azure_records.values import first_text, named_value, object_of, objects_of, opened
from ingest.parsing.scalars import mapping_of, text_of

_COLUMNS = frozenset({"timeGenerated", "type", "sourceSystem", "resource", "resourceGroup", "resourceProvider"})
_OBJECT_TEXTS = """
    additionalDetails appliedConditionalAccessPolicies authenticationContextClassReferences authenticationDetails
    authenticationProcessingDetails authenticationRequirementPolicies conditionalAccessAudiences deviceDetail
    initiatedBy location mfaDetail networkLocationDetails privateLinkDetails riskEventTypes riskEventTypes_v2
    sessionLifetimePolicies signInEventTypes status targetResources modifiedProperties additionalInfo
    tokenProtectionStatusDetails agent
""".split()  # noqa: SIM905 - a table of names reads better as one
_SIGN_IN_TYPES = {
    "interactiveuser": "SignInLogs",
    "noninteractiveuser": "NonInteractiveUserSignInLogs",
    "serviceprincipal": "ServicePrincipalSignInLogs",
    "managedidentity": "ManagedIdentitySignInLogs",
}
_TABLE_CATEGORIES = {
    "aadnoninteractiveusersigninlogs": "NonInteractiveUserSignInLogs",
    "aadserviceprincipalsigninlogs": "ServicePrincipalSignInLogs",
    "aadmanagedidentitysigninlogs": "ManagedIdentitySignInLogs",
    "adfssigninlogs": "ADFSSignInLogs",
}
_SIGN_IN_OPERATION = "Sign-in activity"
_COLUMN_TYPES = ("_s", "_d", "_g", "_b", "_t")  # AzureDiagnostics names the type of a column at its end
_CLAIM = "identity_claim_"


def shaped(event: dict[str, Any], kind: str) -> dict[str, Any]:
    """The record in the shape of the resource log schema; `event` may be changed."""
    if "aadTenantId" in event or "timeGenerated" in event:
        event["tenantId"] = event.pop("aadTenantId", None)  # the column TenantId names the workspace
    if kind == kinds.ACTIVITY:
        return _activity(event)
    if kind == kinds.SIGN_IN:
        return _sign_in(event)
    if kind == kinds.AUDIT:
        return _audit(event)
    return _risk(event) if kind == kinds.RISK else _platform(event)


def _activity(event: dict[str, Any]) -> dict[str, Any]:
    """https://learn.microsoft.com/rest/api/monitor/activity-logs/list names what is taken apart here."""
    for name in (
        "operationName",
        "category",
        "status",
        "subStatus",
        "eventName",
        "resourceProviderName",
        "resourceType",
    ):
        if event.get(name).__class__ is dict:
            event[name] = named_value(event[name])
    _first(event, "time", "eventTimestamp", "timeGenerated", "submissionTimestamp", "eventSubmissionTimestamp")
    _first(event, "resultType", "activityStatusValue", "activityStatus", "status")
    _first(event, "resultSignature", "activitySubstatusValue", "activitySubstatus", "subStatus")
    _first(event, "resourceId", "resourceUri")
    _first(event, "resultDescription", "description")
    for name, column in (("operationName", "operationNameValue"), ("category", "categoryValue")):
        if text_of(event.get(column)):
            event[name] = event[column]
    properties = object_of(event.get("properties")) or object_of(event.get("propertiesD")) or {}
    identity = opened(event.get("identity"))
    if not identity:
        parts = {
            name: object_of(event.get(name)) or object_of(event.get(f"{name}D")) for name in ("authorization", "claims")
        }
        identity = {name: part for name, part in parts.items() if part}
    request = object_of(event.get("httpRequest"))
    if request and not event.get("callerIpAddress"):
        event["callerIpAddress"] = request.get("clientIpAddress")
    if "eventDataId" in event:
        properties.setdefault("eventDataId", event["eventDataId"])
    event.update(properties=properties, identity=identity)
    return event


def _sign_in(event: dict[str, Any]) -> dict[str, Any]:
    properties = object_of(event.get("properties"))
    if properties is None:
        event, properties = _nested(event)
        event["category"] = _sign_in_category(event, properties)
        if "/" not in (text_of(event.get("resourceId")) or "/"):
            properties["resourceId"] = event.pop("resourceId")  # Graph's: the application that was signed in to
        place = opened(properties.pop("locationDetails", None)) or opened(event.get("location"))
        if place.__class__ is dict:
            properties["location"] = respelled_inside(place)
            if event.get("location").__class__ is not str or event["location"][:1] == "{":
                event["location"] = place.get("countryOrRegion")
    _open_texts(properties)
    if "conditionalAccessPolicies" in properties:
        policies = opened(properties.pop("conditionalAccessPolicies"))
        properties.setdefault("appliedConditionalAccessPolicies", policies)
    _first(event, "time", "timeGenerated")
    _borrow(event, properties, "time", "createdDateTime")
    _borrow(event, properties, "callerIpAddress", "ipAddress")
    if event.get("resultType") is None:
        code = mapping_of(properties.get("status")).get("errorCode")
        event["resultType"] = None if code is None else str(code)
    if not event.get("operationName"):
        event["operationName"] = _SIGN_IN_OPERATION
    event["properties"] = properties
    return event


def _sign_in_category(event: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    told = text_of(event.get("category"))
    if told:
        return told
    table = _TABLE_CATEGORIES.get((text_of(event.get("type")) or "").lower())
    types = opened(properties.get("signInEventTypes"))
    names = [item.lower() for item in types if item.__class__ is str] if types.__class__ is list else []
    return table or next((_SIGN_IN_TYPES[name] for name in names if name in _SIGN_IN_TYPES), "SignInLogs")


def _audit(event: dict[str, Any]) -> dict[str, Any]:
    properties = object_of(event.get("properties"))
    if properties is None:
        told = text_of(event.get("category"))
        event, properties = _nested(event)
        if told and told.lower() != "auditlogs":
            properties["category"] = told
        event["category"] = "AuditLogs"
    elif (text_of(event.get("category")) or "").lower() != "auditlogs":
        properties.setdefault("category", event.get("category"))
    _open_texts(properties)
    for target in objects_of(properties.get("targetResources")):
        _open_texts(target)
    if "aadOperationType" in properties:
        properties.setdefault("operationType", properties.pop("aadOperationType"))
    if "result" in event:
        properties.setdefault("result", event["result"])
    _first(event, "time", "timeGenerated")
    _borrow(event, properties, "time", "activityDateTime")
    _borrow(event, properties, "operationName", "activityDisplayName")
    event["properties"] = properties
    return event


def _risk(event: dict[str, Any]) -> dict[str, Any]:
    properties = object_of(event.get("properties"))
    if properties is None:
        event, properties = _nested(event)
        detected = "riskEventType" in properties
        event.setdefault("category", "UserRiskEvents" if detected else "RiskyUsers")
        event.setdefault("operationName", "User Risk Detection" if detected else "Risky user")
        place = opened(event.get("location"))
        if place.__class__ is dict:
            properties["location"] = respelled_inside(place)
            event["location"] = place.get("countryOrRegion")
    _open_texts(properties)
    _first(event, "time", "timeGenerated")
    for name in ("detectedDateTime", "activityDateTime", "riskLastUpdatedDateTime"):
        _borrow(event, properties, "time", name)
    _borrow(event, properties, "callerIpAddress", "ipAddress")
    event["properties"] = properties
    return event


def _platform(event: dict[str, Any]) -> dict[str, Any]:
    properties = object_of(event.get("properties")) or object_of(event.get("eventProperties"))
    if properties is None and "timeGenerated" in event:
        event, columns = _nested(event)
        properties = _diagnostics(event, columns)
    identity = object_of(event.get("identity"))
    if identity is not None:
        event["identity"] = identity
    _first(event, "time", "timeGenerated", "eventTimeString", "eventTimestamp")
    _first(event, "operationName", "eventName")
    event["properties"] = properties or {}
    return event


def _diagnostics(event: dict[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a table as the properties they were made from."""
    found: dict[str, Any] = {}
    claims: dict[str, Any] = {}
    for name, value in columns.items():
        bare = name[:-2] if name.endswith(_COLUMN_TYPES) else name
        if bare.startswith(_CLAIM):
            claims[bare.removeprefix(_CLAIM)] = value
        elif value is not None and value != "":
            found[bare[:1].lower() + bare[1:]] = value
    if claims:
        event["identity"] = {"claim": claims}
    return found


def _nested(event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The members of the schema's top level and all others, of a record that has them side by side."""
    properties = {name: value for name, value in event.items() if name not in TOP_NAMES and name not in _COLUMNS}
    above = {name: value for name, value in event.items() if name in TOP_NAMES or name in _COLUMNS}
    if "correlationId" in above:
        properties["correlationId"] = above["correlationId"]
    return above, properties


def _open_texts(members: dict[str, Any]) -> None:
    for name in _OBJECT_TEXTS:
        value = members.get(name)
        if value.__class__ is str:
            inner = opened(value)
            if inner is not value:
                members[name] = respelled_inside(inner)


def _first(event: dict[str, Any], name: str, *others: str) -> None:
    """Give `name` the first value of `others` where it has none; what is taken stays under its own name, too."""
    if event.get(name) is None or event[name] == "":
        text = first_text(event, *others)
        if text is not None:
            event[name] = text


def _borrow(event: dict[str, Any], properties: Mapping[str, Any], name: str, inner: str) -> None:
    if event.get(name) is None or event[name] == "":
        text = text_of(properties.get(inner))
        if text is not None:
            event[name] = text
