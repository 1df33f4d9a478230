"""Regular Kubernetes audit events: as the API server writes them, without the wrapper of a cloud or a container.

https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from detectors.sigma.compiled.shape import Kind, Names, Shape, Values
from ingest.formats.kubernetes_audit.redaction import redact
from ingest.formats.kubernetes_audit.when import time_of

_BODIES = """
    kind apiVersion level metadata impersonatedUser sourceIPs requestObject responseObject requestReceivedTimestamp
    annotations authenticationMetadata
"""
_NAMES: Names = {
    "auditID": Kind.NAME,
    **dict.fromkeys(["stage", "requestURI", "verb", "userAgent", "stageTimestamp"], Kind.TEXT),
    **dict.fromkeys(_BODIES.split(), Kind.BODY),
    "user": {"username": Kind.TEXT, **dict.fromkeys(["uid", "groups", "extra"], Kind.BODY)},
    "objectRef": {
        **dict.fromkeys(["resource", "namespace", "name", "apiGroup", "subresource"], Kind.TEXT),
        **dict.fromkeys(["uid", "apiVersion", "resourceVersion"], Kind.BODY),
    },
    "responseStatus": {
        "code": Kind.NUMBER,
        **dict.fromkeys(["status", "reason"], Kind.TEXT),
        **dict.fromkeys(["metadata", "message", "details"], Kind.BODY),
    },
}
_EARLY = "RequestReceived"


def _key(event: Any) -> tuple[Any, ...]:
    target = event.objectRef
    return event.verb, target.resource, target.subresource, event.responseStatus.code, event.stage


def _implied(key: tuple[Any, ...]) -> Mapping[str, Values]:
    verb = key[0]
    return {
        "event.kind": ("event",),
        "event.provider": ("kube-apiserver",),
        "event.action": (verb,) if verb else (),
        "orchestrator.type": ("kubernetes",),
    }


def _placed(event: Any) -> bool:
    return time_of(event.stageTimestamp) is not None


def _final(key: tuple[Any, ...]) -> bool:
    return bool(key[4] != _EARLY)


def _user_name(event: Any) -> Values:
    return (event.user.username,) if event.user.username else ()


def _user_agent(event: Any) -> Values:
    return (event.userAgent,) if event.userAgent else ()


_DERIVED: Mapping[str, Callable[[Any], Values | None]] = {"user.name": _user_name, "user_agent.original": _user_agent}

SHAPE = Shape(
    format="kubernetes.audit",
    names=_NAMES,
    key=_key,
    key_source=("verb", "objectRef.resource", "objectRef.subresource", "responseStatus.code", "stage"),
    key_fields={
        "verb": 0,
        "objectRef.resource": 1,
        "objectRef.subresource": 2,
        "responseStatus.code": 3,
        "stage": 4,
    },
    implied=_implied,
    placed=_placed,
    derived=MappingProxyType(_DERIVED),
    final=_final,
    shown=redact,
)
