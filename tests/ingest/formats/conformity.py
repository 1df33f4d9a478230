"""Whether a document is one that the index takes: registered fields, values that fit their types, nothing empty."""

import datetime as dt
import gzip
import ipaddress
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from ingest.formats.contract import Format
from ingest.formats.registry import registry_of
from ingest.schema.errors import RejectedRecord

SHARED = Path(__file__).parents[4] / "shared" / "data"
# ECS: event types expected of each category
TYPES = {
    "api": {"access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "info", "start", "user"},
    "authentication": {"start", "end", "info"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "database": {"access", "change", "error", "info"},
    "file": {"access", "change", "creation", "deletion", "info"},
    "host": {"access", "change", "end", "info", "start"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
    "intrusion_detection": {"allowed", "denied", "info"},
    "process": {"access", "change", "end", "info", "start"},
    "network": {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"},
    "session": {"start", "end", "info"},
}
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:\d{3})?Z")
_TERM = 32_766


class Golden:
    """The golden pairs of a format, and the judgement of its documents."""

    def __init__(self, format_: Format) -> None:
        self.format = format_
        self.registry = registry_of(format_)
        self.folder = Path(__file__).parent / format_.name.replace(".", "_") / "golden"

    def cases(self) -> list[str]:
        """Names of the golden pairs."""
        return sorted(path.name.removesuffix(".expected.json") for path in self.folder.glob("*.expected.json"))

    def body(self, case: str) -> bytes:
        """The collected body of a case: `<case>.json`, or `<case>.log` where it is no JSON."""
        text = self.folder / f"{case}.log"
        return text.read_bytes() if text.exists() else (self.folder / f"{case}.json").read_bytes()

    def reader(self, case: str) -> Format:
        """The format for the records of a case."""
        return self.format.within(self.format.context(self.body(case)))

    def records(self, case: str) -> list[bytes]:
        return list(self.format.split(self.body(case)))

    def all_expected(self, case: str) -> list[dict[str, Any]]:
        """The documents of all records of a case."""
        found = json.loads((self.folder / f"{case}.expected.json").read_bytes())
        return found if isinstance(found, list) else [found]

    def record(self, case: str) -> bytes:
        """The only record of a golden body."""
        (only,) = self.format.split(self.body(case))
        return only

    def expected(self, case: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / f"{case}.expected.json").read_bytes())
        return document

    def read_all(self, text: bytes, reader: Format | None = None) -> dict[str, Any] | None:
        """Identify, view and normalise; the document, or None when one of them refused."""
        reader = reader or self.format
        try:
            reader.identify(text)
            reader.view(text)
            return reader.normalise(text)
        except RejectedRecord:
            return None

    def faults(self, document: dict[str, Any]) -> list[str]:
        """What is wrong with a document; empty when nothing is."""
        orjson.dumps(document)  # raises for what can't be written: lone surrogates, integers beyond 64 bits
        return [*self._leaf_faults(document, ""), *_required(document)]

    def _leaf_faults(self, value: dict[str, Any], prefix: str) -> Iterator[str]:
        for name, item in value.items():
            path = prefix + name
            field = self.registry.get(path)
            items = item if isinstance(item, list) else [item]
            if item is None or item in ("", [], {}):
                yield f"{path} is empty"
            elif field is None and all(isinstance(one, dict) for one in items):
                for one in items:
                    yield from self._leaf_faults(one, path + ".")
            elif field is None:
                yield f"{path} is not registered"
            elif not all(_fits(field.type, one) for one in items):
                yield f"{path} ({field.type}) holds {item!r:.80}"


def shared_cases(source: str) -> list[dict[str, Any]]:
    """Panther's cases of a source; none where the data does not lie beside this repository."""
    return _cases_in("cases.jsonl.gz", source)


def other_cases(source: str) -> list[dict[str, Any]]:
    """Panther's cases of a source that is no audit log."""
    return _cases_in("other_cases.jsonl.gz", source)


def _cases_in(name: str, source: str) -> list[dict[str, Any]]:
    path = SHARED / "panther" / name
    if not path.exists():
        return []
    with gzip.open(path) as lines:
        return [case for line in lines if (case := json.loads(line))["source"] == source]


def get(document: Any, path: str) -> Any:
    """The value under a dotted path, None when it is absent."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _fits(type_: str, value: Any) -> bool:
    match type_:
        case "keyword" | "name" | "text" | "wildcard" | "raw":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "long":
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case "double":
            return isinstance(value, float) and math.isfinite(value)
        case "date":
            return _ISO.fullmatch(value) is not None and dt.datetime.fromisoformat(value).tzinfo is not None
        case "ip":
            return bool(str(ipaddress.ip_address(value)) == value)
        case "geo_point":
            return isinstance(value, dict) and value.keys() == {"lat", "lon"}
        case "flattened" | "object":
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
    indexed = value if not isinstance(value, str) or len(value) <= 8191 else ""  # longer ones are not indexed
    return value is not None and len(f"{path}\0{indexed}".encode()) <= _TERM


def _required(document: dict[str, Any]) -> Iterator[str]:
    event = document.get("event", {})
    for name in ("id", "provider", "action", "kind", "category", "type", "module", "dataset"):
        cut_down = name == "action" and event.get("dataset") == "kubernetes.audit_logs"  # an event without a verb
        if not event.get(name) and not cut_down:
            yield f"event.{name} is missing"
    if "@timestamp" not in document:
        yield "@timestamp is missing"
    outcomes = {"success", "failure", "unknown"}
    if event.get("dataset") == "azure.activitylogs":
        outcomes.add(None)  # records of progress (Start, Accept) are neither
    if event.get("outcome") not in outcomes:
        yield f"event.outcome is {event.get('outcome')}"
    for name, values in document.get("related", {}).items():
        if values != sorted(set(values)):
            yield f"related.{name} is not sorted and unique"
