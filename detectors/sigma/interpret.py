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
    Keyword,
    Not,
    Null,
    Or,
    Test,
    Text,
    Wild,
)
from detectors.sigma.fields import Fields
from detectors.sigma.values import passes, text_of


def holds(condition: Condition, fields: Fields) -> bool:
    """Whether an event satisfies a condition."""
    match condition:
        case And(parts):
            return all(holds(part, fields) for part in parts)
        case Or(parts):
            return any(holds(part, fields) for part in parts)
        case Not(part):
            return not holds(part, fields)
        case FieldMatch(field, test):
            return field_passes(fields.values(field), test, fields)
        case Keyword(test):
            wanted = _anywhere(test) if isinstance(test, Text) else test
            return any(passes(value, wanted) for value in fields.everything())


def field_passes(values: Sequence[Any], test: Test, fields: Fields) -> bool:
    """Whether a field with these values passes a test; `fields` resolves references to other fields."""
    match test:
        case Null():
            return all(value is None for value in values)
        case Exists(expected):
            return any(value is not None for value in values) is expected
        case FieldReference():
            others = fields.values(test.field)
            return any(_refers(mine, other, test) for mine in values for other in others)
        case _:
            return any(passes(value, test) for value in values)


def _refers(mine: Any, other: Any, test: FieldReference) -> bool:
    if mine is None or other is None:
        return False
    left, right = text_of(mine).lower(), text_of(other).lower()
    if test.starts and test.ends:
        return right in left
    if test.starts:
        return left.startswith(right)
    return left.endswith(right) if test.ends else left == right


def _anywhere(test: Text) -> Text:
    return Text((Wild.MANY, *test.parts, Wild.MANY), cased=test.cased)
