"""Who did it: `client.user`, its copy `user`, whom a method concerns, the principal across clouds, the session.

https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog#AuthenticationInfo
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.gcp_audit.classify import BECOMING, verb_of
from ingest.parsing.scalars import mapping_of, picked, text_of

_SERVICE_ACCOUNT = ".gserviceaccount.com"


def client_user_of(payload: Mapping[str, Any]) -> dict[str, str]:
    """`client.user`: e-mail address and subject of the authenticated principal."""
    authentication = mapping_of(payload.get("authenticationInfo"))
    return picked(authentication, (("principalEmail", "email"), ("principalSubject", "id")))


def user_of(client: Mapping[str, str], entry: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    """`user`: copies of `client.user`, and the service account that the method was about.

    `user.effective` where credentials of that account were made, `user.target` where the account itself was touched.
    """
    found: dict[str, Any] = dict(client)
    name = client.get("email") or client.get("id")
    if name:
        found["name"] = name
    resource = mapping_of(entry.get("resource"))
    if resource.get("type") != "service_account":
        return found
    other = picked(
        mapping_of(resource.get("labels")), (("email_id", "email"), ("email_id", "name"), ("unique_id", "id"))
    )
    if other:
        becoming = verb_of(text_of(payload.get("methodName")) or "") in BECOMING
        found["effective" if becoming else "target"] = other
    return found


def principal_of(user: Mapping[str, Any]) -> dict[str, str]:
    """One key of the actor across clouds; empty for a record without one."""
    name = user.get("name")
    if not name:
        return {}
    email = user.get("email")
    kind = "federated" if not email else "service_account" if email.endswith(_SERVICE_ACCOUNT) else "user"
    return {"key": f"gcp:{name}", "type": kind, "display": name}


def session_of(entry: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, str]:
    """What joins the records of one session: the id of the service account's key, else the long operation."""
    key = text_of(mapping_of(payload.get("authenticationInfo")).get("serviceAccountKeyName"))
    found = key.rpartition("/")[2] if key else text_of(mapping_of(entry.get("operation")).get("id"))
    return {"key": found} if found else {}
