"""The vendor's part of a document: `gcp.audit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.gcp_audit.classify import status_code
from ingest.formats.gcp_records.place import LogName
from ingest.parsing.flattened import flattened
from ingest.parsing.scalars import boolean_of, long_of, mapping_of, mappings_of, picked, text_of, texts_of

# google/rpc/code.proto
_CODES = """
    OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED
    RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS
    UNAUTHENTICATED
"""
_CODE_NAMES = tuple(_CODES.split())
_MOST_CHECKS = 200  # permissions checked in one record that are written
_TEXTS = (
    ("@type", "type"),
    ("methodName", "method_name"),
    ("serviceName", "service_name"),
    ("resourceName", "resource_name"),
)
_BODIES = (
    ("request", "request"),
    ("response", "response"),
    ("metadata", "metadata"),
    ("serviceData", "service_data"),
    ("policyViolationInfo", "policy_violation_info"),
)
_SCALARS = (("policy", "policy_value"), ("status", "status_value"))


def vendor_of(entry: Mapping[str, Any], payload: Mapping[str, Any], log: LogName) -> dict[str, Any]:
    """The `gcp.audit` object of a document."""
    resource = mapping_of(entry.get("resource"))
    parts: dict[str, Any] = {
        **picked(payload, _TEXTS),
        "log_id": log.id,
        "resource_type": text_of(resource.get("type")),
        "logentry_operation": _operation(entry),
        "status": _status(payload),
        "num_response_items": long_of(payload.get("numResponseItems")),
        "authentication_info": _authentication(mapping_of(payload.get("authenticationInfo"))),
        "authorization_info": [
            check for one in mappings_of(payload.get("authorizationInfo"))[:_MOST_CHECKS] if (check := _check(one))
        ],
        "request_metadata": picked(mapping_of(payload.get("requestMetadata")), (("callerNetwork", "caller_network"),)),
        "labels": flattened(mapping_of(entry.get("labels"))),
        "resource_labels": flattened(mapping_of(resource.get("labels"))),
    }
    locations = texts_of(mapping_of(payload.get("resourceLocation")).get("currentLocations"))
    if locations:
        parts["resource_location"] = {"current_locations": locations}
    for name, target in _BODIES:
        body = payload.get(name)
        if body.__class__ is dict:
            parts[target] = flattened(_with_values(body) if target in ("request", "response") else body)
    return {name: part for name, part in parts.items() if part not in (None, "", {}, [])}


def code_name(code: int) -> str:
    """`PERMISSION_DENIED` for 7; the number itself where it is none of Google's."""
    return _CODE_NAMES[code] if 0 <= code < len(_CODE_NAMES) else str(code)


def _operation(entry: Mapping[str, Any]) -> dict[str, str]:
    found = picked(mapping_of(entry.get("operation")), (("id", "id"), ("producer", "producer")))
    return {} if found.get("id") in (None, entry.get("insertId")) else found


def _status(payload: Mapping[str, Any]) -> dict[str, Any]:
    code = status_code(payload)
    found: dict[str, Any] = picked(mapping_of(payload.get("status")), (("message", "message"),))
    return found if code is None else {"code": code, "code_name": code_name(code), **found}


def _authentication(info: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = picked(
        info, (("authoritySelector", "authority_selector"), ("serviceAccountKeyName", "service_account_key_name"))
    )
    found |= picked(mapping_of(info.get("oauthInfo")), (("oauthClientId", "oauth_client_id"),))
    delegation = mappings_of(info.get("serviceAccountDelegationInfo"))
    if delegation:
        found["service_account_delegation_info"] = flattened({str(at): link for at, link in enumerate(delegation)})
    third = mapping_of(info.get("thirdPartyPrincipal"))
    if third:
        found["third_party_principal"] = flattened(third)
    return {name: part for name, part in found.items() if part}


def _check(check: Mapping[str, Any]) -> dict[str, Any]:
    """One element of `authorization_info`: a plain object."""
    found: dict[str, Any] = picked(
        check, (("permission", "permission"), ("permissionType", "permission_type"), ("resource", "resource"))
    )
    granted = boolean_of(check.get("granted"))
    if granted is not None:
        found["granted"] = granted
    attributes = picked(
        mapping_of(check.get("resourceAttributes")), (("name", "name"), ("service", "service"), ("type", "type"))
    )
    if attributes:
        found["resource_attributes"] = attributes
    return found


def _with_values(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body with `policy` and `status` under another name where they are scalars: elsewhere they are objects."""
    renamed = {name: target for name, target in _SCALARS if text_of(body.get(name)) is not None}
    return {renamed.get(name, name): item for name, item in body.items()} if renamed else body
