"""What each identity must be able to do in Elasticsearch, and what it must not, proven by attempting it.

Rights are asked for (`_has_privileges`, without side effects). What is forbidden is attempted, at an index and a
document that can't exist: Elasticsearch judges the right first, so the answer is 403 for an identity that holds no more
than its duty, and 404 for one that does. No namespace begins with `_`, so nothing of anybody is touched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from ingest.schema.errors import ConfigError, IndexUnavailable
from storage.index.client import Identity, error_of, explain
from storage.index.names import ALERT_DATASET, ALERT_STATE_INDEX
from storage.index.product import fields_by_dataset

Proof = Literal["proven", "unknown"]
"""Whether it is proven that an identity may do no more than its duty."""

_NOWHERE: Final = "_selftest-1970.01.01"
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404

Attempt = Callable[[AsyncElasticsearch, str], Awaitable[Any]]

ATTEMPTS: Final[Mapping[str, Attempt]] = {
    "search": lambda client, index: client.search(index=index, size=0),
    # without require_alias a permitted update would make the index before it misses the document
    "update": lambda client, index: client.update(index=index, id="selftest", doc={"a": 1}, require_alias=True),
    "delete documents": lambda client, index: client.delete(index=index, id="selftest"),
    "delete indices": lambda client, index: client.indices.delete(index=index),
}


@dataclass(frozen=True, slots=True)
class Duty:
    """Rights of one identity.

    Attributes:
        cluster: Cluster privileges it needs.
        needs: Index → privileges it needs there.
        attempts: Index → names of `ATTEMPTS` that must be refused.
        excess: Index → privileges it must not hold; for what can't be attempted without leaving a trace.
        excess_cluster: Cluster privileges it must not hold.
    """

    cluster: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    attempts: Mapping[str, tuple[str, ...]]
    excess: Mapping[str, tuple[str, ...]]
    excess_cluster: tuple[str, ...] = ("manage_index_templates", "manage_security")


def duty_of(identity: Identity) -> Duty:
    """The duty of an identity, over the data sets of this build."""
    events = tuple(f"logs-{dataset}-{_NOWHERE}" for dataset in fields_by_dataset())
    alerts = f"logs-{ALERT_DATASET}-{_NOWHERE}"
    logs = (*events, alerts)
    create, overwrite = ("create_doc", "auto_configure"), ("index", "create")
    match identity:
        case "indexer":
            return Duty(
                cluster=("monitor",),
                needs=dict.fromkeys(logs, create),
                attempts=dict.fromkeys(logs, tuple(ATTEMPTS)),
                excess={**dict.fromkeys(logs, overwrite), ALERT_STATE_INDEX: ("read", "index", "delete")},
            )
        case "alerter":
            return Duty(
                cluster=("monitor",),
                needs={alerts: create, ALERT_STATE_INDEX: ("read", "index", "auto_configure")},
                attempts={**dict.fromkeys(events, tuple(ATTEMPTS)), alerts: tuple(ATTEMPTS)},
                excess={
                    **dict.fromkeys(events, ("create_doc",)),
                    alerts: overwrite,
                    ALERT_STATE_INDEX: ("delete", "delete_index"),
                },
            )
        case "reader":
            return Duty(
                cluster=("monitor",),
                needs={**dict.fromkeys(logs, ("read", "view_index_metadata")), ALERT_STATE_INDEX: ("read",)},
                attempts=dict.fromkeys(logs, ("update", "delete documents", "delete indices")),
                excess={**dict.fromkeys(logs, ("create_doc",)), ALERT_STATE_INDEX: ("index", "delete", "delete_index")},
            )
        case "analyst":
            return Duty(
                cluster=("monitor",),
                needs={ALERT_STATE_INDEX: ("read", "index")},
                attempts=dict.fromkeys(logs, tuple(ATTEMPTS)),
                excess={
                    **dict.fromkeys(logs, ("create_doc",)),
                    ALERT_STATE_INDEX: ("create_index", "delete", "delete_index"),
                },
            )
        case "retention" | "eraser" | "bootstrap" | "auditor":
            return _without_events(identity, logs)


def _without_events(identity: Literal["retention", "eraser", "bootstrap", "auditor"], logs: tuple[str, ...]) -> Duty:
    """The duty of an identity that may look into no event."""
    match identity:
        case "retention":
            return Duty(
                cluster=("monitor",),
                needs=dict.fromkeys(logs, ("delete_index", "view_index_metadata")),
                attempts=dict.fromkeys(logs, ("search", "update", "delete documents")),
                excess={
                    **dict.fromkeys(logs, ("create_doc", "create_index")),
                    ALERT_STATE_INDEX: ("read", "index", "delete", "delete_index"),
                },
            )
        case "eraser":
            return Duty(
                cluster=("monitor",),
                needs=dict.fromkeys(logs, ("delete", "view_index_metadata")),
                attempts=dict.fromkeys(logs, ("search", "update", "delete indices")),
                excess={
                    **dict.fromkeys(logs, ("create_doc", "create_index")),
                    ALERT_STATE_INDEX: ("read", "index", "delete", "delete_index"),
                },
            )
        case "bootstrap":
            return Duty(
                cluster=("monitor", "manage_index_templates"),
                needs=dict.fromkeys(logs, ("create_index", "view_index_metadata")),
                attempts=dict.fromkeys(logs, ("search", "update", "delete documents")),
                excess={**dict.fromkeys(logs, ("create_doc",)), ALERT_STATE_INDEX: ("read", "index")},
                excess_cluster=("manage_security",),
            )
        case "auditor":
            return Duty(
                cluster=("monitor", "read_security"),
                needs={},
                attempts=dict.fromkeys(logs, tuple(ATTEMPTS)),
                excess={
                    **dict.fromkeys(logs, ("create_doc", "create_index")),
                    ALERT_STATE_INDEX: ("read", "index", "delete", "delete_index"),
                },
            )


async def missing_rights(client: AsyncElasticsearch, identity: Identity) -> list[str]:
    """The rights that this identity needs and does not hold, a phrase each.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or does not know this identity.
    """
    duty = duty_of(identity)
    held = await _held(client, identity, duty.cluster, duty.needs)
    return sorted(right for right, holds in held.items() if not holds)


async def excess_rights(client: AsyncElasticsearch, identity: Identity) -> list[str]:
    """What this identity may do beyond its duty, a phrase each.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, does not know this identity, or can't judge now.
    """
    duty = duty_of(identity)
    found = {
        f"{name} in {_pattern(index)}"
        for index, names in duty.attempts.items()
        for name in names
        if await _succeeds(client, identity, name, index)
    }
    held = await _held(client, identity, duty.excess_cluster, duty.excess)
    return sorted(found | {right for right, holds in held.items() if holds})


async def refuse_excess_rights(client: AsyncElasticsearch, identity: Identity) -> Proof:
    """Refuse to work with an identity that may do more than its duty.

    Returns:
        `unknown` when Elasticsearch could not be asked: a role must be able to start before Elasticsearch does.

    Raises:
        ConfigError: The identity may do what it must not be able to do.
    """
    try:
        excess = await excess_rights(client, identity)
    except IndexUnavailable:
        return "unknown"
    if excess:
        raise ConfigError(
            f"testing the rights of {identity}: it may {_listed(excess)}",
            where=f"elasticsearch.{identity}",
            mend="give it the role of its duty only: `skytrail setup --superuser-password-file FILE` makes users and "
            "roles; a superuser is never a role's identity",
        )
    return "proven"


async def _succeeds(client: AsyncElasticsearch, identity: Identity, name: str, index: str) -> bool:
    try:
        await ATTEMPTS[name](client, index)
    except ApiError as exc:
        if exc.status_code == _FORBIDDEN and error_of(exc.body)[0] == "security_exception":
            return False
        if exc.status_code == _NOT_FOUND:
            return True  # the right was there, the document was not
        raise explain(exc, f"attempting to {name} as {identity}", f"elasticsearch.{identity}") from exc
    except TransportError as exc:
        raise explain(exc, f"attempting to {name} as {identity}", f"elasticsearch.{identity}") from exc
    return True


async def _held(
    client: AsyncElasticsearch, identity: Identity, cluster: Sequence[str], indices: Mapping[str, Sequence[str]]
) -> dict[str, bool]:
    """Right in words → whether it is held."""
    asked = [{"names": [index], "privileges": list(privileges)} for index, privileges in indices.items()]
    try:
        answer = await client.security.has_privileges(cluster=list(cluster), index=asked or None)
    except (ApiError, TransportError) as exc:
        raise explain(exc, f"asking for the rights of {identity}", f"elasticsearch.{identity}") from exc
    found = {f"{name} on the cluster": bool(holds) for name, holds in answer["cluster"].items()}
    for index, privileges in answer["index"].items():
        found |= {f"{name} on {_pattern(index)}": bool(holds) for name, holds in privileges.items()}
    return found


def _pattern(index: str) -> str:
    """How an index of the test is told to people."""
    return index.replace(_NOWHERE, "*")


def _listed(rights: Sequence[str], most: int = 6) -> str:
    more = f" and {len(rights) - most} more" if len(rights) > most else ""
    return ", ".join(rights[:most]) + more
