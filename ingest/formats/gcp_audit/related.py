"""What responders pivot on: `related.*`, each list sorted and without repetition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ingest.parsing.scalars import mapping_of, mappings_of, text_of

_MEMBER_KINDS = frozenset({"user", "serviceAccount", "group", "principal", "principalSet", "deleted"})
_MOST_CHANGES = 100  # changes of bindings in one record that are looked at


def related_of(
    entry: Mapping[str, Any], payload: Mapping[str, Any], user: Mapping[str, Any], ip: str | None
) -> dict[str, list[str]]:
    """The `related` object of a document.

    Args:
        entry: The log entry.
        payload: Its audit payload.
        user: The `user` object of the document.
        ip: The address of the caller, when it is one.
    """
    authentication = mapping_of(payload.get("authenticationInfo"))
    labels = mapping_of(mapping_of(entry.get("resource")).get("labels"))
    users: set[str | None] = {user.get("name")}
    entities: set[str | None] = {
        text_of(payload.get("resourceName")),
        text_of(authentication.get("serviceAccountKeyName")),
        user.get("id"),
    }
    for other in (mapping_of(user.get("effective")), mapping_of(user.get("target"))):
        users.add(other.get("name"))
        entities.add(other.get("id"))
    users.update(_delegates(authentication))
    users.update(_members(payload))
    for name in ("request", "response"):
        entities.add(text_of(mapping_of(payload.get(name)).get("name")))
    hosts = {text_of(labels.get("instance_id")), _instance(text_of(payload.get("resourceName")) or "")}
    lists = (("ip", {ip}), ("user", users), ("hosts", hosts), ("entity", entities))
    return {name: told for name, values in lists if (told := sorted(filter(None, values)))}


def _delegates(authentication: Mapping[str, Any]) -> Iterator[str | None]:
    """Who acted as the service account: the chain of delegation, outermost first."""
    for link in mappings_of(authentication.get("serviceAccountDelegationInfo")):
        yield text_of(mapping_of(link.get("firstPartyPrincipal")).get("principalEmail"))
        yield text_of(link.get("principalSubject"))


def _members(payload: Mapping[str, Any]) -> Iterator[str]:
    """Whose bindings were changed; the whole policy beside it names everybody and says little."""
    for name in ("serviceData", "metadata"):
        part = mapping_of(payload.get(name))
        for delta in (mapping_of(part.get("policyDelta")), mapping_of(part.get("datasetChange")), part):
            for change in mappings_of(delta.get("bindingDeltas"))[:_MOST_CHANGES]:
                member = text_of(change.get("member")) or ""
                kind, colon, who = member.partition(":")
                if member:
                    yield who if colon and who and kind in _MEMBER_KINDS else member


def _instance(resource_name: str) -> str:
    """The instance in `projects/p/zones/z/instances/web-1`."""
    return resource_name.partition("/instances/")[2].partition("/")[0] if "/zones/" in resource_name else ""
