"""From an action of Skytrail to its ECS document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.document import utc_millis
from ingest.formats.contract import Document
from ingest.parsing.flattened import flattened
from ingest.parsing.scalars import long_of, mapping_of, picked, text_of
from ingest.parsing.times import parse_time
from ingest.schema.errors import MalformedRecord

_KINDS: Mapping[str, tuple[str, str]] = {
    "access": ("database", "access"),
    "change": ("configuration", "change"),
    "deletion": ("database", "change"),
}
_OUTCOMES = frozenset({"success", "failure"})
_UNKNOWN = "unknown"


def document_of(action: Mapping[str, Any], own_id: str) -> Document:
    """The ECS document of an action.

    Raises:
        MalformedRecord: Its time can't be read.
    """
    said = action.get("at")
    parsed = parse_time(said) if said.__class__ is str else None
    if not parsed:
        raise MalformedRecord(f"reading action: {str(said)[:40]!r} is no time", where="at")
    name, actor, host = (text_of(action.get(key)) for key in ("name", "actor", "host"))
    document: Document = {
        "@timestamp": utc_millis(parsed.moment),
        "event": _event(action, name, own_id),
        "user": picked(action, (("actor", "name"),)),
        "host": picked(action, (("host", "name"),)),
        "related": {key: [value] for key, value in (("user", actor), ("hosts", host)) if value},
        "skytrail": _skytrail(action, actor),
        "error": {"message": reason} if (reason := text_of(action.get("reason"))) else {},
    }
    return {key: part for key, part in document.items() if part}


def _event(action: Mapping[str, Any], name: str | None, own_id: str) -> Document:
    category, type_ = _KINDS.get(text_of(action.get("kind")) or "", ("database", "info"))
    outcome = text_of(action.get("outcome"))
    return {
        "kind": "event",
        "category": [category],
        "type": [type_],
        "module": "skytrail",
        "dataset": "skytrail.audit",
        "provider": "skytrail",
        "id": own_id,
        "action": name or _UNKNOWN,
        "outcome": outcome if outcome in _OUTCOMES else _UNKNOWN,
    }


def _skytrail(action: Mapping[str, Any], actor: str | None) -> Document:
    details = mapping_of(action.get("details"))
    audit: Document = {
        **picked(action, (("program", "program"), ("kind", "kind"), ("target", "target"))),
        **picked(details, (("query", "query"), ("purpose", "purpose"))),
    }
    if (count := long_of(details.get("result_count"))) is not None:
        audit["result_count"] = count
    if shown := flattened(details):
        audit["details"] = shown
    found: Document = {"audit": audit} if audit else {}
    if actor:
        found["principal"] = {"key": f"skytrail:{actor}", "type": "user", "display": actor}
    return found
