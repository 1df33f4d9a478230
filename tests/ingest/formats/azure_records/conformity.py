"""Whether a document of Azure's logs is one that the index takes: registered fields, fitting values, nothing empty."""

import datetime as dt
import gzip
import ipaddress
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from ingest.formats.contract import Format
from ingest.formats.registry import format_named, registry_of

NAMES = (
    "azure.activitylogs",
    "azure.auditlogs",
    "azure.identity_protection",
    "azure.platformlogs",
    "azure.signinlogs",
)
SHARED = Path(__file__).parents[5] / "shared" / "data"
_FOLDER = Path(__file__).parents[1]
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_TERM = 32_766
# ECS: event types expected of each category that these formats write.
_TYPES = {
    "api": {"access", "admin", "allowed", "change", "creation", "deletion", "end", "info", "start", "user"},
    "authentication": {"start", "end", "info"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "file": {"access", "change", "creation", "deletion", "info"},
    "intrusion_detection": {"allowed", "denied", "info"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
}


def golden(name: str) -> Path:
    return _FOLDER / name.replace(".", "_") / "golden"


def cases() -> list[tuple[str, str]]:
    """Format and name of every golden pair."""
    return [
        (name, path.name.removesuffix(".expected.json"))
        for name in NAMES
        for path in sorted(golden(name).glob("*.expected.json"))
    ]


def body(name: str, case: str) -> bytes:
    return (golden(name) / f"{case}.json").read_bytes()


def record(name: str, case: str) -> bytes:
    """The only record of a golden body."""
    (only,) = format_named(name).split(body(name, case))
    return only


def expected(name: str, case: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((golden(name) / f"{case}.expected.json").read_bytes())
    return document


def changed(name: str, case: str, **members: Any) -> bytes:
    """A golden record with other members on its top level; None takes one away."""
    event = {**json.loads(record(name, case)), **members}
    return json.dumps({key: value for key, value in event.items() if value is not None}).encode()


def inner(name: str, case: str, **members: Any) -> bytes:
    """A golden record with other members in its properties; None takes one away."""
    properties = {**json.loads(record(name, case))["properties"], **members}
    return changed(name, case, properties={key: value for key, value in properties.items() if value is not None})


def panther() -> list[dict[str, Any]]:
    """Public cases that lie beside the repository on a developer's machine; none where they are absent."""
    file = SHARED / "panther" / "cases.jsonl.gz"
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()] if file.exists() else []


def get(document: Any, path: str) -> Any:
    """The value under a dotted path, None when it is absent."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def faults(format_: Format, document: dict[str, Any]) -> list[str]:
    """What is wrong with a document; empty when nothing is."""
    orjson.dumps(document)  # raises for what can't be written: lone surrogates, integers beyond 64 bits
    return [*_leaf_faults(format_, document, ""), *_required(document)]


def _leaf_faults(format_: Format, value: dict[str, Any], prefix: str) -> Iterator[str]:
    fields = registry_of(format_)
    for name, item in value.items():
        path = prefix + name
        field = fields.get(path)
        items = item if isinstance(item, list) else [item]
        if item is None or item in ("", [], {}):
            yield f"{path} is empty"
        elif field is None and all(isinstance(one, dict) for one in items):
            for one in items:
                yield from _leaf_faults(format_, one, path + ".")
        elif field is None:
            yield f"{path} is not registered"
        elif not all(_fits(field.type, path, one) for one in items):
            yield f"{path} ({field.type}) holds {item!r:.80}"


def _fits(type_: str, path: str, value: Any) -> bool:
    match type_:
        case "keyword" | "name" | "text" | "wildcard" | "raw":
            return isinstance(value, str)
        case "long":
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case "date":
            return _ISO.fullmatch(value) is not None and dt.datetime.fromisoformat(value).tzinfo is not None
        case "boolean":
            return isinstance(value, bool)
        case "ip":
            return bool(str(ipaddress.ip_address(value)) == value)
        case "geo_point":
            return bool(abs(value["lat"]) <= 90 and abs(value["lon"]) <= 180)
        case "flattened" | "object":
            return isinstance(value, dict) and _tree_fits(path, value, 1)
        case _:
            return False


def _tree_fits(path: str, value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        names = all(name.strip() and "\0" not in name and "." not in name for name in value)
        return (
            names and depth < 20 and all(_tree_fits(f"{path}.{name}", item, depth + 1) for name, item in value.items())
        )
    if isinstance(value, list):
        return bool(value) and all(_tree_fits(path, item, depth) for item in value)
    if isinstance(value, str) and len(value) <= 8191:  # longer ones are not indexed
        return len(f"{path}\0{value}".encode()) <= _TERM
    return isinstance(value, (str, int, float))


def _required(document: dict[str, Any]) -> Iterator[str]:
    event = document.get("event", {})
    for name in ("id", "provider", "action", "kind", "category", "type"):
        if not event.get(name):
            yield f"event.{name} is missing"
    if "@timestamp" not in document:
        yield "@timestamp is missing"
    if event.get("outcome", "unknown") not in ("success", "failure", "unknown"):
        yield f"event.outcome is {event.get('outcome')}"
    allowed = set[str]().union(*(_TYPES.get(category, set()) for category in event.get("category", ())))
    # `denied` is ours on every category: who was refused what must be found with one query
    if set(event.get("type", ())) - {"denied"} - allowed:
        yield f"event.type {event.get('type')} is no type of {event.get('category')}"
    for name, values in document.get("related", {}).items():
        if values != sorted(set(values)):
            yield f"related.{name} is not sorted and unique"
