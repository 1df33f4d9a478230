"""Taking a resource id apart: ``/subscriptions/{id}/resourceGroups/{group}/providers/{namespace}/{type}/{name}``.

Activity logs write it in capitals, exports leave the first slash out, directory logs have
``/tenants/{id}/providers/Microsoft.aadiam``, and what concerns a whole tenant has no subscription.

https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
"""

from __future__ import annotations

import functools
from typing import NamedTuple

_LONGEST = 2048  # characters; longer ids are kept whole and not taken apart
_RULES = ("authorizationrules",)


class Resource(NamedTuple):
    """Parts of a resource id.

    Attributes:
        fields: What goes below `azure.resource`, `id` included.
        subscription: The subscription's id.
        tenant: The tenant's id, in ids of directories.
    """

    fields: tuple[tuple[str, str], ...]
    subscription: str | None = None
    tenant: str | None = None


@functools.lru_cache(maxsize=4096)
def resource_of(resource_id: str) -> Resource:
    """The parts of an id; of a text that is none only the text. Memoised: few resources make most of a log."""
    if len(resource_id) > _LONGEST:
        return Resource((("id", resource_id),))
    parts = resource_id.strip("/").split("/")
    lowered = [part.lower() for part in parts]
    found = {"id": resource_id}
    group = _after(parts, lowered, "resourcegroups")
    if group:
        found["group"] = group
    if "providers" in lowered:
        # The last one: a role assignment on a storage account concerns the assignment.
        at = len(lowered) - 1 - lowered[::-1].index("providers")
        found.update(_provided(parts[at + 1 :], lowered[at + 1 :]))
    return Resource(tuple(found.items()), _after(parts, lowered, "subscriptions"), _after(parts, lowered, "tenants"))


def _after(parts: list[str], lowered: list[str], name: str) -> str | None:
    if name in lowered:
        at = lowered.index(name) + 1
        if at < len(parts) and parts[at]:
            return parts[at]
    return None


def _provided(parts: list[str], lowered: list[str]) -> dict[str, str]:
    """Namespace, types and names after `providers`: types and names alternate."""
    if not parts or not parts[0]:
        return {}
    if len(parts) >= 5 and lowered[3] in _RULES:  # noqa: PLR2004 - namespace, type, name, authorizationRules, rule
        return {"provider": parts[0], "namespace": parts[2], "authorization_rule": parts[4]}
    types, names = parts[1::2], parts[2::2]
    found = {"provider": "/".join((parts[0], *types))}
    if names and names[-1]:
        found["name"] = names[-1]
    return found
