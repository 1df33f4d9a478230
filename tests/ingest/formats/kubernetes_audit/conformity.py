"""Whether a document is one that the index takes: registered fields, values that fit their types, nothing empty."""

import datetime as dt
import gzip
import ipaddress
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from ingest.formats.kubernetes_audit.format import FORMAT
from ingest.formats.registry import registry_of

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[5] / "shared" / "data"
REGISTRY = registry_of(FORMAT)
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.(?:\d{3}|\d{6})Z")
_TERM = 32_766


def cases() -> list[str]:
    """Names of the golden pairs."""
    return sorted(path.name.removesuffix(".expected.json") for path in GOLDEN.glob("*.expected.json"))


def body(case: str) -> bytes:
    return (GOLDEN / f"{case}.json").read_bytes()


def record(case: str) -> bytes:
    """The only record of a golden body."""
    (only,) = FORMAT.split(body(case))
    return only


def expected(case: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((GOLDEN / f"{case}.expected.json").read_bytes())
    return document


def shared_lines(path: str) -> list[bytes]:
    """Lines of a gzip file that lies beside the repository on a developer's machine; none where it is absent."""
    file = SHARED / path
    return gzip.decompress(file.read_bytes()).splitlines() if file.exists() else []


def get(document: Any, path: str) -> Any:
    """The value under a dotted path, None when it is absent."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def faults(document: dict[str, Any]) -> list[str]:
    """What is wrong with a document; empty when nothing is."""
    orjson.dumps(document)  # raises for what can't be written: lone surrogates, integers beyond 64 bits
    return [*_leaf_faults(document, ""), *_required(document)]


def _leaf_faults(value: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, item in value.items():
        path = prefix + name
        field = REGISTRY.get(path)
        items = item if isinstance(item, list) else [item]
        if item is None or item in ("", [], {}):
            yield f"{path} is empty"
        elif field is None and all(isinstance(one, dict) for one in items):
            for one in items:
                yield from _leaf_faults(one, path + ".")
        elif field is None:
            yield f"{path} is not registered"
        elif not all(_fits(field.type, one) for one in items):
            yield f"{path} ({field.type}) holds {item!r:.80}"


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
        case "flattened" | "object":
            return isinstance(value, dict) and all(
                key.strip() and "\0" not in key and "." not in key and _terms_fit(key, items)
                for key, items in value.items()
            )
        case _:
            return False


def _terms_fit(key: str, items: Any) -> bool:
    texts = items if isinstance(items, list) else [items]
    return all(isinstance(text, str) and len(f"{key}\0{text}".encode()) <= _TERM for text in texts)


def _required(document: dict[str, Any]) -> Iterator[str]:
    event = document.get("event", {})
    for name in ("id", "provider", "kind", "category", "type", "outcome", "module", "dataset"):
        if not event.get(name):
            yield f"event.{name} is missing"
    if "@timestamp" not in document:
        yield "@timestamp is missing"
    if event.get("outcome") not in ("success", "failure", "unknown"):
        yield f"event.outcome is {event.get('outcome')}"
    for name, values in document.get("related", {}).items():
        if values != sorted(set(values)):
            yield f"related.{name} is not sorted and unique"
