"""Regular Kubernetes audit events: as the API server writes them, without the wrapper of a cloud or a container.

https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from detectors.sigma.compiled.plain_times import PlainTimes
from detectors.sigma.compiled.shape import Kind, Names, Shape, Values
from ingest.formats.kubernetes_audit.redaction import redact
from ingest.formats.kubernetes_audit.when import time_of

_TOP = """
    kind apiVersion level auditID stage requestURI verb user impersonatedUser sourceIPs userAgent objectRef
    responseStatus requestObject responseObject requestReceivedTimestamp stageTimestamp annotations metadata
    authenticationMetadata
"""
_TEXTS = "kind apiVersion level stage requestURI verb userAgent requestReceivedTimestamp stageTimestamp"
_NAMES: Names = {
    **dict.fromkeys(_TOP.split(), Kind.BODY),
    **dict.fromkeys(_TEXTS.split(), Kind.TEXT),
    "auditID": Kind.NAME,
    "user": {"username": Kind.TEXT, "uid": Kind.TEXT, "groups": Kind.BODY, "extra": Kind.BODY},
    "objectRef": {
        "resource": Kind.TEXT,
        "namespace": Kind.TEXT,
        "name": Kind.TEXT,
        "uid": Kind.TEXT,
        "apiGroup": Kind.TEXT,
        "apiVersion": Kind.TEXT,
        "resourceVersion": Kind.TEXT,
        "subresource": Kind.TEXT,
    },
    "responseStatus": {
        "metadata": Kind.BODY,
        "status": Kind.TEXT,
        "message": Kind.TEXT,
        "reason": Kind.TEXT,
        "details": Kind.BODY,
        "code": Kind.NUMBER,
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
    time="stageTimestamp",
    times=PlainTimes(lambda text: time_of(text) is not None, decimals=6),
    few=("objectRef.apiGroup", "objectRef.namespace"),
    derived=MappingProxyType(_DERIVED),
    final=_final,
    shown=redact,
)
