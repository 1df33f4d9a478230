"""What kind of event it is: `event.category`, `event.type`, `event.outcome`.

Elastic's own pairs come first, so that stock rules and dashboards work; ours are added to them.
https://www.elastic.co/docs/reference/ecs/ecs-allowed-values-event-category
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ingest.parsing.scalars import boolean_of, long_of, mapping_of, mappings_of, text_of

_TYPE_OF_VERB = (
    ("access", "get list describe head lookup watch read"),
    ("creation", "create run insert"),
    ("deletion", "delete terminate remove"),
    ("change", "update modify put set attach detach patch write action"),
)
_PREFIXES = tuple((verb, kind) for kind, verbs in _TYPE_OF_VERB for verb in verbs.split())
# google/rpc/code.proto PERMISSION_DENIED; some services write the HTTP status in its place
_DENIED = (7, 403)
_IAM_SERVICES = frozenset({"iam.googleapis.com", "iamcredentials.googleapis.com", "sts.googleapis.com"})
BECOMING = frozenset({"generateaccesstoken", "generateidtoken", "signjwt", "signblob", "exchangetoken"})
"""Methods, in lower case, by which a principal gets credentials of another."""


def outcome_of(payload: Mapping[str, Any]) -> str:
    """By the status code; without one by the only check of a permission; else an empty status says success.

    Google leaves out what is false: a check without `granted` was refused, unless an empty status says otherwise.
    """
    code = status_code(payload)
    if code is not None:
        return "failure" if code else "success"
    granted = granted_of(payload)
    if granted is not None:
        return "success" if granted else "failure"
    return "success" if payload.get("status") == {} else "unknown"


def status_code(payload: Mapping[str, Any]) -> int | None:
    """The code of google.rpc.Status; None when the record has none."""
    return long_of(mapping_of(payload.get("status")).get("code"))


def granted_of(payload: Mapping[str, Any]) -> bool | None:
    """What the only check of a permission said; None when there is not exactly one."""
    checks = mappings_of(payload.get("authorizationInfo"))
    if len(checks) != 1:
        return None
    told = boolean_of(checks[0].get("granted"))
    return payload.get("status") == {} if told is None else told


def kinds_of(entry: Mapping[str, Any], payload: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Category and type, each without repetition."""
    operation = mapping_of(entry.get("operation"))
    first, last = boolean_of(operation.get("first")) is True, boolean_of(operation.get("last")) is True
    granted = granted_of(payload)
    own, types = _own_kinds(text_of(payload.get("serviceName")) or "", text_of(payload.get("methodName")) or "")
    categories: list[str] = []
    found: list[str] = []
    if first != last:
        categories.append("session")
        found.append("start" if first else "end")
    if granted is not None:
        categories += ["network", "configuration"]
        found += ["access", "allowed" if granted else "denied"]
    found += types
    if status_code(payload) in _DENIED:
        found.append("denied")
    return [*categories, *own], list(dict.fromkeys(found))


def verb_of(method: str) -> str:
    """The last part of a method name, in lower case: `insert` of `v1.compute.firewalls.insert`."""
    return method.rpartition(".")[2].lower()


@functools.lru_cache(maxsize=4096)
def _own_kinds(service: str, method: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Our category and type of a method. Memoised: a log has few methods."""
    verb = verb_of(method)
    if service in _IAM_SERVICES and verb in BECOMING:
        return ("authentication",), ("start",)
    kind = next((kind for prefix, kind in _PREFIXES if verb.startswith(prefix)), "info")
    if service in _IAM_SERVICES or "iampolicy" in verb or "role" in verb:
        whom = "user" if "serviceaccount" in verb else "admin"
        return ("iam",), (whom, "info" if kind == "access" else kind)  # `access` is no type of the category iam
    return ("api",), (kind,)
