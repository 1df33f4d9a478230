"""Who asked: `user.*`, `user.effective.*`, the principal across clouds, and the addresses of the caller."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ingest.parsing.addresses import ip_of
from ingest.parsing.scalars import mapping_of, text_of, texts_of

_CREDENTIAL = "authentication.kubernetes.io/credential-id"
_KINDS = (
    ("system:serviceaccount:", "service_account"),
    ("system:node:", "node"),
    ("system:anonymous", "anonymous"),
    ("system:", "system"),
    ("eks:", "system"),
)


def user_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """The `user` object: the authenticated user, and whom it acted as. Empty after a failed authentication."""
    found = _names(mapping_of(event.get("user")))
    effective = _names(mapping_of(event.get("impersonatedUser")))
    if effective:
        found["effective"] = effective
    return found


def _names(user: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    name = text_of(user.get("username"))
    if name:
        found["name"] = name
        if "@" in name:
            found["email"] = name
    uid = text_of(user.get("uid"))
    if uid:
        found["id"] = uid
    return found


def principal_of(username: str, cluster: str) -> dict[str, str]:
    """One key of the actor across clouds; `-` stands for a cluster that the event does not name."""
    return {
        "key": f"k8s:{cluster or '-'}/{username}",
        "type": _kind_of(username),
        "display": username,
    }


@functools.lru_cache(maxsize=4096)
def _kind_of(username: str) -> str:
    return next((kind for prefix, kind in _KINDS if username.startswith(prefix)), "user")


def session_key(extra: Mapping[str, Any]) -> str | None:
    """What names the session: the AWS access key, else the id of the credential."""
    return next((key for name in ("accessKeyId", _CREDENTIAL) for key in texts_of(extra.get(name))), None)


def addresses_of(source_ips: Any) -> tuple[list[str], list[str]]:
    """Valid addresses without repetition, and all as written, both in their order.

    `sourceIPs` begins with what `X-Forwarded-For` said, which a client can forge; the peer that the API server saw is
    last.
    """
    if source_ips.__class__ is str:
        source_ips = source_ips.split(",")
    written = [stripped for text in texts_of(source_ips) if (stripped := text.strip())]
    found: dict[str, None] = {}
    for text in written:
        ip = ip_of(text)
        if ip:
            found[ip] = None
    return list(found), written
