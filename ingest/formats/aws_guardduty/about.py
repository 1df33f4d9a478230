"""What a finding is about: the user, machine, container, cluster and buckets in its `resource`.

https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Resource.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ingest.parsing.scalars import mapping_of, mappings_of, text_of

_PRINCIPAL_TYPES = {
    "Root": "root",
    "IAMUser": "user",
    "AssumedRole": "role",
    "Role": "role",
    "FederatedUser": "federated",
    "AWSAccount": "account",
    "AWSService": "service",
}
_ARNS = (
    ("eksClusterDetails", "arn"),
    ("ecsClusterDetails", "arn"),
    ("lambdaDetails", "functionArn"),
    ("rdsDbInstanceDetails", "dbInstanceArn"),
)


class About(NamedTuple):
    """The parts of a document that a resource fills."""

    user: dict[str, str]
    principal: dict[str, str]
    access_key: dict[str, Any]
    instance: str | None
    container: dict[str, Any]
    orchestrator: dict[str, Any]
    users: frozenset[str]
    entities: frozenset[str]


def about(resource: Mapping[str, Any]) -> About:
    """Read a resource; what it does not tell stays empty."""
    key = mapping_of(resource.get("accessKeyDetails"))
    kubernetes = mapping_of(resource.get("kubernetesDetails"))
    kubernetes_user = text_of(mapping_of(kubernetes.get("kubernetesUserDetails")).get("username"))
    database_user = text_of(mapping_of(resource.get("rdsDbUserDetails")).get("user"))
    name, principal_id = text_of(key.get("userName")), text_of(key.get("principalId"))
    shown = name or kubernetes_user or database_user
    user = {part: text for part, text in (("name", shown), ("id", principal_id)) if text}
    instance = text_of(mapping_of(resource.get("instanceDetails")).get("instanceId"))
    return About(
        user,
        _principal(key, principal_id, name),
        _access_key(key),
        instance,
        _container(resource),
        _orchestrator(resource, kubernetes),
        frozenset(filter(None, (name, kubernetes_user, database_user))),
        frozenset(filter(None, (text_of(key.get("accessKeyId")), principal_id, *_entities(resource)))),
    )


def _principal(key: Mapping[str, Any], principal_id: str | None, name: str | None) -> dict[str, str]:
    if not principal_id:
        return {}
    kind = _PRINCIPAL_TYPES.get(text_of(key.get("userType")) or "", "user")
    return {"key": f"aws:{principal_id}", "type": kind, "display": name or principal_id}


def _access_key(key: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        place: text
        for name, place in (("accessKeyId", "accesskey_id"), ("principalId", "principal_id"))
        if (text := text_of(key.get(name)))
    }
    user = {
        place: text for name, place in (("userName", "name"), ("userType", "type")) if (text := text_of(key.get(name)))
    }
    return {**found, "user": user} if user else found


def _containers(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield mapping_of(resource.get("containerDetails"))
    workload = mapping_of(mapping_of(resource.get("kubernetesDetails")).get("kubernetesWorkloadDetails"))
    task = mapping_of(mapping_of(resource.get("ecsClusterDetails")).get("taskDetails"))
    for place in (workload, task):
        yield from mappings_of(place.get("containers"))


def _container(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The container itself, else the images of the workload."""
    first = mapping_of(resource.get("containerDetails"))
    found: dict[str, Any] = {name: text for name in ("id", "name") if (text := text_of(first.get(name)))}
    images = sorted({image for one in _containers(resource) if (image := text_of(one.get("image")))})
    if images:
        found["image"] = {"name": images}
    return found


def _orchestrator(resource: Mapping[str, Any], kubernetes: Mapping[str, Any]) -> dict[str, Any]:
    cluster = text_of(mapping_of(resource.get("eksClusterDetails")).get("name"))
    workload = mapping_of(kubernetes.get("kubernetesWorkloadDetails"))
    if not cluster and not kubernetes:
        return {}
    found: dict[str, Any] = {"type": "kubernetes"}
    if cluster:
        found["cluster"] = {"name": cluster}
    namespace = text_of(workload.get("namespace"))
    if namespace:
        found["namespace"] = namespace
    kind = {name: text for name in ("type", "name") if (text := text_of(workload.get(name)))}
    return {**found, "resource": kind} if kind else found


def _entities(resource: Mapping[str, Any]) -> Iterator[str | None]:
    for bucket in mappings_of(resource.get("s3BucketDetails")):
        yield text_of(bucket.get("arn"))
        yield text_of(bucket.get("name"))
    for name, member in _ARNS:
        yield text_of(mapping_of(resource.get(name)).get(member))
    instance = mapping_of(resource.get("instanceDetails"))
    yield text_of(instance.get("instanceId"))
    yield text_of(mapping_of(instance.get("iamInstanceProfile")).get("arn"))
