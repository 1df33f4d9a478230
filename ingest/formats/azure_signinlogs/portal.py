"""What the portal shows of a sign-in, under names of ours that the aliases of public Sigma rules lead to.

Those rules were written from the portal's columns: `Status` is a word or a text, `ResultDescription` the portal's short
text for an error code, `properties.message` the way of signing in.

https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ingest.formats.azure_records.spelling import SIGN_IN
from ingest.formats.azure_signinlogs.mapping import outcome_of
from ingest.parsing.scalars import mapping_of, text_of

_CODES = {
    "50053": "Account is locked",
    "50057": "User account is disabled. The account has been disabled by an administrator.",
    "50074": "Strong Auth required",
    "50097": "Device authentication is required",
    "50126": "Invalid username or password or Invalid on-premises username or password.",
    "50155": "DeviceAuthenticationFailed",
    "50158": "ExternalSecurityChallenge - External security challenge was not satisfied",
    "53003": "Blocked by Conditional Access",
    "500121": "Authentication failed during strong authentication request",
}
_WORDS = re.compile(r"([a-z])([A-Z])")

_PROPERTIES = SIGN_IN.split()
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        **{name: f"properties.{name}" for name in _PROPERTIES if name != "id"},
        **{name[:1].upper() + name[1:]: f"properties.{name}" for name in _PROPERTIES},
        "IPAddress": "properties.ipAddress",
        "IPaddress": "properties.ipAddress",
        "IpAddress": "properties.ipAddress",
        "Username": "properties.userPrincipalName",
        "UserName": "properties.userPrincipalName",
        "TargetUserName": "properties.userPrincipalName",
        "Initiatied.By": "properties.userPrincipalName",
        "Initiatedby": "properties.userPrincipalName",
        "ClientApp": "properties.clientAppUsed",
        "DeviceInfo": "properties.deviceDetail",
        "DeviceDetail.deviceId": "properties.deviceDetail.deviceId",
        "DeviceDetail.isCompliant": "properties.deviceDetail.isCompliant",
        "DeviceDetail.isManaged": "properties.deviceDetail.isManaged",
        "DeviceDetail.trusttype": "properties.deviceDetail.trustType",
        "DeviceDetail.trustType": "properties.deviceDetail.trustType",
        "LocationDetails": "properties.location",
        "ConditionalAccessPolicies": "properties.appliedConditionalAccessPolicies",
        "Status": "portal.status",
        "ResultDescription": "portal.result",
        "Resultdescription": "portal.result",
        "ActivityDetails": "portal.activity",
        "NetworkLocationDetails": "portal.networks",
        "properties.message": "portal.message",
        "AADTenantId": "tenantId",
        "TimeGenerated": "time",
    }
)


def vendor_of(event: dict[str, Any]) -> Mapping[str, Any]:
    """The record with `portal` beside it."""
    properties = mapping_of(event.get("properties"))
    status = mapping_of(properties.get("status"))
    outcome = outcome_of(event).capitalize()
    reason, details = text_of(status.get("failureReason")), text_of(status.get("additionalDetails"))
    code = text_of(event.get("resultType")) or ""
    described = (text_of(event.get("resultDescription")), reason, _CODES.get(code), outcome)
    protocol = text_of(properties.get("authenticationProtocol")) or ""
    portal: dict[str, Any] = {
        "activity": "Sign-ins",
        "status": [text for text in (outcome, reason, details) if text],
        "result": list(dict.fromkeys(text for text in described if text)),
        "message": [_WORDS.sub(r"\1 \2", protocol)] if protocol else [],
    }
    networks = properties.get("networkLocationDetails")
    if networks is not None:
        portal["networks"] = networks if networks.__class__ is str else json.dumps(networks)
    return {**event, "portal": portal}
