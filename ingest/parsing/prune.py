"""Dropping what says nothing: nulls, empty texts, empty maps and lists, recursively.

Done before mapping, as Elastic's pipeline does: an absent `errorCode` and an empty one must give the same document.
Zero and false stay: they are values.
"""

from __future__ import annotations

from typing import Any


def prune(value: dict[str, Any]) -> dict[str, Any]:
    """A copy of an object without the parts that are null or empty, or become so; the input stays as it is."""
    kept: dict[str, Any] = {}
    for key, item in value.items():
        kind = item.__class__
        if kind is dict:
            pruned: Any = prune(item)
        elif kind is list:
            pruned = _pruned_list(item)
        else:
            pruned = item
        if pruned or pruned is False or (pruned is not None and kind in (int, float)):
            kept[key] = pruned
    return kept


def _pruned_list(items: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for item in items:
        kind = item.__class__
        if kind is dict:
            pruned: Any = prune(item)
        elif kind is list:
            pruned = _pruned_list(item)
        else:
            pruned = item
        if pruned or pruned is False or (pruned is not None and kind in (int, float)):
            kept.append(pruned)
    return kept
