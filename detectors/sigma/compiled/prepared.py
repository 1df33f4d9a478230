"""The rules of one log source, each under what must be there for it to hold.

From cheap to dear: under a value of a key field (looked up once per key), under a test on a remembered field (once per
value), under a literal in the bytes (once per record), or nowhere, so that it is evaluated wherever its key leaves it
open. Lint calls the last kind expensive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from detectors.rule import Rule
from detectors.sigma.compiled.guards import Guard, Literals
from detectors.sigma.compiled.memo import Memo
from detectors.sigma.compiled.predicates import Predicate, ValueTest, predicate_of, value_test
from detectors.sigma.compiled.tree import (
    Decided,
    Holds,
    Known,
    Leaf,
    Naming,
    OneOf,
    Tree,
    fields_of,
    leaves,
    simplify,
    tree_of,
)
from detectors.sigma.compiled.witness import Weight, witness_of
from detectors.sigma.fields import Readable
from detectors.sigma.interpret import holds
from detectors.sigma.values import text_of

_TESTED = 1000.0  # a test that no table answers costs as much as this many rules under one value
RESTS_REMEMBERED: Final = 4096


@dataclass(slots=True)
class Candidate:
    """A rule and what is left of it for this log source.

    Attributes:
        number: Its place among the rules of the engine.
        tree: None when it can't be compiled: the interpreter evaluates it.
        check: The whole rule as a function.
    """

    number: int
    rule: Rule
    tree: Tree | None
    check: Predicate
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a key says about all rules.

    Attributes:
        sure: Rules that hold on every event with this key.
        open_: Rules that need more than the key, with what is left of them and its guard.
    """

    sure: tuple[int, ...]
    open_: tuple[tuple[int, Guard | None, Predicate], ...]


@dataclass(slots=True)
class Prepared:
    """Rules under their witnesses. Built once, never changed.

    Attributes:
        candidates: By number, the rules that can hold at all.
        exact: Key field → lower-cased text → rules.
        tested: Key field → tests with their rules.
        remembered: Other cheap field → tests with their rules.
        gated: Body → literal → rules.
        unwitnessed: Rules to be evaluated at every key.
        interpreted: Rules that could not be compiled.
        cheap: Fields whose values cost next to nothing.
        guards: Makes the guards of what is left of rules.
        rests: What was left of rules at some key → its guard and its function; many keys leave the same.
    """

    candidates: dict[int, Candidate] = field(default_factory=dict)
    exact: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    tested: dict[str, list[tuple[ValueTest, int]]] = field(default_factory=dict)
    remembered: dict[str, list[tuple[ValueTest, int]]] = field(default_factory=dict)
    gated: dict[str | None, dict[str, list[int]]] = field(default_factory=dict)
    unwitnessed: list[int] = field(default_factory=list)
    interpreted: list[int] = field(default_factory=list)
    cheap: frozenset[str] = frozenset()
    guards: Callable[[Tree], Guard | None] = lambda _tree: None
    rests: Memo[Tree, tuple[Guard | None, Predicate]] = field(default_factory=lambda: Memo(RESTS_REMEMBERED))

    def decide(self, known: Known) -> Decision:
        """Specialise the rules for a key.

        Args:
            known: Fields that the key tells, with their values.
        """
        sure: list[int] = []
        open_: list[tuple[int, Guard | None, Predicate]] = []
        for number in sorted({*self._witnessed(known), *self.unwitnessed}):
            candidate = self.candidates[number]
            if candidate.tree is None:
                open_.append((number, None, candidate.check))
                continue
            left = candidate.tree if candidate.fields.isdisjoint(known) else _tried(candidate.tree, known)
            if left is True:
                sure.append(number)
            elif left is not False:
                open_.append((number, *self._rest(left)))
        return Decision(tuple(sure), tuple(open_))

    def _rest(self, tree: Tree) -> tuple[Guard | None, Predicate]:
        """The guard and the function of what is left of a rule."""
        found = self.rests.young.get(tree) or self.rests.older(tree)
        if found is None:
            try:
                guard = self.guards(tree)
            except Exception:  # noqa: BLE001 - too deep, or a test that can't be made: the rule itself will tell
                guard = None
            found = guard, predicate_of(tree, self.cheap)
            self.rests.put(tree, found)
        return found

    def _witnessed(self, known: Known) -> Iterable[int]:
        for name, texts in self.exact.items():
            for value in known.get(name, ()):
                if value is not None:
                    yield from texts.get(text_of(value).lower(), ())
        for name, tests in self.tested.items():
            yield from witnessed_by(tests, known.get(name, ()))


def witnessed_by(tests: Sequence[tuple[ValueTest, int]], values: Iterable[Any]) -> Iterable[int]:
    """Rules of which a test passes one of the values; a test that raises makes its rule a candidate."""
    for value in values:
        if value is None:
            continue
        for test, number in tests:
            try:
                passed = test(value)
            except Exception:  # noqa: BLE001 - the rule itself will be evaluated, isolated and reported
                passed = True
            if passed:
                yield number


def _tried(tree: Tree, known: Known) -> Decided:
    """What is left of a tree; the tree itself when that raises, so that the event tells who is to blame."""
    try:
        return simplify(tree, known)
    except Exception:  # noqa: BLE001 - as above
        return tree


def prepare(
    rules: Iterable[tuple[int, Rule]],
    *,
    name_of: Naming,
    key_fields: Callable[[Sequence[Tree]], frozenset[str]],
    cheap: frozenset[str] = frozenset(),
    remembered: Callable[[str], bool],
    literals: Literals | None = None,
    guards: Callable[[Tree], Guard | None] = lambda _tree: None,
) -> Prepared:
    """Arrange rules.

    Args:
        rules: With their numbers.
        name_of: How the source of values calls a field.
        key_fields: Chooses the fields that keys tell, from the trees.
        cheap: Fields whose values cost next to nothing.
        remembered: Whether a field that no key tells may be a witness by its values.
        literals: What a leaf needs in the bytes; None when there are no bytes to search.
        guards: Makes the guard of a tree.
    """
    made = Prepared(cheap=cheap, guards=guards)
    trees: list[tuple[int, Rule, Tree]] = []
    for number, rule in rules:
        try:
            tree = tree_of(rule.condition, name_of)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, the oracle can still evaluate it
            _add_interpreted(made, number, rule)
            continue
        if tree is True:
            made.candidates[number] = Candidate(number, rule, None, lambda _event: True, frozenset())
            made.unwitnessed.append(number)
        elif tree is not False:
            trees.append((number, rule, tree))
    keys = key_fields([tree for _, _, tree in trees])
    weigh = _weight_on(keys, Counter(_exact_values(tree for _, _, tree in trees)))
    for number, rule, tree in trees:
        try:
            candidate = Candidate(number, rule, tree, predicate_of(tree, cheap), fields_of(tree))
            witnesses = _place(made, number, tree, weigh, remembered, literals)
        except Exception:  # noqa: BLE001 - as above
            _add_interpreted(made, number, rule)
            continue
        made.candidates[number] = candidate
        if not witnesses:
            made.unwitnessed.append(number)
    return made


def _add_interpreted(made: Prepared, number: int, rule: Rule) -> None:
    condition = rule.condition

    def check(event: Readable) -> bool:
        return holds(condition, event)

    made.candidates[number] = Candidate(number, rule, None, check, frozenset())
    made.unwitnessed.append(number)
    made.interpreted.append(number)


def _place(
    made: Prepared,
    number: int,
    tree: Tree,
    weigh: Weight,
    remembered: Callable[[str], bool],
    literals: Literals | None,
) -> bool:
    """Put a rule under its witnesses; False when it has none."""
    witness = witness_of(tree, weigh)
    if witness:
        for leaf in witness.leaves:
            _under_key(made, number, leaf)
        return True
    witness = witness_of(tree, lambda leaf: _memo_weight(leaf, remembered))
    if witness:
        for leaf in witness.leaves:
            test = value_test(leaf)
            assert test is not None
            assert isinstance(leaf, OneOf | Holds)
            made.remembered.setdefault(leaf.field, []).append((test, number))
        return True
    if literals is None:
        return False
    wanted = literals
    witness = witness_of(tree, lambda leaf: _literal_weight(wanted(leaf)))
    if witness is None:
        return False
    for leaf in witness.leaves:
        for body, literal in literals(leaf) or ():
            made.gated.setdefault(body, {}).setdefault(literal, []).append(number)
    return True


def _under_key(made: Prepared, number: int, leaf: Leaf) -> None:
    if isinstance(leaf, OneOf):
        texts = made.exact.setdefault(leaf.field, {})
        for text in leaf.texts:
            texts.setdefault(text, []).append(number)
        return
    test = value_test(leaf)
    assert test is not None
    assert isinstance(leaf, Holds)
    made.tested.setdefault(leaf.field, []).append((test, number))


def _exact_values(trees: Iterable[Tree]) -> Iterable[tuple[str, str]]:
    for tree in trees:
        for leaf in leaves(tree):
            if isinstance(leaf, OneOf):
                for text in leaf.texts:
                    yield leaf.field, text


def _weight_on(keys: frozenset[str], load: Mapping[tuple[str, str], int]) -> Weight:
    def weigh(leaf: Leaf) -> float | None:
        if isinstance(leaf, OneOf) and leaf.field in keys:
            return sum(load.get((leaf.field, text), 1) for text in leaf.texts)
        if isinstance(leaf, Holds) and leaf.field in keys and value_test(leaf) is not None:
            return _TESTED
        return None

    return weigh


def _memo_weight(leaf: Leaf, remembered: Callable[[str], bool]) -> float | None:
    if isinstance(leaf, OneOf | Holds) and remembered(leaf.field) and value_test(leaf) is not None:
        return 1.0
    return None


def _literal_weight(wanted: Sequence[tuple[str | None, str]] | None) -> float | None:
    if not wanted:
        return None
    return sum((1.0 if body else 3.0) / len(literal) for body, literal in wanted)
