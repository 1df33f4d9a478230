"""What must be there for a rule to hold: the leaves of which at least one has to.

A rule is looked at only when one of its witnesses holds. Which leaves may serve, and how much each costs, is the
caller's business; the cheapest choice is made here: of an `All` its best part, of a `Some` all parts together, of a
`No` nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from detectors.sigma.compiled.tree import All, Leaf, No, Some, Tree, needs_field

Weight = Callable[[Leaf], float | None]
"""Cost of a leaf as a witness; None when it can't be one."""


class Witness(NamedTuple):
    """Leaves of which at least one holds whenever the rule does, and what looking at them costs."""

    leaves: tuple[Leaf, ...]
    cost: float


def witness_of(tree: Tree, weight: Weight) -> Witness | None:
    """The cheapest witness of a tree; None when it has none."""
    if isinstance(tree, All):
        found = [each for part in tree.parts if (each := witness_of(part, weight))]
        return min(found, key=lambda each: each.cost) if found else None
    if isinstance(tree, Some):
        parts = [witness_of(part, weight) for part in tree.parts]
        if not all(parts):
            return None
        return Witness(
            tuple(leaf for part in parts if part for leaf in part.leaves), sum(part.cost for part in parts if part)
        )
    if isinstance(tree, No) or not needs_field(tree):
        return None
    cost = weight(tree)
    return None if cost is None else Witness((tree,), cost)
