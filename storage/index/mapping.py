"""Mappings generated from the field registry, with field types of the Elasticsearch core only.

https://www.elastic.co/docs/reference/elasticsearch/mapping-reference
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ingest.schema.errors import ConfigError
from ingest.schema.fields import Field, FieldType

KEYWORD_CHARS: Final = 1024
TERM_CHARS: Final = 8191
"""Longest indexed value: a Lucene term holds 32 766 bytes, and a character of UTF-8 has up to four."""
FLATTENED_DEPTH: Final = 20

_TEXT: Final = {"text": {"type": "text"}}
_TYPES: Final[dict[FieldType, dict[str, Any]]] = {
    "keyword": {"type": "keyword", "ignore_above": KEYWORD_CHARS},
    "name": {"type": "keyword", "ignore_above": KEYWORD_CHARS, "fields": _TEXT},
    "wildcard": {"type": "keyword", "ignore_above": TERM_CHARS, "fields": _TEXT},
    "raw": {"type": "keyword", "index": False, "doc_values": False},
    "text": {"type": "text"},
    "flattened": {"type": "flattened", "ignore_above": TERM_CHARS, "depth_limit": FLATTENED_DEPTH},
    "ip": {"type": "ip", "ignore_malformed": True},
    "date": {"type": "date", "ignore_malformed": True},
    "long": {"type": "long", "ignore_malformed": True},
    "double": {"type": "double", "ignore_malformed": True},
    "boolean": {"type": "boolean", "ignore_malformed": True},
    "geo_point": {"type": "geo_point", "ignore_malformed": True},
    "object": {"type": "object", "dynamic": True},
}

Tree = dict[str, "Tree | Field"]
"""Fields by the parts of their names: inner objects are dicts."""


def tree(fields: Iterable[Field]) -> Tree:
    """The fields as the objects they lie in. What is declared below a `flattened` field is left out: it covers it.

    Raises:
        ConfigError: A name is a value in one place and an object in another.
    """
    root: Tree = {}
    for field in sorted(fields, key=lambda f: f.name):
        node = root
        *above, last = field.name.split(".")
        covered = False
        for part in above:
            inner = node.setdefault(part, {})
            if isinstance(inner, Field):
                if inner.type not in ("flattened", "object"):
                    raise _clash(field, inner)
                covered = True
                break
            node = inner
        if covered:
            continue
        known = node.setdefault(last, field)
        if isinstance(known, dict) or known.type != field.type:
            raise _clash(field, known)
    return root


def mapping(fields: Iterable[Field]) -> dict[str, Any]:
    """The mapping of a component template."""
    declared = list(fields)
    found: dict[str, Any] = {"dynamic": False, "date_detection": False, "properties": _properties(tree(declared))}
    open_trees = sorted(f.name for f in declared if f.type == "object")
    if open_trees:
        found["dynamic_templates"] = [_dynamic(name) for name in open_trees]
    return found


def _properties(node: Tree) -> dict[str, Any]:
    return {
        name: dict(_TYPES[inner.type]) if isinstance(inner, Field) else {"properties": _properties(inner)}
        for name, inner in node.items()
    }


def _dynamic(name: str) -> Mapping[str, Any]:
    """Every value below `name` becomes a keyword, whatever its first one looked like."""
    return {
        f"skytrail_{name}": {
            "path_match": f"{name}.*",
            "match_mapping_type": ["string", "long", "double", "boolean", "date"],
            "mapping": {"type": "keyword", "ignore_above": TERM_CHARS},
        }
    }


def _clash(field: Field, known: Field | Tree) -> ConfigError:
    other = f"{known.name} ({known.type})" if isinstance(known, Field) else "fields below it"
    return ConfigError(
        f"generating mappings: {field.name} ({field.type}) contradicts {other}",
        mend="one name is either a value or an object: rename one of the fields in the registry",
    )
