"""The plain evaluator: walks the tree of a rule over one event. Slow, obviously correct, the oracle of every engine.

A field test holds when any value of the field passes; so `not` over it means that no value passes, and on an absent
field the inner test is false and its `not` true. A keyword holds when any value of the event contains its text (numbers
and booleans: equals); field names are not searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detectors.sigma.ast import (
    And,
    Condition,
    Exists,
    FieldMatch,
    FieldReference,
    Not,
    Null,
    Or,
    Test,
    Text,
    Wild,
)
from detectors.sigma.fields import Readable
from detectors.sigma.values import passes, text_of


def holds(condition: Condition, fields: Readable) -> bool:
    """Whether an event satisfies a condition."""
    if isinstance(condition, FieldMatch):
        if isinstance(condition.test, Exists):
            return fields.has(condition.field) is condition.test.expected
        return field_passes(fields.values(condition.field), condition.test, fields)
    if isinstance(condition, And):
        for part in condition.parts:  # noqa: SIM110 - loops take half the time of all() and any() here
            if not holds(part, fields):
                return False
        return True
    if isinstance(condition, Or):
        for part in condition.parts:  # noqa: SIM110 - loops take half the time of all() and any() here
            if holds(part, fields):
                return True
        return False
    if isinstance(condition, Not):
        return not holds(condition.part, fields)
    wanted = _anywhere(condition.test) if isinstance(condition.test, Text) else condition.test
    return any(passes(value, wanted) for value in fields.everything())


def field_passes(values: Sequence[Any], test: Test, fields: Readable) -> bool:
    """Whether a field with these values passes a test other than `Exists`; `fields` resolves references to others."""
    if isinstance(test, Null):
        return all(value is None for value in values)
    if isinstance(test, FieldReference):
        others = fields.values(test.field)
        return any(_refers(mine, other, test) for mine in values for other in others)
    assert not isinstance(test, Exists), "whether a field is there is no question to its values"
    for value in values:  # noqa: SIM110 - as above
        if passes(value, test):
            return True
    return False


def _refers(mine: Any, other: Any, test: FieldReference) -> bool:
    if mine is None or other is None:
        return False
    left, right = text_of(mine), text_of(other)
    if not test.cased:
        left, right = left.lower(), right.lower()
    if test.starts and test.ends:
        return right in left
    if test.starts:
        return left.startswith(right)
    return left.endswith(right) if test.ends else left == right


def _anywhere(test: Text) -> Text:
    return Text((Wild.MANY, *test.parts, Wild.MANY), cased=test.cased)
