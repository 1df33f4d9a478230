"""What kind of event it is: `event.category`, `event.type`, `event.outcome`.

Elastic's assignment by event name comes first; where it leaves the category unset, ours follows (security token calls,
roles and policies, then the verb in the name). ECS: https://www.elastic.co/docs/reference/ecs/ecs-allowed-values-event-category
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from ingest.formats.aws_cloudtrail.values import mapping_of

Kinds = tuple[tuple[str, ...], tuple[str, ...]]
"""Category and type."""

_USER_CHANGE = """
    AttachUserPolicy ChangePassword CreateAccessKey CreateVirtualMFADevice DeactivateMFADevice DeleteAccessKey
    DeleteSSHPublicKey DeleteUserPermissionsBoundary DeleteUserPolicy DeleteVirtualMFADevice DetachUserPolicy
    EnableMFADevice PutUserPermissionsBoundary PutUserPolicy TagUser UntagUser UpdateAccessKey UpdateLoginProfile
    UpdateSSHPublicKey UpdateUser
"""
_USER_INFO = "GetUser GetUserPolicy ListAttachedUserPolicies ListUserPolicies ListUsers ListUserTags"
_GROUP_CHANGE = """
    AddUserToGroup AttachGroupPolicy DeleteGroupPolicy DetachGroupPolicy PutGroupPolicy RemoveUserFromGroup UpdateGroup
"""
_GROUP_INFO = "GetGroup GetGroupPolicy ListAttachedGroupPolicies ListGroupPolicies ListGroups ListGroupsForUser"
_ADMIN_CHANGE = "SetDefaultPolicyVersion SetSecurityTokenServicePreferences UpdateAccountPasswordPolicy UpdateRole"
_SESSION_START = "AssumeRoleWithSAML AssumeRoleWithWebIdentity GetSessionToken GetFederationToken SwitchRole"

_BY_NAME: dict[str, Kinds] = {
    name: ((category,), types)
    for category, types, names in (
        ("authentication", ("info",), "AssumeRole ConsoleLogin"),
        ("authentication", ("start",), _SESSION_START),
        ("iam", ("user", "creation"), "CreateUser"),
        ("iam", ("user", "deletion"), "DeleteUser"),
        ("iam", ("user", "change"), _USER_CHANGE),
        ("iam", ("user", "info"), _USER_INFO),
        ("iam", ("group", "creation"), "CreateGroup"),
        ("iam", ("group", "deletion"), "DeleteGroup"),
        ("iam", ("group", "change"), _GROUP_CHANGE),
        ("iam", ("group", "info"), _GROUP_INFO),
        ("iam", ("admin", "creation"), "CreateKeyPair"),
        ("iam", ("admin", "change"), _ADMIN_CHANGE),
        ("file", ("creation",), "CreateBucket"),
        ("file", ("deletion",), "DeleteBucket"),
    )
    for name in names.split()
}
_ADMIN_PARTS = ("Role", "Policy", "InstanceProfile")
_IDENTITY_CENTER = frozenset({"sso.amazonaws.com", "sso-directory.amazonaws.com", "identitystore.amazonaws.com"})
_VERB = re.compile(
    r"(?P<access>get|list|describe|head|lookup|watch|read)"
    r"|(?P<creation>create|run|insert)"
    r"|(?P<deletion>delete|terminate|remove)"
    r"|(?P<change>update|modify|put|set|attach|detach|patch|write|action)"
)
_DENIED_PARTS = ("accessdenied", "unauthorizedoperation", "permission_denied")
_CONSOLE_OUTCOMES = frozenset({"success", "failure"})


@functools.lru_cache(maxsize=4096)
def kinds_of(provider: str, action: str) -> Kinds:
    """Category and type of a call, without regard to its outcome. Memoised: a trail has few distinct calls."""
    known = _BY_NAME.get(action)
    if known:
        return known
    verb = verb_type(action)
    if provider in _IDENTITY_CENTER or any(part in action for part in _ADMIN_PARTS):
        # `access` is no type of the category iam
        return ("iam",), ("admin", "info" if verb == "access" else verb)
    return ("api",), (verb,)


def verb_type(action: str) -> str:
    """`event.type` by the verb that an event name begins with."""
    match = _VERB.match(action.lower())
    return (match.lastgroup if match else None) or "info"


def outcome_of(event: Mapping[str, Any]) -> str:
    """`failure` with an error code or message, else `success`; the console says it in its own words.

    Args:
        event: A pruned event.
    """
    if event.get("eventName") == "ConsoleLogin":
        said = mapping_of(event.get("responseElements")).get("ConsoleLogin")
        if isinstance(said, str) and said.lower() in _CONSOLE_OUTCOMES:
            return said.lower()
    return "failure" if "errorCode" in event or "errorMessage" in event else "success"


def is_denied(error_code: str | None) -> bool:
    """Whether an error code says that the caller lacked the right: `AccessDenied`, `Client.UnauthorizedOperation`."""
    if not error_code:
        return False
    lowered = error_code.lower()
    return lowered == "403" or any(part in lowered for part in _DENIED_PARTS)
