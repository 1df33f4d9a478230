"""What kind of event it is: `event.category`, `event.type`, `event.outcome`. Elastic leaves the first two unset.

https://learn.microsoft.com/entra/identity/monitoring-health/reference-audit-activities
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ingest.formats.azure_records.document import FAILED, SUCCEEDED
from ingest.parsing.scalars import mapping_of, text_of

_WHOM = {
    "usermanagement": "user",
    "groupmanagement": "group",
    "rolemanagement": "admin",
    "applicationmanagement": "admin",
    "policy": "admin",
}
_VERBS = {
    "creation": ("add", "create", "invite", "register", "hard add"),
    "deletion": ("delete", "remove", "hard delete", "unregister"),
    "change": (
        "update", "change", "reset", "set", "assign", "unassign", "enable", "disable", "consent", "restore", "activate",
        "deactivate", "approve", "deny", "revoke", "import",
    ),
}  # fmt: skip
_TYPES = tuple((verb, type_) for type_, verbs in _VERBS.items() for verb in verbs)


@functools.lru_cache(maxsize=4096)
def kinds_of(category: str, operation_type: str, operation: str) -> tuple[str, tuple[str, ...]]:
    """ECS category and types.

    Args:
        category: properties.category: UserManagement, …
        operation_type: properties.operationType: Add, Update, Delete, Assign, …
        operation: operationName; its verb counts where the operation's type says nothing.
    """
    verb = _verb(operation_type) or _verb(operation) or "info"
    whom = _WHOM.get(category.lower())
    return ("iam", (whom, verb)) if whom else ("configuration", (verb,))


def outcome_of(event: Mapping[str, Any]) -> str:
    """What `properties.result` says; `unknown` where it says nothing: an absent result is no failure."""
    result = (text_of(mapping_of(event.get("properties")).get("result")) or "").lower()
    if result in SUCCEEDED:
        return "success"
    return "failure" if result in FAILED else "unknown"


def _verb(text: str) -> str | None:
    words = f"{text.lower()} "
    return next((type_ for verb, type_ in _TYPES if words.startswith(f"{verb} ")), None)
