"""Who did it, where: `user`, the principal across clouds, the session, and what an OCID says.

https://docs.oracle.com/en-us/iaas/Content/General/Concepts/identifiers.htm
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.parsing.scalars import picked, text_of

_REGION_PART = 3  # ocid1.<type>.<realm>.<region>.<unique>
_PARTS = 5
_KINDS = {"instance": "instance", "user": "user", "fnfunc": "function", "saml2idp": "federated", "service": "service"}


def user_of(identity: Mapping[str, Any]) -> dict[str, str]:
    """The `user` object: the principal."""
    found = picked(identity, (("principalName", "name"), ("principalId", "id")))
    name = found.get("name", "")
    if "@" in name:
        found["email"] = name.rpartition("/")[2]  # federated users are written `oracleidentitycloudservice/a@b`
    return found


def principal_of(user: Mapping[str, str]) -> dict[str, str]:
    """One key of the actor across clouds; empty for an event without one."""
    key = user.get("id") or user.get("name")
    if not key:
        return {}
    kind = _KINDS.get(_part(key, 1), "user" if user.get("name") else "unknown")
    return {"key": f"oci:{key}", "type": kind, "display": user.get("name", key)}


def session_of(identity: Mapping[str, Any]) -> dict[str, str]:
    """The console's session, else the fingerprint of the key that signed the request."""
    console = text_of(identity.get("consoleSessionId"))
    credential = text_of(identity.get("credentials"))
    found = console or (credential.rpartition("/")[2] if credential else "")
    return {"key": found} if found else {}


def region_of(*ocids: str | None) -> str:
    """The region in the first OCID that names one; empty for resources of a tenancy."""
    return next((region for ocid in ocids if ocid and (region := _part(ocid, _REGION_PART))), "")


def _part(ocid: str, at: int) -> str:
    parts = ocid.split(".")
    return parts[at] if parts[0] == "ocid1" and len(parts) >= _PARTS else ""
