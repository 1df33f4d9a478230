"""What must hold of a decoded record for the rest of a rule to hold: told without parsing anything.

A guard may let a record through on which the rule does not hold, never the other way round. Tests on decoded values are
exact; of a body it asks whether a text is in its bytes without which the rule can't hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from detectors.sigma.ast import Exists, FieldReference
from detectors.sigma.compiled.literals import bypasses
from detectors.sigma.compiled.predicates import every, some, value_test
from detectors.sigma.compiled.shape import Getter
from detectors.sigma.compiled.tree import All, Anywhere, Holds, Leaf, No, OneOf, Some, Tree
from detectors.sigma.interpret import field_passes

Guard = Callable[[Any], bool]
"""From a decoded record to whether the rest of a rule may hold; may raise what a test of the rule raises."""
Literals = Callable[[Leaf], "Sequence[tuple[str | None, str]] | None"]
"""Of a leaf: the body to search (None: the whole record) and the literal, for each; None when there are none."""


class Guards:
    """Makes guards for the records of a shape."""

    def __init__(self, getters: Mapping[str, Getter], certain: frozenset[str], literals: Literals) -> None:
        """Make none yet.

        Args:
            getters: Field → its values in a decoded record, None where the record does not tell.
            certain: Paths of decoded values, under which rules name them here.
            literals: What a leaf needs in which body.
        """
        self._getters = getters
        self._certain = certain
        self._literals = literals

    def of(self, tree: Tree) -> Guard | None:
        """The guard of a tree; None when there is no telling."""
        if isinstance(tree, All):
            guards = [guard for part in tree.parts if (guard := self.of(part))]
            return every(guards) if guards else None
        if isinstance(tree, Some):
            guards = [guard for part in tree.parts if (guard := self.of(part))]
            return some(guards) if len(guards) == len(tree.parts) else None
        if isinstance(tree, No):
            inner = self._exact(tree.part)
            return (lambda event: not inner(event)) if inner else None
        return self._exact(tree) or self._on_values(tree) or self._on_bytes(tree)

    def _exact(self, tree: Tree) -> Guard | None:
        """Whether a tree holds, where decoded values alone say so."""
        if isinstance(tree, All | Some):
            parts = [guard for part in tree.parts if (guard := self._exact(part))]
            if len(parts) < len(tree.parts):
                return None
            return every(parts) if isinstance(tree, All) else some(parts)
        if isinstance(tree, No):
            inner = self._exact(tree.part)
            return (lambda event: not inner(event)) if inner else None
        if isinstance(tree, Anywhere) or tree.field not in self._certain:
            return None
        return self._on_value(tree)

    def _on_value(self, leaf: OneOf | Holds) -> Guard | None:
        """A test on a field that has one decoded value or none."""
        get, test = attrgetter(leaf.field), value_test(leaf)
        if test is not None:
            each = test
            return lambda event: (value := get(event)) is not None and each(value)
        if isinstance(leaf, OneOf) or isinstance(leaf.test, FieldReference | Exists):
            return None  # a decoded record does not tell null from absent
        whole = leaf.test
        return lambda event: field_passes(() if (value := get(event)) is None else (value,), whole, _NOTHING)

    def _on_values(self, leaf: Leaf) -> Guard | None:
        if isinstance(leaf, Anywhere) or leaf.field not in self._getters:
            return None
        get, test = self._getters[leaf.field], value_test(leaf)
        if isinstance(leaf, Holds) and leaf.test == Exists(expected=False):
            return lambda event: not get(event)
        if test is not None:
            each = test
            return lambda event: (
                (values := get(event)) is None or any(value is not None and each(value) for value in values)
            )
        if isinstance(leaf, OneOf) or isinstance(leaf.test, FieldReference | Exists):
            return None
        whole = leaf.test
        return lambda event: (values := get(event)) is None or field_passes(values, whole, _NOTHING)

    def _on_bytes(self, leaf: Leaf) -> Guard | None:
        found = self._literals(leaf)
        if not found or any(body is None for body, _ in found):
            return None
        bodies = tuple({body for body, _ in found if body})
        if len(bodies) > 1:
            return None
        get, wanted = attrgetter(bodies[0]), tuple(literal.encode() for _, literal in found)

        def check(event: Any) -> bool:
            written = bytes(get(event))
            lowered = written.lower()
            return any(literal in lowered for literal in wanted) or bypasses(written)

        return check


class _Nothing:
    """Stands for the other fields of an event in tests that read none."""

    def has(self, _name: str) -> bool:
        return False

    def values(self, _name: str) -> tuple[Any, ...]:
        return ()

    def everything(self) -> Any:
        return iter(())


_NOTHING = _Nothing()
