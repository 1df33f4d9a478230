"""What kind of event it is: `event.category`, `event.type`, `event.outcome`.

Allowed pairs: https://www.elastic.co/docs/reference/ecs/ecs-allowed-values-event-category
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ingest.parsing.scalars import long_of, mapping_of, text_of

DECISION = "authorization.k8s.io/decision"
FAILED_FROM = 400
_DENIED = (401, 403)

_TYPE_OF_VERB = {
    "get": "access", "list": "access", "watch": "access", "head": "access", "options": "access", "proxy": "access",
    "create": "creation", "post": "creation",
    "update": "change", "patch": "change", "put": "change", "replace": "change",
    "delete": "deletion", "deletecollection": "deletion",
}  # fmt: skip
_PROCESS = frozenset({"exec", "attach", "portforward"})
_RBAC = frozenset({"roles", "clusterroles", "rolebindings", "clusterrolebindings"})
_REVIEWS = frozenset(
    {"subjectaccessreviews", "localsubjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}
)


@functools.lru_cache(maxsize=4096)
def kinds_of(verb: str, resource: str, subresource: str, *, denied: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Category and type of a request. Memoised: a cluster sees few distinct combinations.

    `denied` is ours on every category: who was refused what must be found with one query.
    """
    kind = _TYPE_OF_VERB.get(verb.lower(), "info")
    categories: tuple[str, ...] = ("api",)
    types: tuple[str, ...] = (kind,)
    if resource in _RBAC:
        # `access` is no type of the category iam
        categories, types = ("iam",), ("admin", "info" if kind == "access" else kind)
    elif resource == "secrets":
        categories = ("api", "configuration")
    elif resource == "pods" and subresource in _PROCESS:
        categories, types = ("api", "process"), ("start",)
    elif resource in _REVIEWS:
        types = ("access",)
    return categories, (*types, "denied") if denied else types


def outcome_of(event: Mapping[str, Any], code: int | None) -> str:
    """Failure from status 400 on, on a forbidding decision and on a panic; success when the server said so."""
    decision = mapping_of(event.get("annotations")).get(DECISION)
    status = text_of(mapping_of(event.get("responseStatus")).get("status"))
    failed = code is not None and code >= FAILED_FROM
    if failed or decision == "forbid" or status == "Failure" or event.get("stage") == "Panic":
        return "failure"
    if code is not None or decision == "allow" or status == "Success":
        return "success"
    return "unknown"


def is_denied(event: Mapping[str, Any], code: int | None) -> bool:
    """Whether the caller was refused: not authenticated, not authorised, or by admission."""
    return code in _DENIED or mapping_of(event.get("annotations")).get(DECISION) == "forbid"


def status_code(event: Mapping[str, Any]) -> int | None:
    """The HTTP status of the response."""
    return long_of(mapping_of(event.get("responseStatus")).get("code"))
