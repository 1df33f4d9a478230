"""Who called Azure Resource Manager: the claims of the caller's token.

https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema#administrative-category
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.formats.azure_records.trees import held
from ingest.formats.azure_records.values import first_text
from ingest.parsing.scalars import mapping_of, text_of

_SCHEMA = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
_OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
_EVIDENCE = (
    ("role", "role"),
    ("roleAssignmentScope", "role_assignment_scope"),
    ("roleAssignmentId", "role_assignment_id"),
    ("roleDefinitionId", "role_definition_id"),
    ("principalId", "principal_id"),
    ("principalType", "principal_type"),
)


class Caller(NamedTuple):
    """What the claims say.

    Attributes:
        identity: What goes below `azure.activitylogs.identity`.
        name: Principal name: `a@b`, or whatever stands in its place.
        full_name: Name in full.
        object_id: Object id in Entra.
        app_id: Application that called, or called for somebody.
        principal_id: Object id that the right was given to.
        kind: user, service_principal or unknown.
    """

    identity: dict[str, Any]
    name: str | None
    full_name: str | None
    object_id: str | None
    app_id: str | None
    principal_id: str | None
    kind: str


def caller_of(event: Mapping[str, Any]) -> Caller:
    """Read `identity` of a pruned event, and `caller` where there is no identity."""
    identity = mapping_of(event.get("identity"))
    claims = mapping_of(identity.get("claims"))
    authorization = mapping_of(identity.get("authorization"))
    evidence = mapping_of(authorization.get("evidence"))
    given, family = (text_of(claims.get(f"{_SCHEMA}/{part}")) for part in ("givenname", "surname"))
    shown = text_of(claims.get("name"))
    full_name = shown if shown and "@" not in shown else " ".join(part for part in (given, family) if part) or None
    name = principal_name(event)
    app_id = first_text(claims, "appid", "azp")
    principal_id = text_of(evidence.get("principalId"))
    object_id = first_text(claims, _OBJECT_ID, "oid") or principal_id
    kind = _kind(claims, text_of(evidence.get("principalType")), name)
    return Caller(_identity(claims, authorization, evidence), name, full_name, object_id, app_id, principal_id, kind)


def principal_name(event: Mapping[str, Any]) -> str | None:
    """The principal name in an event's claims, or what the channel calls the caller."""
    claims = mapping_of(mapping_of(event.get("identity")).get("claims"))
    found = first_text(claims, f"{_SCHEMA}/name", f"{_SCHEMA}/upn", "upn", "unique_name", "preferred_username")
    if found:
        return found
    shown = text_of(claims.get("name"))
    if shown and "@" in shown:
        return shown
    return text_of(event.get("caller")) or text_of(claims.get(f"{_SCHEMA}/emailaddress"))


def _kind(claims: Mapping[str, Any], told: str | None, name: str | None) -> str:
    kind = (told or text_of(claims.get("idtyp")) or "").lower()
    if kind in ("user", "serviceprincipal"):
        return "user" if kind == "user" else "service_principal"
    if name and "@" in name:
        return "user"
    return "service_principal" if "appid" in claims or kind == "app" else "unknown"


def _identity(
    claims: Mapping[str, Any], authorization: Mapping[str, Any], evidence: Mapping[str, Any]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    authorized = _texts(authorization, (("action", "action"), ("scope", "scope")))
    proof = _texts(evidence, _EVIDENCE)
    if proof:
        authorized["evidence"] = proof
    if authorized:
        found["authorization"] = authorized
    kept = held(claims, snaked=False)
    if kept:
        found["claims"] = kept
    person = _texts(
        claims, ((f"{_SCHEMA}/name", "name"), (f"{_SCHEMA}/givenname", "givenname"), (f"{_SCHEMA}/surname", "surname"))
    )
    if person:
        person["schema"] = _SCHEMA
    if text_of(claims.get("name")):
        person["fullname"] = text_of(claims.get("name"))
    if person:
        found["claims_initiated_by_user"] = person
    return found


def _texts(source: Mapping[str, Any], table: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return {target: text for name, target in table if (text := text_of(source.get(name))) is not None}
