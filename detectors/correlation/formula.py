"""Extended conditions (`a and not b`) as alternatives: which rules must match, which must not."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionNOT,
    CorrelationConditionOR,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)

from detectors.correlation.model import Alternative

MAX_ALTERNATIVES = 256
MAX_RULES = 32

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_WORDS = frozenset(("and", "or", "not"))
Literal = tuple[int, bool]
"""Position of a rule, whether it must match."""


def alternatives_of(expression: str, names: Sequence[str]) -> tuple[Alternative, ...]:
    """Read an extended condition.

    pySigma reads names of letters, digits and `_` only, so every name goes in as a plain one.

    Args:
        expression: The condition.
        names: Rules by their position; every name of the expression must be one.

    Raises:
        ValueError: It can't be evaluated; says why.
        SigmaError: pySigma can't read it.
    """
    plain = {name: f"rule_{place}" for place, name in enumerate(names)}
    parsed = SigmaExtendedCorrelationCondition(_NAME.sub(lambda m: _plain(m[0], plain), expression)).parsed
    signs: dict[int, set[bool]] = {}
    found = _expand(parsed, True, signs)
    both = [names[place] for place, seen in signs.items() if len(seen) > 1]
    if both:
        raise ValueError(f"{both[0]} stands both with and without `not`")
    kept = []
    for literals in dict.fromkeys(found):
        needs = tuple(sorted(place for place, sign in literals if sign))
        if not needs:
            raise ValueError("it can hold without any match; at least one rule has to stand without `not`")
        kept.append(Alternative(needs, tuple(sorted(place for place, sign in literals if not sign))))
    return tuple(kept)


def names_in(expression: str) -> list[str]:
    """The rules an extended condition names, in order."""
    return [name for name in dict.fromkeys(_NAME.findall(expression)) if name not in _WORDS]


def at_least(count: int, rules: int) -> tuple[Alternative, ...]:
    """Any `count` of the rules.

    Raises:
        ValueError: There are not as many rules, or too many choices.
    """
    if not 1 <= count <= rules:
        raise ValueError(f"{count} of {rules} rules can't match")
    choices = tuple(
        Alternative(needs)
        for needs in itertools.islice(itertools.combinations(range(rules), count), MAX_ALTERNATIVES + 1)
    )
    if len(choices) > MAX_ALTERNATIVES:
        raise ValueError(f"{count} of {rules} rules are more than {MAX_ALTERNATIVES} choices")
    return choices


def _plain(name: str, plain: Mapping[str, str]) -> str:
    if name in _WORDS:
        return name
    if name not in plain:
        raise ValueError(f"{name} is not in `rules`")
    return plain[name]


def _expand(node: Any, sign: bool, signs: dict[int, set[bool]]) -> list[frozenset[Literal]]:  # noqa: FBT001 - the sign of what stands under it
    """Disjunctive normal form of a part of the tree."""
    if isinstance(node, SigmaRuleReference):
        place = int(node.reference.removeprefix("rule_"))
        signs.setdefault(place, set()).add(sign)
        return [frozenset(((place, sign),))]
    if isinstance(node, CorrelationConditionNOT):
        return _expand(node.args[0], not sign, signs)
    if not isinstance(node, CorrelationConditionAND | CorrelationConditionOR):
        raise TypeError(f"{type(node).__name__} can't be evaluated")
    parts = [_expand(part, sign, signs) for part in node.args]
    if isinstance(node, CorrelationConditionAND) is not sign:  # an `or`, or an `and` under `not`
        return [literals for part in parts for literals in part]
    total = 1
    for part in parts:
        total *= len(part)
    if total > MAX_ALTERNATIVES:
        raise ValueError(f"it has more than {MAX_ALTERNATIVES} alternatives")
    return [frozenset().union(*chosen) for chosen in itertools.product(*parts)]
