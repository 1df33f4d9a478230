"""Finds the values of a field in an event, under whatever name a rule calls it.

Order of the places; the first one where the field stands decides, even if its value there is null:

1. the vendor's tree, spelled exactly;
2. the format's alias for this name (a path in the vendor's tree or in the ECS document);
3. the ECS document, spelled exactly;
4. the vendor's tree, then the ECS document, ignoring the case of names (vendors change it with the channel).

A dotted name is a path over nested maps and over keys that contain dots themselves (`authorization.k8s.io/decision`);
a list on the way means any of its elements, or the one whose number the path gives. Lists of values are flattened.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from ingest.formats.contract import View

_Keys = Callable[[Mapping[str, Any], str], Iterable[Any]]


class Readable(Protocol):
    """What a condition is evaluated on."""

    def values(self, name: str) -> tuple[Any, ...]:
        """Every value of the field, nulls included; empty when it is absent or an empty list."""
        ...

    def has(self, name: str) -> bool:
        """Whether the field is there, even if it is null or an empty list."""
        ...

    def everything(self) -> Iterator[Any]:
        """Every scalar of the vendor's tree (names of fields and nulls are not values)."""
        ...


class Fields:
    """The fields of one event; remembers what it has looked up."""

    __slots__ = ("_aliases", "_folded", "_found", "_view")

    def __init__(self, view: View, aliases: Mapping[str, str]) -> None:
        self._view = view
        self._aliases = aliases
        self._found: dict[str, tuple[Any, ...]] = {}
        self._folded: dict[int, dict[str, list[str]]] = {}

    def values(self, name: str) -> tuple[Any, ...]:
        """Every value of the field, nulls included; empty when it is absent or an empty list."""
        known = self._found.get(name)
        if known is None:
            known = self._found[name] = tuple(self._look(name) or ())
        return known

    def has(self, name: str) -> bool:
        """Whether the field is there, even if it is null or an empty list."""
        return bool(self.values(name)) or self._look(name) is not None

    def everything(self) -> Iterator[Any]:
        """Every scalar of the vendor's tree (names of fields and nulls are not values)."""
        pending: list[Any] = [self._view.vendor]
        while pending:
            node = pending.pop()
            if isinstance(node, Mapping):
                pending.extend(node.values())
            elif isinstance(node, list | tuple):
                pending.extend(node)
            elif node is not None:
                yield node

    def _look(self, name: str) -> list[Any] | None:
        """Every value of the field; None when it is nowhere."""
        alias = self._aliases.get(name)
        exact: tuple[tuple[Mapping[str, Any], str], ...] = (
            (self._view.vendor, name),
            *(((self._view.vendor, alias), (self._view.ecs, alias)) if alias else ()),
            (self._view.ecs, name),
        )
        for tree, path in exact:
            found = _walk(tree, _steps(path), 0, _exactly)
            if found is not None:
                return found
        folded = _steps(name.lower())
        for tree in (self._view.vendor, self._view.ecs):
            found = _walk(tree, folded, 0, self._ignoring_case)
            if found is not None:
                return found
        return None

    def _ignoring_case(self, node: Mapping[str, Any], key: str) -> Iterable[Any]:
        folded = self._folded.get(id(node))
        if folded is None:
            folded = self._folded[id(node)] = {}
            for name in node:
                folded.setdefault(str(name).lower(), []).append(name)
        return [node[name] for name in folded.get(key, ())]


Steps = tuple[tuple[tuple[str, int], ...], ...]
"""Of a path, for each part: the keys that may stand there (it alone, it and the next, …) and the part after each."""


@functools.lru_cache(maxsize=65536)
def _steps(path: str) -> Steps:
    parts = path.split(".")
    ends = range(1, len(parts) + 1)
    return tuple(tuple((".".join(parts[start:end]), end) for end in ends if end > start) for start in range(len(parts)))


def _exactly(node: Mapping[str, Any], key: str) -> Iterable[Any]:
    return (node[key],) if key in node else ()


def _walk(node: Any, steps: Steps, start: int, keys: _Keys) -> list[Any] | None:
    """The values at the rest of a path below `node`, or None when there is no such place."""
    if start == len(steps):
        return _flat(node)
    if isinstance(node, Mapping):
        below = [(child, end) for key, end in steps[start] for child in keys(node, key)]
    elif isinstance(node, list | tuple):
        below = [(element, start) for element in _flat(node)]
        number = steps[start][0][0]
        if number.isdecimal() and int(number[:9]) < len(node):
            below.append((node[int(number[:9])], start + 1))
    else:
        return None
    found: list[Any] | None = None
    for child, end in below:
        more = _walk(child, steps, end, keys)
        if more is not None:
            found = more if found is None else [*found, *more]
    return found


def _flat(value: Any) -> list[Any]:
    """A value as the list of its elements, lists in lists opened."""
    if not isinstance(value, list | tuple):
        return [value]
    found: list[Any] = []
    pending = list(reversed(value))
    while pending:
        element = pending.pop()
        if isinstance(element, list | tuple):
            pending.extend(reversed(element))
        else:
            found.append(element)
    return found
