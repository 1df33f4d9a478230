"""Trees as closures over an event: what is left of a rule when the index has done its work."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from detectors.sigma.ast import Cidr, Exists, FieldReference, Regex, Text, Wild
from detectors.sigma.compiled.memo import LONGEST_TEXT, Memo
from detectors.sigma.compiled.tree import All, Anywhere, Holds, Leaf, No, OneOf, Some, Tree, needs_value
from detectors.sigma.fields import Readable
from detectors.sigma.interpret import field_passes, holds
from detectors.sigma.values import matches_text, passes, pieces_of, text_of

Predicate = Callable[[Readable], bool]
ValueTest = Callable[[Any], bool]
"""Whether one value passes; never called with null."""

REMEMBERED_TESTS = 4096  # regular expressions and networks that remember at all
REMEMBERED_TEXTS = 256  # texts whose result each of them keeps, per generation


def predicate_of(tree: Tree, cheap: frozenset[str] = frozenset()) -> Predicate:
    """A tree as one function.

    Args:
        tree: The tree.
        cheap: Fields whose values cost next to nothing; tests on them go first.
    """
    if isinstance(tree, All):
        return every([predicate_of(part, cheap) for part in _cheap_first(tree.parts, cheap)])
    if isinstance(tree, Some):
        return some([predicate_of(part, cheap) for part in _cheap_first(tree.parts, cheap)])
    if isinstance(tree, No):
        inner = predicate_of(tree.part, cheap)
        return lambda event: not inner(event)
    return _leaf(tree)


def value_test(leaf: Leaf) -> ValueTest | None:
    """A leaf as a test of one value of its field; None when a single value does not decide it."""
    if isinstance(leaf, OneOf):
        texts = leaf.texts
        return lambda value: (value if value.__class__ is str else text_of(value)).lower() in texts
    if isinstance(leaf, Anywhere) or not needs_value(leaf) or isinstance(leaf.test, FieldReference):
        return None
    test: Any = leaf.test
    if isinstance(test, Text):
        return _text_test(test)
    if isinstance(test, Regex | Cidr):
        return _remembering(test)
    return lambda value: passes(value, test)


def _cheap_first(parts: Sequence[Tree], cheap: frozenset[str]) -> list[Tree]:
    return sorted(parts, key=lambda part: _cost(part, cheap))


def _cost(tree: Tree, cheap: frozenset[str]) -> int:
    if isinstance(tree, OneOf):
        return 0 if tree.field in cheap else 10
    if isinstance(tree, Holds):
        return 1 if tree.field in cheap else 11
    if isinstance(tree, Anywhere):
        return 100
    if isinstance(tree, No):
        return _cost(tree.part, cheap)
    return max(_cost(part, cheap) for part in tree.parts)


def every(parts: Sequence[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    """Whether all parts hold; they are asked from left to right."""
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:  # noqa: PLR2004 - the commonest number, without a loop
        first, second = parts
        return lambda event: first(event) and second(event)

    def check(event: Any) -> bool:
        for part in parts:  # noqa: SIM110 - loops take half the time of all() and any() here
            if not part(event):
                return False
        return True

    return check


def some(parts: Sequence[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    """Whether a part holds; they are asked from left to right."""
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:  # noqa: PLR2004 - as above
        first, second = parts
        return lambda event: first(event) or second(event)

    def check(event: Any) -> bool:
        for part in parts:  # noqa: SIM110 - as above
            if part(event):
                return True
        return False

    return check


def _leaf(leaf: Leaf) -> Predicate:
    if isinstance(leaf, Anywhere):
        keyword = leaf.keyword
        return lambda event: holds(keyword, event)
    field, test = leaf.field, value_test(leaf)
    if test is None:
        assert isinstance(leaf, Holds)
        whole = leaf.test
        if isinstance(whole, Exists):
            expected = whole.expected
            return lambda event: event.has(field) is expected
        return lambda event: field_passes(event.values(field), whole, event)
    each = test

    def check(event: Readable) -> bool:
        for value in event.values(field):  # noqa: SIM110 - as above
            if value is not None and each(value):
                return True
        return False

    return check


def _text_test(test: Text) -> ValueTest:
    """The commonest patterns without the general matcher: `*`, `a*`, `*a`, `*a*`."""
    pieces = pieces_of(test)
    cased = test.cased
    plain = [piece for piece in pieces if isinstance(piece, str)]
    if len(plain) != len(pieces) or any(part is Wild.ONE for part in test.parts):
        return lambda value: matches_text(text_of(value), test)
    match plain:
        case ["", ""]:
            return lambda _value: True
        case ["", piece, ""]:
            check: Callable[[str], bool] = lambda text: piece in text  # noqa: E731 - one of a row of forms
        case ["", piece]:
            check = lambda text: text.endswith(piece)  # noqa: E731 - as above
        case [piece, ""]:
            check = lambda text: text.startswith(piece)  # noqa: E731 - as above
        case [piece]:
            check = lambda text: text == piece  # noqa: E731 - as above
        case _:
            return lambda value: matches_text(text_of(value), test)
    if cased:
        return lambda value: check(text_of(value))
    return lambda value: check((value if value.__class__ is str else text_of(value)).lower())


@functools.lru_cache(maxsize=REMEMBERED_TESTS)
def _remembering(test: Regex | Cidr) -> ValueTest:
    """A test that keeps its answers on short texts; one for all rules and keys, or every key would keep its own."""
    memo: Memo[str, bool] = Memo(REMEMBERED_TEXTS)
    young = memo.young.get

    def check(value: Any) -> bool:
        if value.__class__ is not str or len(value) > LONGEST_TEXT:
            return passes(value, test)
        found = young(value)
        if found is None:
            found = memo.older(value)
        if found is None:
            found = passes(value, test)
            memo.put(value, found)
        return found

    return check
