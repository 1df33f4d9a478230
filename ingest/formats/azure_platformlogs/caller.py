"""Who called a resource: Key Vault writes claims, storage how the request was authorised and by whom.

https://learn.microsoft.com/azure/key-vault/general/logging
https://learn.microsoft.com/azure/storage/blobs/monitor-blob-storage-reference
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.formats.azure_records.values import first_text
from ingest.parsing.scalars import mapping_of, text_of

_SCHEMA = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
_OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
_OBJECT_ID_COLUMN = "http_schemas_microsoft_com_identity_claims_objectidentifier"


class Caller(NamedTuple):
    """What a record says about who called; all None for an anonymous request or a shared key."""

    name: str | None
    object_id: str | None
    app_id: str | None


def caller_of(event: Mapping[str, Any]) -> Caller:
    """Read `identity` of a pruned event, else the caller that some services name."""
    identity = mapping_of(event.get("identity"))
    claims = mapping_of(identity.get("claim")) or mapping_of(identity.get("claims"))
    requester = mapping_of(identity.get("requester"))
    name = first_text(claims, "upn", f"{_SCHEMA}/upn", f"{_SCHEMA}/name", "unique_name") or first_text(
        requester, "upn", "userName"
    )
    object_id = first_text(claims, _OBJECT_ID, _OBJECT_ID_COLUMN, "oid") or first_text(requester, "objectId")
    app_id = first_text(claims, "appid") or first_text(requester, "appId")
    if not identity:
        # Microsoft Graph's activity names the caller in its properties, other services in a text of their own.
        properties = mapping_of(event.get("properties"))
        name = text_of(event.get("identity")) or first_text(properties, "user", "userPrincipalName")
        object_id = first_text(properties, "userId", "servicePrincipalId")
        app_id = first_text(properties, "appId")
    return Caller(name, object_id, app_id)
