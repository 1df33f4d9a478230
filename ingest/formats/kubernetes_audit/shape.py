"""Which parts of a request or response body go into the document, as one table for mapping and registry.

Bodies are whole API objects of any kind; writing all of them would make thousands of fields. The table lists what rules
and people ask for, everything else stays in `event.original`. It says both what is copied and what is registered, so
that the two can't differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ingest.parsing.scalars import boolean_of, long_of, text_of
from ingest.schema.fields import Field, FieldType

_READERS: dict[FieldType, Callable[[Any], Any]] = {
    "keyword": text_of,
    "name": text_of,
    "wildcard": text_of,
    "long": long_of,
    "boolean": boolean_of,
}


class Shape:
    """A tree of wanted names; its leaves are fields.

    Attributes:
        fields: The registered fields, below the prefix given.
    """

    def __init__(self, prefix: str, rows: str) -> None:
        """Read a table.

        Args:
            prefix: Path of the tree in the document, with its dot at the end.
            rows: A line each: `path type meaning`.
        """
        self.fields: list[Field] = []
        self._tree: dict[str, Any] = {}
        for row in filter(str.strip, rows.splitlines()):
            path, type_, meaning = row.split(None, 2)
            kind: FieldType = next(known for known in _READERS if known == type_)
            self.fields.append(Field(prefix + path, kind, meaning.strip()))
            *parents, leaf = path.split(".")
            node = self._tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = _READERS[kind]

    def pick(self, body: Any) -> dict[str, Any]:
        """The wanted part of an object: lists on the way are entered, what is empty or of a wrong type is left out."""
        return _pick(self._tree, body) if body.__class__ is dict else {}


def _pick(tree: Mapping[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in body.items():
        below = tree.get(name)
        if below is None or value is None:
            continue
        picked: Any
        if below is text_of and value.__class__ is str:
            picked = value or None
        elif below.__class__ is dict:
            picked = _pick_each(below, value)
        elif value.__class__ is list:
            picked = _read_each(below, value)
        else:
            picked = below(value)
        if picked is not None:
            found[name] = picked
    return found


def _read_each(read: Callable[[Any], Any], items: list[Any]) -> list[Any] | None:
    if read is text_of and all(item.__class__ is str and item for item in items):
        return items[:] or None
    return [found for item in items if (found := read(item)) is not None] or None


def _pick_each(tree: Mapping[str, Any], value: Any) -> Any:
    if value.__class__ is dict:
        return _pick(tree, value) or None
    if value.__class__ is list:
        return [picked for item in value if item.__class__ is dict and (picked := _pick(tree, item))] or None
    return None
