"""What was acted on: `user.{target,changes,effective}`, `group`, resources, and the account of another owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.formats.aws_cloudtrail.related import Related
from ingest.formats.aws_cloudtrail.values import account_of, arn_account, arn_part, mapping_of, optional_text

_ASSUMING = frozenset({"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"})
_TRAILS = "cloudtrail.amazonaws.com"
_RESOURCE = ("arn", "account_id", "type")


class Targets(NamedTuple):
    """Parts of `user` and `group` that speak of the object of a call; empty ones are to be left out."""

    user: dict[str, Any]
    group: dict[str, Any]


NO_TARGETS = Targets({}, {})


def targets_of(event: Mapping[str, Any], related: Related, *, succeeded: bool) -> Targets:
    """Read who and what a call was about.

    Args:
        event: A pruned event.
        related: What the bodies name is added here.
        succeeded: A caller whose AssumeRole was refused became nobody else.
    """
    request = mapping_of(event.get("requestParameters"))
    response = mapping_of(event.get("responseElements"))
    if request:
        related.body(request, with_addresses=True)
    if response:
        related.body(response, with_addresses=False)
    if "additionalEventData" in event:
        related.add_entities(optional_text(mapping_of(event["additionalEventData"]).get("MFAIdentifier")))
    if event.get("eventSource") == _TRAILS:
        related.add_entities(optional_text(request.get("name")))
    if not (request or response):
        return NO_TARGETS
    user = _user(request, response, related)
    if succeeded and _assumes(event):
        effective = _effective(request, response, related)
        if effective:
            user["effective"] = effective
    return Targets(user, _group(request, response))


def resources_of(event: Mapping[str, Any]) -> list[dict[str, str]]:
    """`resources`, each combination of ARN, account and type once, in the order of the source."""
    listed = event.get("resources")
    if listed is None:
        return []
    found: dict[tuple[str | None, ...], dict[str, str]] = {}
    for item in listed if isinstance(listed, list) else [listed]:
        resource = mapping_of(item)
        values = (
            optional_text(resource.get("ARN", resource.get("arn"))),
            account_of(resource.get("accountId")),
            optional_text(resource.get("type")),
        )
        kept = {name: value for name, value in zip(_RESOURCE, values, strict=True) if value}
        if kept:
            found.setdefault(values, kept)
    return list(found.values())


def target_account(
    event: Mapping[str, Any], resources: list[dict[str, str]], caller: str | None, recipient: str | None
) -> str | None:
    """The account acted on, when it is another than the caller's.

    The owner of the trail tells it in a copy of the event delivered there; in the caller's own copy the resources or
    the role to assume do.

    Args:
        event: A pruned event.
        resources: What `resources_of` gives for it.
        caller: Account that called.
        recipient: Account whose trail delivered the event.
    """
    if not caller:
        return None
    if recipient and recipient != caller:
        return recipient
    owners = [resource.get("account_id") for resource in resources]
    if _assumes(event):
        role = optional_text(mapping_of(event.get("requestParameters")).get("roleArn"))
        owners.append(arn_account(role) if role else None)
    return next((owner for owner in owners if owner and owner != caller), None)


def _assumes(event: Mapping[str, Any]) -> bool:
    return optional_text(event.get("eventName")) in _ASSUMING


def _user(request: Mapping[str, Any], response: Mapping[str, Any], related: Related) -> dict[str, Any]:
    found: dict[str, Any] = {}
    target: dict[str, Any] = {}
    name = optional_text(request.get("userName"))
    if name:
        target["name"] = name
        related.users.add(name)
    new_id = optional_text(mapping_of(response.get("user")).get("userId"))
    if new_id:
        target["id"] = new_id
    if target:
        found["target"] = target
    new_name = optional_text(request.get("newUserName"))
    if new_name:
        found["changes"] = {"name": new_name}
        related.users.add(new_name)
    return found


def _effective(request: Mapping[str, Any], response: Mapping[str, Any], related: Related) -> dict[str, str]:
    """Who the caller became: `id` is assumedRoleId, `name` the role."""
    found: dict[str, str] = {}
    assumed = mapping_of(response.get("assumedRoleUser"))
    assumed_id = optional_text(assumed.get("assumedRoleId"))
    if assumed_id:
        found["id"] = assumed_id
    role = optional_text(request.get("roleArn"))
    if role:
        found["name"] = arn_part(role)
        related.principal_arn(role)
    related.principal_arn(optional_text(assumed.get("arn")))
    return found


def _group(request: Mapping[str, Any], response: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    name = optional_text(request.get("groupName"))
    if name:
        found["name"] = name
    group_id = optional_text(mapping_of(response.get("group")).get("groupId"))
    if group_id:
        found["id"] = group_id
    return found
