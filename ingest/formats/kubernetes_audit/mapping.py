"""From an audit event to its ECS document (reference/ecs-mapping.md §8.2, §9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats.contract import Document
from ingest.formats.kubernetes_audit.actor import addresses_of, principal_of, session_key, user_of
from ingest.formats.kubernetes_audit.bodies import REQUEST, RESPONSE
from ingest.formats.kubernetes_audit.classify import FAILED_FROM, is_denied, kinds_of, outcome_of, status_code
from ingest.formats.kubernetes_audit.cluster import Cluster, cluster_of
from ingest.formats.kubernetes_audit.fields import EVENT
from ingest.formats.kubernetes_audit.records import Opened
from ingest.formats.kubernetes_audit.related import related_of
from ingest.formats.kubernetes_audit.when import Time, event_time, time_of
from ingest.parsing.scalars import mapping_of, text_of, texts_of

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_TEMPLATES = (("spec",), ("spec", "template", "spec"), ("spec", "jobTemplate", "spec", "template", "spec"))
_LONGEST_KEY, _LONGEST_TEXT = 512, 7_500  # characters; key and text share a term of 32,766 bytes at 4 a character
_KEY_MAP = str.maketrans({".": "_", "\x00": "\ufffd"})  # Elasticsearch splits keys at dots and refuses NUL in them


def document_of(opened: Opened, own_id: str) -> Document:
    """The ECS document of an opened record.

    Args:
        opened: The event, its secrets already replaced.
        own_id: `event.id`: audit id and stage, else the leaf.

    Raises:
        MalformedRecord: No time is in it.
    """
    event = opened.event
    time = event_time(opened)
    cluster = cluster_of(opened)
    code = status_code(event)
    ips, written = addresses_of(event.get("sourceIPs"))
    user = user_of(event)
    document: Document = {
        "@timestamp": time.millis,
        "event": _event(event, own_id, code),
        "kubernetes": {"audit": _vendor(event, time)},
        "orchestrator": _orchestrator(event, cluster),
        "related": related_of(event, user, ips, cluster),
        "skytrail": _skytrail(event, user, cluster, time),
        "labels": _labels(opened, event, written),
        "user": user,
        "source": _source(ips, written),
        "client": _source(ips, written),
        "cloud": cluster.cloud(),
        "container": _container(event.get("requestObject")),
        "error": _error(event, code),
    }
    if code is not None:
        document["http"] = {"response": {"status_code": code}}
    uri = text_of(event.get("requestURI"))
    if uri:
        document["url"] = {"path": uri}
    agent = text_of(event.get("userAgent"))
    if agent:
        document["user_agent"] = {"original": agent}
    return {name: part for name, part in document.items() if part}


def _event(event: Mapping[str, Any], own_id: str, code: int | None) -> dict[str, Any]:
    verb = text_of(event.get("verb")) or ""
    target = mapping_of(event.get("objectRef"))
    categories, types = kinds_of(
        verb,
        text_of(target.get("resource")) or "",
        text_of(target.get("subresource")) or "",
        denied=is_denied(event, code),
    )
    found: dict[str, Any] = {
        "kind": "event",
        "category": list(categories),
        "type": list(types),
        "outcome": outcome_of(event, code),
        "module": "kubernetes",
        "dataset": "kubernetes.audit_logs",
        "provider": "kube-apiserver",
        "id": own_id,
    }
    if verb:
        found["action"] = verb
    return found


def _vendor(event: dict[str, Any], stage: Time) -> dict[str, Any]:
    """The event under `kubernetes.audit`: what is registered of it."""
    found = EVENT.pick(event)
    for name in ("requestReceivedTimestamp", "timestamp"):
        time = time_of(event[name]) if name in event else None
        if time:
            found[name] = time.exact
    own = time_of(event.get("stageTimestamp")) if stage.marks else stage
    if own:
        found["stageTimestamp"] = own.exact
    for name, shape in (("requestObject", REQUEST), ("responseObject", RESPONSE)):
        body = event.get(name)
        if body is not None and (picked := shape.pick(body)):
            found[name] = picked
    annotations = _keyed_texts(event.get("annotations"))
    if annotations:
        found["annotations"] = {key: values[0] for key, values in annotations.items()}
    for name in ("user", "impersonatedUser"):
        extra = mapping_of(event.get(name)).get("extra")
        if extra and (texts := _keyed_texts(extra)):
            found.setdefault(name, {})["extra"] = texts
    return found


def _keyed_texts(value: Any) -> dict[str, list[str]]:
    """Free keys and their texts, as Elasticsearch takes them: no blank key, nothing beyond the size of a term."""
    found: dict[str, list[str]] = {}
    for key, item in mapping_of(value).items():
        texts = [text for text in texts_of(item) if len(text) <= _LONGEST_TEXT]
        if texts and key.strip() and len(key) <= _LONGEST_KEY:
            found[key.translate(_KEY_MAP)] = texts
    return found


def _orchestrator(event: Mapping[str, Any], cluster: Cluster) -> dict[str, Any]:
    target = mapping_of(event.get("objectRef"))
    response = mapping_of(mapping_of(event.get("responseObject")).get("metadata"))
    found: dict[str, Any] = {"type": "kubernetes"}
    resource: dict[str, str] = {}
    # a name that the server generated stands in the response only
    for key, value in (
        ("type", target.get("resource")),
        ("name", target.get("name") or response.get("name")),
        ("id", target.get("uid") or response.get("uid")),
    ):
        text = text_of(value)
        if text:
            resource[key] = text
    if resource:
        found["resource"] = resource
    namespace = text_of(target.get("namespace"))
    if namespace:
        found["namespace"] = namespace
    version = text_of(target.get("apiVersion"))
    if version:
        group = text_of(target.get("apiGroup"))
        found["api_version"] = f"{group}/{version}" if group and "/" not in version else version
    if cluster.name:
        found["cluster"] = {"name": cluster.name}
    return found


def _source(ips: list[str], written: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if ips:
        found["ip"] = list(ips)
    if written:
        found["address"] = written[-1]
    return found


def _skytrail(event: Mapping[str, Any], user: Mapping[str, Any], cluster: Cluster, time: Time) -> dict[str, Any]:
    found: dict[str, Any] = {}
    name = user.get("name")
    if name:
        found["principal"] = principal_of(name, cluster.name)
    extra = mapping_of(mapping_of(event.get("user")).get("extra"))
    key = session_key(extra) if extra else None
    if key:
        found["session"] = {"key": key}
    if time.marks:
        found["time"] = {"marks": list(time.marks)}
    return found


def _labels(opened: Opened, event: Mapping[str, Any], written: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if opened.channel != "direct":
        found["skytrail_channel"] = opened.channel
    if len(written) > 1:
        found["skytrail_forwarded"] = "true"  # all addresses but the last are what the client said
    if mapping_of(event.get("annotations")).get("audit.k8s.io/truncated") == "true":
        found["skytrail_truncated"] = "true"
    return found


def _container(body: Any) -> dict[str, Any]:
    """Images asked for, in pods and in the templates of what makes pods."""
    images: set[str] = set()
    for path in _TEMPLATES if body.__class__ is dict else ():
        spec = body
        for name in path:
            spec = mapping_of(spec.get(name))
        for name in _CONTAINERS:
            containers = spec.get(name)
            if containers.__class__ is list:
                images.update(filter(None, (text_of(mapping_of(each).get("image")) for each in containers)))
    return {"image": {"name": sorted(images)}} if images else {}


def _error(event: Mapping[str, Any], code: int | None) -> dict[str, Any]:
    status = mapping_of(event.get("responseStatus"))
    if status.get("status") != "Failure" and (code is None or code < FAILED_FROM):
        return {}
    found: dict[str, Any] = {}
    reason, message = text_of(status.get("reason")), text_of(status.get("message"))
    if reason:
        found["code"] = reason
    if message:
        found["message"] = [message]
    return found
