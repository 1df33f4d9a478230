"""Dropping what says nothing: nulls, empty texts, empty maps and lists, recursively.

Done before mapping, as Elastic's pipeline does: an absent `errorCode` and an empty one must give the same document.
Zero and false stay: they are values. An integer beyond 64 bits becomes text: no index holds it as a number, and JSON
writers refuse it.
"""

from __future__ import annotations

from typing import Any

_LEAST, _MOST = -(2**63), 2**63 - 1


def prune(value: dict[str, Any]) -> dict[str, Any]:
    """A copy of an object without the parts that are null or empty, or become so; the input stays as it is."""
    kept: dict[str, Any] = {}
    for key, item in value.items():
        kind = item.__class__
        if kind is str:
            if item:
                kept[key] = item
        elif kind is dict or kind is list:
            pruned = prune(item) if kind is dict else _pruned_list(item)
            if pruned:
                kept[key] = pruned
        elif item is not None:
            kept[key] = item if kind is not int or _LEAST <= item <= _MOST else str(item)
    return kept


def _pruned_list(items: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for item in items:
        kind = item.__class__
        if kind is dict or kind is list:
            pruned = prune(item) if kind is dict else _pruned_list(item)
            if pruned:
                kept.append(pruned)
        elif item is not None and item != "":
            kept.append(item if kind is not int or _LEAST <= item <= _MOST else str(item))
    return kept
