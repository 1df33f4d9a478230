"""Whether a document is one that the index takes: registered fields, values that fit their types, nothing empty."""

import datetime as dt
import ipaddress
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from ingest.formats.aws_cloudtrail.format import FORMAT
from ingest.formats.registry import registry_of

GOLDEN = Path(__file__).parent / "golden"
REGISTRY = registry_of(FORMAT)
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_TERM = 32_766


def cases() -> list[str]:
    """Names of the golden pairs."""
    return sorted(path.name.removesuffix(".expected.json") for path in GOLDEN.glob("*.expected.json"))


def raw(case: str) -> bytes:
    return (GOLDEN / f"{case}.json").read_bytes()


def expected(case: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((GOLDEN / f"{case}.expected.json").read_bytes())
    return document


def get(document: Any, path: str) -> Any:
    """The value under a dotted path, None when it is absent."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def faults(document: dict[str, Any]) -> list[str]:
    """What is wrong with a document; empty when nothing is."""
    found = [*_leaf_faults(document, ""), *_required(document), *_related(document)]
    orjson.dumps(document)  # raises for what can't be written: lone surrogates, integers beyond 64 bits
    return found


def _leaf_faults(value: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, item in value.items():
        path = prefix + name
        field = REGISTRY.get(path)
        if item is None or item in ("", [], {}):
            yield f"{path} is empty"
        elif field is None and isinstance(item, dict):
            yield from _leaf_faults(item, path + ".")
        elif field is None and isinstance(item, list) and all(isinstance(one, dict) for one in item):
            for one in item:
                yield from _leaf_faults(one, path + ".")
        elif field is None:
            yield f"{path} is not registered"
        else:
            for one in item if isinstance(item, list) else [item]:
                if not _fits(field.type, one):
                    yield f"{path} ({field.type}) holds {one!r:.80}"


def _fits(type_: str, value: Any) -> bool:
    match type_:
        case "keyword" | "name" | "text" | "wildcard" | "raw":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "long":
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case "date":
            return _ISO.fullmatch(value) is not None and dt.datetime.fromisoformat(value).tzinfo is not None
        case "ip":
            return bool(str(ipaddress.ip_address(value)) == value)
        case "flattened":
            return isinstance(value, dict) and _flattened_fits(value, "", 1)
        case _:
            return False


def _flattened_fits(value: Any, path: str, depth: int) -> bool:
    if isinstance(value, dict):
        return depth <= 20 and all(
            "\0" not in name and _flattened_fits(item, f"{path}.{name}", depth + 1) for name, item in value.items()
        )
    if isinstance(value, list):
        return all(_flattened_fits(item, path, depth) for item in value)
    return len(f"{path}\0{value}".encode()) <= _TERM


def _required(document: dict[str, Any]) -> Iterator[str]:
    event = document.get("event", {})
    for name in ("id", "provider", "action", "kind", "category", "type", "outcome"):
        if not event.get(name):
            yield f"event.{name} is missing"
    if "@timestamp" not in document:
        yield "@timestamp is missing"
    if event.get("outcome") not in ("success", "failure", "unknown"):
        yield f"event.outcome is {event.get('outcome')}"


def _related(document: dict[str, Any]) -> Iterator[str]:
    for name, values in document.get("related", {}).items():
        if values != sorted(set(values)):
            yield f"related.{name} is not sorted and unique"
