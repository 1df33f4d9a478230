"""Objects of a vendor as an Elasticsearch `flattened` field can hold them.

Names with dots are taken there. What would lose the whole document is mended: a name with NUL, objects deeper than 20,
a term (path, NUL and value) beyond 32,766 bytes. What is empty is left out. `event.original` keeps everything.

https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/flattened
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_DEEPEST = 18  # objects inside each other; the limit of the index is 20
_LONGEST_NAME, _LONGEST_PATH = 256, 600  # characters
_INDEXED, _SURE = 8191, 7000  # characters: what is longer is not indexed; below, four bytes each and a path fit a term
_LONG = range(-(2**63), 2**63)


def flattened(value: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that a `flattened` field can hold; empty when nothing is left."""
    return _of_object(value, 1, 0)


def _of_object(value: Mapping[str, Any], depth: int, path: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, item in value.items():
        key = name[:_LONGEST_NAME].replace("\x00", "\N{REPLACEMENT CHARACTER}")
        kept = _of(item, depth, path + len(key) + 1)
        if kept is not None and key.strip():
            found[key] = kept
    return found


def _of(item: Any, depth: int, path: int) -> Any:
    kind = item.__class__
    if kind is str:
        return _fitted(item)
    if kind is dict:
        if depth >= _DEEPEST or path > _LONGEST_PATH:
            return _fitted(json.dumps(item)) if item else None
        return _of_object(item, depth + 1, path) or None
    if kind is list:
        return [kept for one in item if (kept := _of(one, depth, path)) is not None] or None
    if kind is int and item not in _LONG:
        return _fitted(str(item))
    return item


def _fitted(text: str) -> str | None:
    """The text, cut where it is short enough to be indexed and its bytes might not fit a term."""
    return (text[:_SURE] if _SURE < len(text) <= _INDEXED and not text.isascii() else text) or None
