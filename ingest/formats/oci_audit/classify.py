"""What kind of event it is: `event.category`, `event.type`, `event.outcome`.

https://docs.oracle.com/en-us/iaas/Content/API/References/apierrors.htm
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ingest.parsing.scalars import long_of, mapping_of

FAILED_FROM = 400
_DENIED = (401, 403)
_TYPE_OF_VERB = (
    ("access", "get list describe head lookup watch read"),
    ("creation", "create run insert launch"),
    ("deletion", "delete terminate remove"),
    ("change", "update modify put set attach detach patch write action change"),
)
_PREFIXES = tuple((verb, kind) for kind, verbs in _TYPE_OF_VERB for verb in verbs.split())
_SIGN_IN = ("interactivelogin", "federatedinteractivelogin", "login", "signin")
_USER_PARTS = ("user", "apikey", "authtoken", "password", "customersecretkey", "mfatotp", "credential")


def status_of(data: Mapping[str, Any]) -> int | None:
    """The HTTP status of the response, which is text; None without one."""
    return long_of(mapping_of(data.get("response")).get("status"))


def outcome_of(status: int | None) -> str:
    """Failure from 400 on; unknown without a status."""
    if status is None:
        return "unknown"
    return "failure" if status >= FAILED_FROM else "success"


@functools.lru_cache(maxsize=4096)
def kinds_of(source: str, name: str, *, denied: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Category and type of an operation. Memoised: a tenancy uses few.

    404 is no `denied`: Oracle answers it both for what is absent and for what the caller may not see.
    """
    verb = name.lower()
    kind = next((kind for prefix, kind in _PREFIXES if verb.startswith(prefix)), "info")
    categories: tuple[str, ...] = ("api",)
    types: tuple[str, ...] = (kind,)
    if verb.endswith(_SIGN_IN):
        categories, types = ("authentication",), ("start",)
    elif "identity" in source.lower() or "policy" in verb or "role" in verb:
        parts = (("group", "group"), *((part, "user") for part in _USER_PARTS))
        whom = next((whom for part, whom in parts if part in verb), "admin")
        categories, types = ("iam",), (whom, "info" if kind == "access" else kind)
    return categories, (*types, "denied") if denied else types


def is_denied(status: int | None) -> bool:
    """Whether the caller was refused."""
    return status in _DENIED
