"""GKE: a Cloud Logging entry of the Kubernetes API (`protoPayload`), as the audit event it was made from.

Google keeps the content and renames it; here the API server's names come back, so that one rule serves every cluster.
`operation.id` is the request's audit id. What Google does not keep (stage, request URI, groups) stays absent or follows
from what it says.

https://cloud.google.com/kubernetes-engine/docs/how-to/audit-logging
https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ingest.parsing.scalars import long_of, mapping_of, text_of

_METHOD = re.compile(r"(?:.*\.)?(?P<version>v[0-9]+(?:(?:alpha|beta)[0-9]+)?)\.(?P<rest>[^.].*)")
_VERBS = frozenset(
    {
        "get",
        "list",
        "watch",
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
        "head",
        "post",
        "put",
        "options",
    }
)
_FIRST_HTTP_STATUS = 100
_PERMISSION_DENIED = 7  # google/rpc/code.proto
# The HTTP mapping of google/rpc/code.proto
_HTTP_OF_RPC = {
    0: 200, 1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500,
    14: 503, 15: 500, 16: 401,
}  # fmt: skip


def is_kubernetes(payload: Mapping[str, Any]) -> bool:
    """Whether a `protoPayload` was written by a Kubernetes API server."""
    method = payload.get("methodName")
    return payload.get("serviceName") == "k8s.io" or (isinstance(method, str) and method.startswith("io.k8s."))


def event_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The audit event in a log entry; parts that the entry does not tell are left out."""
    payload = mapping_of(entry.get("protoPayload"))
    metadata = mapping_of(payload.get("requestMetadata"))
    found = {
        "kind": "Event",
        "auditID": _audit_id(entry),
        "stage": _stage(mapping_of(entry.get("operation"))),
        "stageTimestamp": entry.get("timestamp") or entry.get("receiveTimestamp"),
        "requestURI": payload.get("requestURI"),
        "user": _user(mapping_of(payload.get("authenticationInfo"))),
        "sourceIPs": [ip] if (ip := text_of(metadata.get("callerIp") or metadata.get("callerIP"))) else None,
        "userAgent": metadata.get("callerSuppliedUserAgent"),
        "responseStatus": _status(payload),
        "requestObject": payload.get("request"),
        "responseObject": payload.get("response"),
        "annotations": _annotations(entry, payload),
        **_target(text_of(payload.get("methodName")) or "", text_of(payload.get("resourceName")) or ""),
    }
    return {name: value for name, value in found.items() if value not in (None, {}, "")}


def _audit_id(entry: Mapping[str, Any]) -> str | None:
    return text_of(mapping_of(entry.get("operation")).get("id")) or text_of(entry.get("insertId"))


def _stage(operation: Mapping[str, Any]) -> str:
    """An operation that began and did not end yet is a long request (watch, exec) whose response has started."""
    began_only = operation.get("first") is True and operation.get("last") is not True
    return "ResponseStarted" if began_only else "ResponseComplete"


def _user(authentication: Mapping[str, Any]) -> dict[str, Any]:
    for key in ("principalEmail", "principalSubject", "authoritySelector"):
        name = text_of(authentication.get(key))
        if name:
            return {"username": name}
    return {}


def _status(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """`responseStatus`: the HTTP status of a Status response, else Google's code by its own HTTP mapping."""
    status = payload.get("status")
    if status.__class__ is not dict and _granted(payload) is False:
        status = {"code": _PERMISSION_DENIED}
    response = mapping_of(payload.get("response"))
    if response.get("kind") == "Status" and long_of(response.get("code")) is not None:
        return {key: response[key] for key in ("status", "code", "reason", "message", "details") if key in response}
    if status.__class__ is not dict:
        return None
    code = long_of(status.get("code")) or 0
    found = {"code": code if code >= _FIRST_HTTP_STATUS else _HTTP_OF_RPC.get(code, 500)}
    if found["code"] >= 400:  # noqa: PLR2004 - RFC 9110 §15.5
        return {**found, "status": "Failure", "message": status.get("message")}
    return found


def _annotations(entry: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    """The labels, which hold the annotations; the decision also stands in the only `authorizationInfo`."""
    found = dict(mapping_of(entry.get("labels")))
    granted = _granted(payload)
    if "authorization.k8s.io/decision" not in found and granted is not None:
        found["authorization.k8s.io/decision"] = "allow" if granted else "forbid"
    return found


def _granted(payload: Mapping[str, Any]) -> bool | None:
    """Whether the only check was passed; None without a check, or with several."""
    checks = payload.get("authorizationInfo")
    if not isinstance(checks, list) or len(checks) != 1:
        return None
    granted = mapping_of(checks[0]).get("granted")
    return granted if isinstance(granted, bool) else None


def _target(method: str, name: str) -> dict[str, Any]:
    """`verb` and `objectRef` from `io.k8s.core.v1.pods.exec.create` and `core/v1/namespaces/shop/pods/web/exec`."""
    parts = _METHOD.fullmatch(method)
    if not parts:
        verb = method.rpartition(".")[2]
        found: dict[str, Any] = {"requestURI": "/" + name.lstrip("/")} if name else {}
        return {**found, "verb": verb} if verb in _VERBS else found
    *resource, verb = parts["rest"].split(".")
    if not resource:
        resource, verb = [verb], ""
    reference = {"apiVersion": parts["version"], "resource": resource[0], "subresource": "/".join(resource[1:])}
    reference |= _path(name, resource[0])
    return {
        "verb": verb,
        "objectRef": {key: value for key, value in reference.items() if value},
    }


def _path(name: str, resource: str) -> dict[str, str]:
    """What `group/version/[namespaces/x/]resource/name/subresource` tells; empty when it has another form."""
    group, version, *rest = [*name.split("/"), "", ""]
    rest = [part for part in rest if part]
    if not rest:
        return {}
    found = {"apiGroup": "" if group == "core" else group, "apiVersion": version}
    if len(rest) > 2 and rest[0] == "namespaces" and resource != "namespaces":  # noqa: PLR2004 - namespaces, x, resource
        found["namespace"], rest = rest[1], rest[2:]
    found["resource"] = rest[0]
    if len(rest) > 1:
        found["name"] = rest[1]
        if rest[0] == "namespaces":
            found["namespace"] = rest[1]  # as API servers write it: a namespace lies in itself
    if rest[2:]:
        found["subresource"] = "/".join(rest[2:])
    return found
