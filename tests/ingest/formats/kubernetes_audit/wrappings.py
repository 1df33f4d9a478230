"""One audit event as five kinds of cluster deliver it. What a channel does not keep is left out, as there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Event = Mapping[str, Any]

ACCOUNT, SUBSCRIPTION, PROJECT = "111122223333", "0f0f0f0f-1111-2222-3333-444455556666", "river-4711"
# google/rpc/code.proto, as Cloud Logging tells what Kubernetes answers with these HTTP codes
_RPC = {400: 3, 401: 16, 403: 7, 404: 5, 408: 4, 409: 6, 422: 3, 429: 8, 500: 13, 501: 12, 503: 14, 504: 4}
_READ_ONLY = ("get", "list", "watch")


def self_run(event: Event) -> bytes:
    """A batch of the audit webhook."""
    return _json({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": [event]})


def eks(event: Event) -> bytes:
    """A subscription of the cluster's log group."""
    logged = {"id": "38000000000000000000000000000000000000000000000000000001", "timestamp": 1795338264000}
    return _json(
        {
            "messageType": "DATA_MESSAGE",
            "owner": ACCOUNT,
            "logGroup": "/aws/eks/orchard/cluster",
            "logStream": "kube-apiserver-audit-1f2e",
            "subscriptionFilters": ["all"],
            "logEvents": [{**logged, "message": json.dumps(event)}],
        }
    )


def aks(event: Event) -> bytes:
    """A diagnostic setting that sends `kube-audit` to an Event Hub."""
    return _diagnostics(event, "MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS")


def arc(event: Event) -> bytes:
    """The same of a cluster that runs elsewhere under Azure Arc."""
    return _diagnostics(event, "MICROSOFT.KUBERNETES/CONNECTEDCLUSTERS")


def _diagnostics(event: Event, provider: str) -> bytes:
    group = f"/SUBSCRIPTIONS/{SUBSCRIPTION.upper()}/RESOURCEGROUPS/RIVER/PROVIDERS"
    record = {
        "time": "2026-11-22T09:20:05.1234567Z",
        "category": "kube-audit",
        "operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read",
        "resourceId": f"{group}/{provider}/ORCHARD",
        "location": "westeurope",
        "properties": {"log": json.dumps(event) + "\n", "stream": "stdout", "pod": "kube-apiserver-5c"},
    }
    return _json({"records": [record]})


def gke(event: Event) -> bytes:
    """The entry of Cloud Audit Logs that Google makes of it."""
    user = event.get("user", {})
    decision = event.get("annotations", {}).get("authorization.k8s.io/decision")
    method, name = _method(event), _resource_name(event)
    ips = event.get("sourceIPs", [])
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "serviceName": "k8s.io",
        "methodName": method,
        "resourceName": name,
        "authenticationInfo": {"principalEmail": user["username"]} if user.get("username") else {},
        "authorizationInfo": [{"granted": decision == "allow", "permission": method, "resource": name}],
        "requestMetadata": {
            "callerIp": ips[0] if ips else None,
            "callerSuppliedUserAgent": event.get("userAgent"),
        },
        "request": event.get("requestObject"),
        "response": event.get("responseObject"),
        "status": _status(event),
    }
    log = "data_access" if event.get("verb") in _READ_ONLY else "activity"
    ended = event.get("stage") != "ResponseStarted"
    return _json(
        {
            "insertId": "e1a7",
            "logName": f"projects/{PROJECT}/logs/cloudaudit.googleapis.com%2F{log}",
            "operation": {
                "id": event["auditID"],
                "producer": "k8s.io",
                "first": True,
                **({"last": True} if ended else {}),
            },
            "protoPayload": {key: value for key, value in payload.items() if value is not None},
            "resource": {
                "type": "k8s_cluster",
                "labels": {"project_id": PROJECT, "location": "europe-west4", "cluster_name": "orchard"},
            },
            "labels": event.get("annotations", {}),
            "timestamp": event.get("stageTimestamp"),
            "severity": "NOTICE",
        }
    )


def _method(event: Event) -> str:
    target, verb = event.get("objectRef"), event.get("verb", "")
    if not target:
        return f"io.k8s.{verb}"
    group = ".".join(reversed((target.get("apiGroup") or "core").removesuffix(".k8s.io").split(".")))
    parts = (target.get("apiVersion", "v1"), target.get("resource"), target.get("subresource"), verb)
    return ".".join(["io.k8s", group, *filter(None, parts)])


def _resource_name(event: Event) -> str:
    target = event.get("objectRef")
    if not target:
        return str(event.get("requestURI", "")).partition("?")[0].lstrip("/")
    inside = target.get("namespace") and target.get("resource") != "namespaces"
    namespace = ("namespaces", target["namespace"]) if inside else ()
    own = (target.get("resource"), target.get("name"), target.get("subresource"))
    return "/".join(filter(None, (target.get("apiGroup") or "core", target.get("apiVersion", "v1"), *namespace, *own)))


def _status(event: Event) -> dict[str, Any] | None:
    status = event.get("responseStatus")
    if not status:
        return None
    code = status.get("code", 0)
    return {"code": _RPC[code], "message": status.get("message", "")} if code >= 400 else {}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


WRAPPINGS: Mapping[str, Callable[[Event], bytes]] = {
    "self-run": self_run,
    "eks": eks,
    "aks": aks,
    "gke": gke,
    "arc": arc,
}
