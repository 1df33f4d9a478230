"""Who may do what, as Elasticsearch tells it: each identity of itself, and the auditor of everybody.

The auditor sees users, roles, mappings and API keys that Elasticsearch keeps. It does not see users and roles in files
of the nodes, nor who is in a group of LDAP or SAML.
https://www.elastic.co/guide/en/elasticsearch/reference/8.19/security-api.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from storage.index.client import Identity, explain

OURS: Final = ("logs-", "skytrail-")
"""How the names of our indices begin."""
_POWERS: Final = ("all", "manage", "grant_api_key", "create_snapshot")


@dataclass(frozen=True, slots=True)
class Held:
    """What an identity is and may, by what Elasticsearch answers to itself.

    Attributes:
        realm: That knows it; `api key` for those.
        cluster: Privileges on the cluster.
        indices: `read on logs-*` and the like.
        run_as: Users that it may act as.
    """

    user: str
    realm: str
    roles: tuple[str, ...]
    cluster: tuple[str, ...]
    indices: tuple[str, ...]
    run_as: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """Somebody who has rights.

    Attributes:
        kind: `user`, `API key` or `mapping`: of users of another realm to roles.
        name: Theirs; of a key with its owner.
        enabled: Whether it works now.
        rights: Over our indices and the cluster, in words; empty for none.
    """

    kind: str
    name: str
    enabled: bool
    roles: tuple[str, ...]
    rights: tuple[str, ...]


async def own_rights(client: AsyncElasticsearch, identity: Identity) -> Held:
    """What the identity of a client may do.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or can't tell (an API key with rights of its own).
    """
    try:
        who, told = await client.security.authenticate(), await client.security.get_user_privileges()
    except (ApiError, TransportError) as exc:
        raise explain(exc, f"asking for the rights of {identity}", f"elasticsearch.{identity}") from exc
    realm = "api key" if who.get("authentication_type") == "api_key" else who["authentication_realm"]["name"]
    return Held(
        user=who["username"],
        realm=realm,
        roles=tuple(sorted(who["roles"])),
        cluster=tuple(sorted(told["cluster"])),
        indices=tuple(_on(each) for each in told["indices"]),
        run_as=tuple(sorted(told["run_as"])),
    )


async def everybody(client: AsyncElasticsearch) -> list[Grant]:
    """Everybody of whom Elasticsearch keeps that they have rights.

    Args:
        client: Of the auditor.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, lacks this API, or this identity may not ask.
    """
    security = client.security
    try:
        users, roles = (await security.get_user()).body, (await security.get_role()).body
        mappings = (await security.get_role_mapping()).body
        keys = (await security.get_api_key(active_only=True, with_limited_by=True))["api_keys"]
    except (ApiError, TransportError) as exc:
        raise explain(exc, "asking who may do what", "elasticsearch.auditor") from exc
    return [*grants_of(users, mappings, roles), *map(_key, keys)]


def grants_of(users: Mapping[str, Any], mappings: Mapping[str, Any], roles: Mapping[str, Any]) -> Iterator[Grant]:
    """Users and mappings with the rights of their roles, by name."""
    for kind, holders in (("user", users), ("mapping", mappings)):
        for name, holder in sorted(holders.items()):
            named = tuple(sorted([*holder.get("roles", ()), *(each["template"] for each in _templates(holder))]))
            told = [right for role in named for right in _rights(roles.get(role), role)]
            yield Grant(kind, name, bool(holder["enabled"]), named, tuple(dict.fromkeys(told)))


def _templates(holder: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Of a mapping that makes the names of roles out of a user: nobody can tell which."""
    return [{"template": f"template {each.get('template')}"} for each in holder.get("role_templates", ())]


def _key(key: Mapping[str, Any]) -> Grant:
    own = key.get("role_descriptors") or {}
    bodies = own or {name: body for limits in key.get("limited_by", ()) for name, body in limits.items()}
    told = [right for name, body in bodies.items() for right in _rights(body, name)]
    name = f"{key['name']} of {key['username']} ({key['realm']})"
    return Grant("API key", name, not key["invalidated"], tuple(sorted(bodies)), tuple(dict.fromkeys(told)))


def _rights(role: Mapping[str, Any] | None, name: str) -> Iterator[str]:
    if role is None:
        yield f"what the role {name} gives is not known to the security API"
        return
    for index in role.get("indices", ()):
        if any(map(touches_ours, _names(index))):
            yield _on(index)
    for privilege in sorted(role.get("cluster", ())):
        if privilege.startswith(_POWERS):
            yield f"{privilege} on the cluster"
    if run_as := role.get("run_as"):
        yield f"acts as {', '.join(sorted(run_as))}"


def touches_ours(pattern: str) -> bool:
    """Whether a pattern of index names can mean an index of ours; a regular expression always might."""
    if pattern.startswith("/"):
        return True
    start = pattern.partition("*")[0].partition("?")[0]
    return any(start.startswith(ours) or (start != pattern and ours.startswith(start)) for ours in OURS)


def _on(index: Mapping[str, Any]) -> str:
    return f"{', '.join(sorted(index['privileges']))} on {', '.join(sorted(_names(index)))}"


def _names(index: Mapping[str, Any]) -> Sequence[str]:
    names = index["names"]
    return [names] if isinstance(names, str) else list(names)
