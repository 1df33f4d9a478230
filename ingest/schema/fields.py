"""The field registry: name, type and meaning of every field we write.

It is the single source of index templates, of documentation and of the tests that refuse unknown fields. Fields that
every document has are in `ingest/schema/common_fields.py`; each format declares its vendor's fields beside its mapping.
Only Elasticsearch core types are allowed (reference: field types that a minimal distribution has).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

FieldType = Literal[
    "keyword",
    "name",
    "text",
    "wildcard",
    "flattened",
    "ip",
    "date",
    "boolean",
    "long",
    "double",
    "geo_point",
    "raw",
    "object",
]
"""Elasticsearch core types, plus four of ours:

* `name`: keyword with a `.text` sub-field (people search in it by words);
* `wildcard`: keyword up to 8191 characters with a `.text` sub-field, for Java-text bodies that rules query with `*x*`;
* `raw`: kept in `_source` only, neither indexed nor in doc values (`event.original`);
* `object`: a subtree of dynamic keywords; only where stock rules query index-numbered keys.
"""


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        name: Dotted path. Below a `flattened` or `object` field any path is allowed.
        type: See `FieldType`.
        meaning: One phrase for people; the vendor's own name where it helps.
        array: Whether several values are usual (for documentation; Elasticsearch does not care).
    """

    name: str
    type: FieldType
    meaning: str
    array: bool = False


class Registry:
    """Fields by name, with the question whether a path may be written."""

    def __init__(self, fields: Iterable[Field]) -> None:
        """Index the fields.

        Raises:
            ValueError: One name declared twice with different types.
        """
        self._fields: dict[str, Field] = {}
        for field in fields:
            known = self._fields.setdefault(field.name, field)
            if known.type != field.type:
                raise ValueError(f"field {field.name} is declared as {known.type} and as {field.type}")
        self._open = frozenset(f.name for f in self._fields.values() if f.type in ("flattened", "object", "geo_point"))

    def __iter__(self) -> Iterator[Field]:
        return iter(self._fields.values())

    def get(self, name: str) -> Field | None:
        """The field of exactly this name."""
        return self._fields.get(name)

    def allows(self, path: str) -> bool:
        """Whether a document may hold `path`: registered, or below an open subtree."""
        if path in self._fields:
            return True
        parts = path.split(".")
        return any(".".join(parts[:i]) in self._open for i in range(1, len(parts)))


def paths(document: dict[str, object], prefix: str = "") -> list[str]:
    """Dotted paths of all leaves of a document; lists are entered, their positions are not part of the path."""
    found: list[str] = []
    for key, value in document.items():
        path = f"{prefix}{key}"
        items = value if isinstance(value, list) else [value]
        for item in items:
            if isinstance(item, dict):
                found.extend(paths(item, path + "."))
            else:
                found.append(path)
    return sorted(set(found))
