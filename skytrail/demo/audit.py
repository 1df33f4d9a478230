"""Kubernetes audit events in the shape in which an API server posts them.

Format: audit.k8s.io/v1, https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from skytrail.demo.clock import Clock
from skytrail.demo.cloudtrail import Session
from skytrail.demo.company import Node
from skytrail.demo.identifiers import Identifiers

KUBECTL: Final = "kubectl/v1.34.2 (darwin/arm64) kubernetes/8cc511e"
FORBIDDEN: Final = 403
UNAUTHORISED: Final = 401
_GROUPED: Final = {
    "deployments": "apps",
    "replicasets": "apps",
    "daemonsets": "apps",
    "leases": "coordination.k8s.io",
    "endpointslices": "discovery.k8s.io",
    "jobs": "batch",
    "cronjobs": "batch",
    "ingresses": "networking.k8s.io",
    "horizontalpodautoscalers": "autoscaling",
    "certificates": "cert-manager.io",
    "applications": "argoproj.io",
    "clusterrolebindings": "rbac.authorization.k8s.io",
    "clusterroles": "rbac.authorization.k8s.io",
    "subjectaccessreviews": "authorization.k8s.io",
    "selfsubjectrulesreviews": "authorization.k8s.io",
    "tokenreviews": "authentication.k8s.io",
}
_VERSIONS: Final = {"autoscaling": "v2", "argoproj.io": "v1alpha1"}


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks the API server.

    Attributes:
        user: The event's `user`.
    """

    user: dict[str, Any]
    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Attributes:
        resource: Resource, with its subresource after a slash (`pods/exec`); empty for paths such as `/livez`.
        code: HTTP status of the answer.
        lasts_s: Seconds until the answer is complete; a watch or an exec lasts.
        body: Object sent along; makes the level `Request`.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""
    code: int = 200
    lasts_s: float = 0.006
    body: dict[str, Any] | None = None
    query: str = ""
    path: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A generated audit event; `at` is the second of its stage."""

    at: float
    record: dict[str, Any]


class ApiServer:
    """Writes requests as audit events."""

    def __init__(self, ids: Identifiers, clock: Clock) -> None:
        self.ids = ids
        self.clock = clock

    def events(self, at: float, subject: Subject, request: Request) -> list[AuditEvent]:
        """The stages of one request: received, begun where it streams, complete."""
        received = self.clock.micros(at)
        base = self._base(subject, request)
        streams = request.verb == "watch" or request.resource in ("pods/exec", "pods/attach")
        stages = [("RequestReceived", at)]
        if streams and request.code < FORBIDDEN:
            stages.append(("ResponseStarted", at + 0.004))
        stages.append(("ResponseComplete", at + request.lasts_s))
        return [AuditEvent(when, self._stage(base, stage, when, received, request)) for stage, when in stages]

    def _base(self, subject: Subject, request: Request) -> dict[str, Any]:
        base: dict[str, Any] = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Request" if request.body else "Metadata",
            "auditID": self.ids.uuid(),
            "stage": "",
            "requestURI": request.path or _uri(request),
            "verb": request.verb,
            "user": subject.user,
            "sourceIPs": [subject.address],
            "userAgent": subject.agent,
        }
        if request.resource:
            base["objectRef"] = _object_ref(request)
        return base

    def _stage(self, base: dict[str, Any], stage: str, when: float, received: str, request: Request) -> dict[str, Any]:
        record = {**base, "stage": stage}
        if stage != "RequestReceived":
            record["responseStatus"] = _status(request)
            if request.body is not None:
                record["requestObject"] = request.body
        record["requestReceivedTimestamp"] = received
        record["stageTimestamp"] = self.clock.micros(when)
        if stage == "ResponseComplete":
            record["annotations"] = {
                "authorization.k8s.io/decision": "forbid" if request.code == FORBIDDEN else "allow",
                "authorization.k8s.io/reason": request.reason,
            }
        return record


def _group(resource: str) -> tuple[str, str]:
    group = _GROUPED.get(resource.partition("/")[0], "")
    return group, _VERSIONS.get(group, "v1")


def _uri(request: Request) -> str:
    resource, _, subresource = request.resource.partition("/")
    group, version = _group(resource)
    parts = [f"/apis/{group}/{version}" if group else f"/api/{version}"]
    if request.namespace:
        parts.append(f"namespaces/{request.namespace}")
    parts.append(resource)
    if request.name and (request.verb != "create" or subresource):
        parts.append(request.name)
    if subresource:
        parts.append(subresource)
    return "/".join(parts) + (f"?{request.query}" if request.query else "")


def _object_ref(request: Request) -> dict[str, str]:
    resource, _, subresource = request.resource.partition("/")
    group, version = _group(resource)
    found = {"resource": resource, "namespace": request.namespace, "name": request.name, "apiGroup": group}
    found |= {"apiVersion": version, "subresource": subresource}
    return {name: value for name, value in found.items() if value}


def _status(request: Request) -> dict[str, Any]:
    if request.code < 400:  # noqa: PLR2004 - HTTP: from here on it failed
        return {"metadata": {}, "code": request.code}
    words = {FORBIDDEN: "Forbidden", 404: "NotFound", 409: "Conflict", UNAUTHORISED: "Unauthorized"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"{request.resource} {request.name!r}: {words.get(request.code, 'Failure')}".strip(),
        "reason": words.get(request.code, "InternalError"),
        "code": request.code,
    }


def component(name: str, address: str) -> Subject:
    """A part of the control plane."""
    user = {"username": f"system:{name}", "groups": ["system:authenticated"]}
    return Subject(user, address, f"{name}/v1.34.1 (linux/arm64) kubernetes/93248f9")


def kubelet(node: Node) -> Subject:
    """The agent of a node."""
    user = {
        "username": f"system:node:{node.name}",
        "uid": f"aws-iam-authenticator:777788889999:{node.instance}",
        "groups": ["system:bootstrappers", "system:nodes", "system:authenticated"],
    }
    return Subject(user, node.address, "kubelet/v1.34.1 (linux/arm64) kubernetes/93248f9")


def service_account(namespace: str, name: str, pod: str, address: str, agent: str) -> Subject:
    """A program in a pod, with the token of its service account."""
    user = {
        "username": f"system:serviceaccount:{namespace}:{name}",
        "uid": f"6a1f0c52-{len(namespace):04x}-4e{len(name):02x}-9d11-7f5be2c3a0d4",
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/pod-name": [pod]},
    }
    return Subject(user, address, agent)


def mapped_role(session: Session, groups: tuple[str, ...], address: str, agent: str) -> Subject:
    """Someone whom the cluster knows by an IAM role."""
    user = {
        "username": f"{session.role.name}:{session.name}",
        "uid": f"aws-iam-authenticator:{session.role.account.number}:{session.role.principal}",
        "groups": [*groups, "system:authenticated"],
        "extra": {"arn": [session.arn], "accessKeyId": [session.key], "sessionName": [session.name]},
    }
    return Subject(user, address, agent)
