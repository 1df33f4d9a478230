"""The condition of a rule as a small immutable tree: what pySigma parsed, freed of pySigma.

Inner nodes are `And`, `Or`, `Not`; leaves are `FieldMatch` (a test on the values of one field) and `Keyword` (a test on
every value of the event). Everything that Sigma's modifiers expand to (base64 offsets, dashes, placeholders) is already
an `Or` of plain tests here, so an engine has to know only the tests below. What each test means is written down in
`detectors/sigma/values.py`; every engine must agree with `detectors/sigma/interpret.py`.

Specification: https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Literal


class Wild(Enum):
    """A wildcard inside a text pattern."""

    MANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Text:
    """Text with wildcards, compared as a whole; letter case counts only when `cased`."""

    parts: tuple[str | Wild, ...]
    cased: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """Equal to a number, or to a text that spells it."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Boolean:
    """Equal to a boolean, or to a text that spells it."""

    value: bool


@dataclass(frozen=True, slots=True)
class Null:
    """The field is absent, null, or an empty list."""


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there (or, when `expected` is false, is not), whatever its value: empty and null count."""

    expected: bool


@dataclass(frozen=True, slots=True)
class Regex:
    """A part of the text matches an RE2 pattern; `flags` is a sorted selection of `ims`."""

    pattern: str
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Cidr:
    """The text is an IP address inside a network."""

    network: str


Order = Literal["=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Compare:
    """The number is smaller or larger than another."""

    order: Order
    value: int | float


TimeUnit = Literal["minute", "hour", "day", "week", "month", "year"]


@dataclass(frozen=True, slots=True)
class TimePart:
    """A part of a time (UTC) compares to a number."""

    unit: TimeUnit
    order: Order
    value: int | float


@dataclass(frozen=True, slots=True)
class FieldReference:
    """The text equals (or begins with, ends with, contains) the text of another field of the same event.

    Letter case counts only when `cased`.
    """

    field: str
    starts: bool = False
    ends: bool = False
    cased: bool = False


Test = Text | Number | Boolean | Null | Exists | Regex | Cidr | Compare | TimePart | FieldReference


@dataclass(frozen=True, slots=True)
class FieldMatch:
    """Any value of the field passes the test."""

    field: str
    test: Test


@dataclass(frozen=True, slots=True)
class Keyword:
    """Any value of the event, wherever it stands, passes the test."""

    test: Text | Number | Boolean | Regex


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition


Condition = And | Or | Not | FieldMatch | Keyword


def leaves(condition: Condition) -> Iterator[FieldMatch | Keyword]:
    """Every leaf of the tree, from left to right."""
    match condition:
        case And(parts) | Or(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case _:
            yield condition


def fields_of(condition: Condition) -> frozenset[str]:
    """Names of all fields the tree reads, those of field references included."""
    found = set()
    for leaf in leaves(condition):
        if isinstance(leaf, FieldMatch):
            found.add(leaf.field)
            if isinstance(leaf.test, FieldReference):
                found.add(leaf.test.field)
    return frozenset(found)
