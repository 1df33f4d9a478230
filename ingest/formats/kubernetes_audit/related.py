"""What responders pivot on: `related.*`, each list sorted and without repetition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.kubernetes_audit.cluster import Cluster, arns_of
from ingest.parsing.scalars import mapping_of, text_of, texts_of

_NODE = "system:node:"


def related_of(event: Mapping[str, Any], user: Mapping[str, Any], ips: list[str], cluster: Cluster) -> dict[str, Any]:
    """The `related` object of the document.

    Args:
        event: The audit event.
        user: The `user` object of the document.
        ips: Valid addresses of the caller.
        cluster: Where it happened.
    """
    name = user.get("name")
    users = {name, mapping_of(user.get("effective")).get("name")}
    entities: set[str | None] = {cluster.entity}
    hosts: set[str | None] = set()
    extra = mapping_of(event.get("user")).get("extra")
    if extra.__class__ is dict:
        arns = arns_of(extra)
        entities.update(arns, texts_of(extra.get("accessKeyId")))
        users.update((arn.rpartition("/")[2] for arn in arns), texts_of(extra.get("sessionName")))
    body = event.get("requestObject")
    if body.__class__ is dict:
        users.update(_subjects(body))
        hosts.add(text_of(mapping_of(body.get("spec")).get("nodeName")))
    result = event.get("responseObject")
    if result.__class__ is dict:
        entities.add(text_of(mapping_of(result.get("metadata")).get("uid")))
    target = mapping_of(event.get("objectRef"))
    entities.add(text_of(target.get("uid")))
    if target.get("resource") == "nodes":
        hosts.add(text_of(target.get("name")))
    if name and name.startswith(_NODE):
        hosts.add(name.removeprefix(_NODE))
    found: dict[str, Any] = {"ip": sorted(ips)} if ips else {}
    for key, values in (("user", users), ("hosts", hosts), ("entity", entities)):
        told = sorted(filter(None, values))
        if told:
            found[key] = told
    return found


def _subjects(body: Mapping[str, Any]) -> list[str]:
    """Users and groups that a role is bound to."""
    subjects = body.get("subjects")
    if subjects.__class__ is not list:
        return []
    return [name for subject in subjects if (name := text_of(mapping_of(subject).get("name")))]
