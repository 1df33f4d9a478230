"""What the ledger says about retention (docs/ledger-format.md), read without the writer's code."""

from __future__ import annotations

_TIMED = {
    "v": "number",
    "type": "text",
    "namespace": "text",
    "at": "text",
    "builder": {"product": "text", "version": "text"},
}
_SELECTOR = {
    "datasets": ["text"],
    "since": ("text", None),
    "until": ("text", None),
    "principal": "text",
    "account": "text",
    "resource": "text",
}
SHAPES: dict[str, dict[str, object]] = {
    "hold": {**_TIMED, "id": "text", "reason": "text", "placed_by": "text", "selector": _SELECTOR},
    "release": {**_TIMED, "id": "text", "request": "text"},
    "tombstone": {
        **_TIMED,
        "id": "text",
        "tier": "text",
        "decision": "text",
        "because": "text",
        "until": "text",
        "policy": "text",
        "index": "text",
        "uuid": "text",
        "documents": "number",
        "topic": "text",
        "partition": "number",
        "segments": [{"seq": "number", "n": "number", "root": "text", "manifest": "text"}],
        "request": "text",
    },
    "deleted": {**_TIMED, "id": "text"},
}
KINDS = frozenset({"policy", *SHAPES})
