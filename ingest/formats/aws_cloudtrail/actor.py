"""Who acted: `userIdentity` as `user`, `aws.cloudtrail.user_identity` and the principal of ours.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.formats.aws_cloudtrail.related import Related
from ingest.formats.aws_cloudtrail.values import account_of, arn_part, mapping_of, optional_text, texts
from ingest.formats.aws_cloudtrail.when import iso_time

_IDENTITY = (
    ("type", "type"),
    ("arn", "arn"),
    ("accessKeyId", "access_key_id"),
    ("invokedBy", "invoked_by"),
    ("identityProvider", "identity_provider"),
)
_ISSUER = (("type", "type"), ("principalId", "principal_id"), ("arn", "arn"))
_SESSION = (("sourceIdentity", "source_identity"), ("ec2RoleDelivery", "ec2_role_delivery"))

_PRINCIPAL_TYPES = {
    "Root": "root",
    "IAMUser": "user",
    "IdentityCenterUser": "user",
    "AssumedRole": "role",
    "Role": "role",
    "FederatedUser": "federated",
    "SAMLUser": "federated",
    "WebIdentityUser": "federated",
    "Directory": "federated",
    "AWSService": "service",
    "AWSAccount": "account",
}


_ROLE_ID = "AROA"  # how unique ids of roles begin; `:` and the session's name follow


class Actor(NamedTuple):
    """The parts of a document that say who acted; empty ones are to be left out."""

    user: dict[str, Any]
    identity: dict[str, Any]
    account: str | None
    principal: dict[str, str] | None
    access_key: str | None


def actor_of(event: Mapping[str, Any], related: Related) -> Actor:
    """Read `userIdentity` of a pruned event and add its names and ARNs to `related`."""
    source = mapping_of(event.get("userIdentity"))
    identity = texts(source, _IDENTITY)
    role = None
    if "sessionContext" in source:
        context = mapping_of(source["sessionContext"])
        issuer = mapping_of(context.get("sessionIssuer"))
        role = optional_text(issuer.get("userName"))
        session = _session(context, issuer, related)
        if session:
            identity["session_context"] = session
    account = account_of(source.get("accountId"))
    principal_id = optional_text(source.get("principalId"))
    directory_user = _directory_user(source)
    name = optional_text(source.get("userName"))
    user = {}
    shown = name or role or ("root" if identity.get("type") == "Root" else None)
    if shown:
        user["name"] = shown
    user_id = principal_id or directory_user
    if user_id:
        user["id"] = user_id
    access_key = identity.get("access_key_id")
    related.names(name, role)
    related.principal_arn(identity.get("arn"))
    related.add_entities(user_id, identity.get("identity_provider"), access_key)
    principal = _principal(identity, principal_id, directory_user, account, shown)
    return Actor(user, identity, account, principal, access_key)


def _session(context: Mapping[str, Any], issuer: Mapping[str, Any], related: Related) -> dict[str, Any]:
    found: dict[str, Any] = texts(context, _SESSION)
    attributes = mapping_of(context.get("attributes"))
    mfa = optional_text(attributes.get("mfaAuthenticated"))
    if mfa:
        found["mfa_authenticated"] = mfa
    created = iso_time(attributes.get("creationDate"))
    if created:
        found["creation_date"] = created[0]
    issued_by: dict[str, Any] = texts(issuer, _ISSUER)
    account = account_of(issuer.get("accountId"))
    if account:
        issued_by["account_id"] = account
    if issued_by:
        found["session_issuer"] = issued_by
        related.principal_arn(issued_by.get("arn"))
    if "webIdFederationData" in context:
        provider = optional_text(mapping_of(context["webIdFederationData"]).get("federatedProvider"))
        if provider:
            found["web_id_federation_data"] = {"federated_provider": provider}
            related.entities.add(provider)
    if "source_identity" in found:
        related.users.add(found["source_identity"])
    return found


def _principal(
    identity: Mapping[str, Any],
    principal_id: str | None,
    directory_user: str | None,
    account: str | None,
    name: str | None,
) -> dict[str, str] | None:
    """The one principal across clouds: `aws:AROA…:alice`, `aws:111122223333:root`, `aws:service:ec2.amazonaws.com`."""
    kind = identity.get("type", "")
    invoked_by = identity.get("invoked_by")
    arn = identity.get("arn")
    if kind == "Root" and (account or principal_id):
        key, display = f"{account or principal_id}:root", f"root of {account or principal_id}"
    elif principal_id:
        key, display = principal_id, _display(name, arn, principal_id)
    elif kind in ("", "AWSService") and invoked_by:
        kind, key, display = "AWSService", f"service:{invoked_by}", invoked_by
    elif arn:
        key, display = arn, arn_part(arn)
    elif directory_user:
        key, display = f"identity-center:{directory_user}", directory_user
    elif name:
        key, display = f"{account or 'unknown'}:{name}", name
    elif account:
        key, display = f"account:{account}", account
    else:
        return None
    return {"key": f"aws:{key}", "type": _PRINCIPAL_TYPES.get(kind, "unknown"), "display": display}


def _directory_user(source: Mapping[str, Any]) -> str | None:
    """The user of IAM Identity Center on whose behalf a call was made."""
    if "onBehalfOf" not in source:
        return None
    return optional_text(mapping_of(source.get("onBehalfOf")).get("userId"))


def _display(name: str | None, arn: str | None, principal_id: str) -> str:
    unique_id, _, session = principal_id.partition(":")
    if session and unique_id.startswith(_ROLE_ID):
        return f"{name}/{session}" if name and name != session else session
    return name or (arn_part(arn) if arn else "") or principal_id
