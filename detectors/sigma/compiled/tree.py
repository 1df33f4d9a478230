"""A rule's condition as the compiled engine works with it.

Like `detectors/sigma/ast.py`, but parts whose truth is known are gone, many exact texts for one field are one look into
a set (`OneOf`), and fields have the name under which the source of values knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from detectors.sigma.ast import (
    And,
    Condition,
    Exists,
    FieldMatch,
    FieldReference,
    Keyword,
    Not,
    Null,
    Or,
    Test,
    Text,
    Wild,
)
from detectors.sigma.interpret import field_passes
from detectors.sigma.values import pieces_of, text_of


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class No:
    """The part does not hold."""

    part: Tree


@dataclass(frozen=True, slots=True)
class OneOf:
    """The lower-cased text of a value of the field is in a set."""

    field: str
    texts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Holds:
    """A value of the field passes another test."""

    field: str
    test: Test


@dataclass(frozen=True, slots=True)
class Anywhere:
    """A value of the event passes the test of a keyword."""

    keyword: Keyword


Leaf = OneOf | Holds | Anywhere
Tree = All | Some | No | Leaf
ANY_VALUE = Text((Wild.MANY,))
"""What every value passes that is not null."""

Decided = Tree | bool
"""A tree, or its truth where that is known."""

Known = Mapping[str, tuple[Any, ...]]
"""Fields whose values are known, with all of them."""

Naming = Callable[[str], str | None]
"""The name under which the source of values knows a field; None when no event can have it."""


def tree_of(condition: Condition, name_of: Naming) -> Decided:
    """A condition as a tree, fields that no event can have decided."""
    match condition:
        case And(parts):
            return both(tree_of(part, name_of) for part in parts)
        case Or(parts):
            return either(tree_of(part, name_of) for part in parts)
        case Not(part):
            return opposite(tree_of(part, name_of))
        case Keyword():
            return Anywhere(condition)
        case FieldMatch(field, test):
            return _leaf_of(field, test, name_of)


def _leaf_of(field: str, test: Test, name_of: Naming) -> Decided:
    name = name_of(field)
    if isinstance(test, FieldReference):
        other = name_of(test.field)
        if name is None or other is None:
            return False  # absent on either side is false
        return Holds(name, replace(test, field=other))
    if name is None and isinstance(test, Exists):
        return not test.expected
    if name is None:
        return field_passes((), test, _Values({}))
    if isinstance(test, Text) and not test.cased:
        pieces = pieces_of(test)
        if len(pieces) == 1 and isinstance(pieces[0], str):
            return OneOf(name, frozenset(pieces))  # type: ignore[arg-type]
    return Holds(name, test)


def both(parts: Iterable[Decided]) -> Decided:
    """What holds when every part does."""
    kept: list[Tree] = []
    for part in parts:
        if part is False:
            return False
        if part is not True:
            kept.extend(part.parts if isinstance(part, All) else (part,))
    return _single(kept) or (All(tuple(kept)) if kept else True)


def either(parts: Iterable[Decided]) -> Decided:
    """What holds when some part does; exact texts of one field become one set."""
    kept: list[Tree] = []
    sets: dict[str, set[str]] = {}
    for part in parts:
        if part is True:
            return True
        if part is False:
            continue
        for each in part.parts if isinstance(part, Some) else (part,):
            if isinstance(each, OneOf):
                sets.setdefault(each.field, set()).update(each.texts)
            else:
                kept.append(each)
    kept.extend(OneOf(field, frozenset(texts)) for field, texts in sets.items())
    return _single(kept) or (Some(tuple(kept)) if kept else False)


def opposite(part: Decided) -> Decided:
    """What holds when the part does not; of whether there is a value, or a field, that is a leaf, too."""
    if isinstance(part, bool):
        return not part
    if isinstance(part, Holds) and isinstance(part.test, Null):
        return Holds(part.field, ANY_VALUE)
    if isinstance(part, Holds) and isinstance(part.test, Exists):
        return Holds(part.field, Exists(not part.test.expected))
    return part.part if isinstance(part, No) else No(part)


def _single(parts: list[Tree]) -> Tree | None:
    return parts[0] if len(parts) == 1 else None


def simplify(tree: Tree, known: Known) -> Decided:
    """What is left of a tree when the values of some fields are known."""
    if isinstance(tree, OneOf):
        values = known.get(tree.field)
        if values is None:
            return tree
        return any(value is not None and text_of(value).lower() in tree.texts for value in values)
    if isinstance(tree, All):
        return both(simplify(part, known) for part in tree.parts)
    if isinstance(tree, Some):
        return either(simplify(part, known) for part in tree.parts)
    if isinstance(tree, No):
        return opposite(simplify(tree.part, known))
    if isinstance(tree, Anywhere) or tree.field not in known:
        return tree
    if isinstance(tree.test, Exists):
        return tree.test.expected if known[tree.field] else tree  # no value may be null or absent
    if isinstance(tree.test, FieldReference) and tree.test.field not in known:
        return tree
    return field_passes(known[tree.field], tree.test, _Values(known))


def leaves(tree: Tree) -> Iterator[Leaf]:
    """Every leaf, from left to right."""
    if isinstance(tree, All | Some):
        for part in tree.parts:
            yield from leaves(part)
    elif isinstance(tree, No):
        yield from leaves(tree.part)
    else:
        yield tree


def fields_of(tree: Tree) -> frozenset[str]:
    """Every field it reads; keywords read all and are not counted."""
    found = set()
    for leaf in leaves(tree):
        if isinstance(leaf, OneOf | Holds):
            found.add(leaf.field)
        if isinstance(leaf, Holds) and isinstance(leaf.test, FieldReference):
            found.add(leaf.test.field)
    return frozenset(found)


def needs_value(leaf: Leaf) -> bool:
    """Whether the leaf can hold only when a value is there that is not null."""
    return not (isinstance(leaf, Holds) and isinstance(leaf.test, Null | Exists))


def needs_field(leaf: Leaf) -> bool:
    """Whether the leaf can hold only when its field is there, even if it is null or an empty list."""
    return needs_value(leaf) or (isinstance(leaf, Holds) and leaf.test == Exists(expected=True))


class _Values:
    """Known values in the form that the interpreter reads."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def values(self, name: str) -> tuple[Any, ...]:
        return self._known.get(name, ())

    def has(self, name: str) -> bool:
        return bool(self._known.get(name))

    def everything(self) -> Iterator[Any]:
        return iter(())
