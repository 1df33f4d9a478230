"""Where it happened: `cloud.*`, `organization.id`, `orchestrator.*` and the parts of the log's name.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry
https://cloud.google.com/logging/docs/api/v2/resource-list
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.parsing.scalars import mapping_of, text_of, texts_of

_LOG_NAME = re.compile(r"(?P<kind>[A-Za-z]+)/(?P<owner>[^/]+)/(?:logs/)?(?P<id>.+)")
_ZONE = re.compile(r"(?P<region>[a-z]+(?:-[a-z]+)+[0-9]+)-[a-z]")
_CLUSTERS = frozenset({"gke_cluster", "k8s_cluster", "gke_nodepool"})
_UNKNOWN_LOG = "cloudaudit.googleapis.com"


class LogName(NamedTuple):
    """What the name of a log says.

    Attributes:
        id: The log in its owner: `cloudaudit.googleapis.com%2Factivity`.
        stream: `activity`, `data_access`, `system_event` or `policy`.
    """

    id: str = ""
    stream: str = _UNKNOWN_LOG
    project: str = ""
    organization: str = ""


@functools.lru_cache(maxsize=4096)
def log_name_of(name: str) -> LogName:
    """The parts of `projects/p/logs/cloudaudit.googleapis.com%2Factivity`; memoised, a source has few logs."""
    known = _LOG_NAME.fullmatch(name)
    if not known:
        return LogName()
    id_, kind, owner = known["id"], known["kind"], known["owner"]
    stream = re.split(r"%2[Ff]|/", id_)[-1] or _UNKNOWN_LOG
    return LogName(id_, stream, owner if kind == "projects" else "", owner if kind == "organizations" else "")


def place_of(entry: Mapping[str, Any], payload: Mapping[str, Any], log: LogName) -> dict[str, Any]:
    """The `cloud`, `organization` and `orchestrator` objects of a document."""
    resource = mapping_of(entry.get("resource"))
    labels = mapping_of(resource.get("labels"))
    cloud: dict[str, Any] = {"provider": "gcp"}
    project = text_of(labels.get("project_id")) or log.project
    if project:
        cloud["account"] = {"id": project}
        cloud["project"] = {"id": project}
    instance = text_of(labels.get("instance_id"))
    if instance:
        cloud["instance"] = {"id": instance}
    service = text_of(payload.get("serviceName"))
    if service:
        cloud["service"] = {"name": service}
    cloud.update(_region(labels, payload))
    found: dict[str, Any] = {"cloud": cloud}
    organization = text_of(labels.get("organization_id")) or log.organization
    if organization:
        found["organization"] = {"id": organization}
    orchestrator = _orchestrator(text_of(resource.get("type")), text_of(labels.get("cluster_name")))
    if orchestrator:
        found["orchestrator"] = orchestrator
    return found


def _orchestrator(resource_type: str | None, cluster: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "kubernetes"} if resource_type in _CLUSTERS else {}
    return {**found, "cluster": {"name": cluster}} if cluster else found


def _region(labels: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, str]:
    """Region and zone: as labelled, else where the resource lies; `global` and multi-regions as they are."""
    location = next((text for name in ("zone", "location", "region") if (text := text_of(labels.get(name)))), None)
    if not location:
        told = texts_of(mapping_of(payload.get("resourceLocation")).get("currentLocations"))
        location = told[0] if told else None
    if not location:
        return {}
    zone = _ZONE.fullmatch(location)
    return {"region": zone["region"], "availability_zone": location} if zone else {"region": location}
