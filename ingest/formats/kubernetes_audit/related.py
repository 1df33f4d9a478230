"""What responders pivot on: `related.*`, each list sorted and without repetition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.kubernetes_audit.cluster import Cluster, arns_of
from ingest.formats.kubernetes_audit.values import mapping_of, text_of, texts_of

_NODE = "system:node:"


def related_of(event: Mapping[str, Any], user: Mapping[str, Any], ips: list[str], cluster: Cluster) -> dict[str, Any]:
    """The `related` object of the document.

    Args:
        event: The audit event.
        user: The `user` object of the document.
        ips: Valid addresses of the caller.
        cluster: Where it happened.
    """
    extra = mapping_of(mapping_of(event.get("user")).get("extra"))
    users = {user.get("name"), mapping_of(user.get("effective")).get("name")}
    entities: set[str | None] = {cluster.entity}
    if extra:
        arns = arns_of(extra)
        entities.update(arns, texts_of(extra.get("accessKeyId")))
        users.update((arn.rpartition("/")[2] for arn in arns), texts_of(extra.get("sessionName")))
    hosts: set[str | None] = set()
    body = event.get("requestObject")
    if body.__class__ is dict:
        users.update(_subjects(body))
        hosts.add(text_of(mapping_of(body.get("spec")).get("nodeName")))
    target = mapping_of(event.get("objectRef"))
    entities.add(text_of(target.get("uid")))
    entities.add(text_of(mapping_of(mapping_of(event.get("responseObject")).get("metadata")).get("uid")))
    if target.get("resource") == "nodes":
        hosts.add(text_of(target.get("name")))
    name = user.get("name")
    if name and name.startswith(_NODE):
        hosts.add(name.removeprefix(_NODE))
    found = {"ip": sorted(ips), "user": _sorted(users), "hosts": _sorted(hosts), "entity": _sorted(entities)}
    return {key: values for key, values in found.items() if values}


def _subjects(body: Mapping[str, Any]) -> list[str]:
    """Users and groups that a role is bound to."""
    subjects = body.get("subjects")
    if subjects.__class__ is not list:
        return []
    return [name for subject in subjects if (name := text_of(mapping_of(subject).get("name")))]


def _sorted(values: set[Any]) -> list[str]:
    return sorted(value for value in values if value)
