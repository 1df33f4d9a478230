"""Finds values that satisfy the condition of a rule: which fields must hold what, one way after the other. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from detectors.sigma.ast import (
    And,
    Boolean,
    Cidr,
    Compare,
    Condition,
    Exists,
    FieldMatch,
    FieldReference,
    Keyword,
    Not,
    Null,
    Number,
    Or,
    Regex,
    Test,
    Text,
    Wild,
)

WAYS = 200  # tried per rule
_FILLER = "x"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A field and a value that it must have.

    Attributes:
        field: As the rule names it; "" for a value that may stand anywhere.
        value: What satisfies the test.
        begins: Whether the text must begin with it; `ends` alike.
    """

    field: str
    value: Any
    begins: bool = True
    ends: bool = True


class Unsolved(Exception):
    """A test for which nobody here knows a value."""


def ways(condition: Condition) -> Iterator[tuple[Wanted, ...]]:
    """Sets of values, each of which may satisfy the condition; whether it does is for an engine to say.

    What must not hold is left out of the event.

    Raises:
        Unsolved: No value is known for a test that must hold.
    """
    yield from itertools.islice(_holds(condition), WAYS)


def _holds(condition: Condition) -> Iterator[tuple[Wanted, ...]]:
    match condition:
        case And(parts):
            for chosen in _product([_holds(part) for part in parts]):
                yield tuple(dict.fromkeys(itertools.chain.from_iterable(chosen)))
        case Or(parts):
            for part in parts:
                yield from _holds(part)
        case Not(part):
            yield from _fails(part)
        case FieldMatch(field, test):
            yield _wanted(field, test)
        case Keyword(test):
            yield _wanted("", test)


def _fails(condition: Condition) -> Iterator[tuple[Wanted, ...]]:
    match condition:
        case Not(part):
            yield from _holds(part)
        case FieldMatch(field, Null() | Exists(False)):
            yield (Wanted(field, _FILLER),)
        case Or(parts):
            for chosen in _product([_fails(part) for part in parts]):
                yield tuple(dict.fromkeys(itertools.chain.from_iterable(chosen)))
        case And(parts):
            for part in parts:
                yield from _fails(part)
        case _:
            yield ()


def _product(choices: Sequence[Iterator[tuple[Wanted, ...]]]) -> Iterator[tuple[tuple[Wanted, ...], ...]]:
    """As `itertools.product`, of a few of each."""
    yield from itertools.product(*(list(itertools.islice(one, WAYS)) for one in choices))


def _wanted(field: str, test: Test) -> tuple[Wanted, ...]:
    match test:
        case Text(parts):
            inner = [part for part in parts if part is not Wild.MANY]
            text = "".join(_FILLER if isinstance(part, Wild) else part for part in inner)
            whole = not parts or (parts[0] is not Wild.MANY, parts[-1] is not Wild.MANY)
            begins, ends = (True, True) if whole is True else whole
            return (Wanted(field, text or _FILLER * bool(parts), begins, ends),)
        case Number(value) | Boolean(value):
            return (Wanted(field, value),)
        case Null() | Exists(False):
            return ()
        case Exists():
            return (Wanted(field, _FILLER),)
        case Cidr(network):
            return (Wanted(field, network.partition("/")[0]),)
        case Compare(order, value):
            return (Wanted(field, value if "=" in order else value + (1 if order == ">" else -1)),)
        case FieldReference(other):
            return (Wanted(field, _FILLER), Wanted(other, _FILLER))
        case Regex(pattern):
            return (Wanted(field, _plain(pattern)),)
        case _:
            raise Unsolved(f"no value is known for {test}")


def _plain(pattern: str) -> str:
    """A text that matches a pattern of plain characters, `.+` and `.*`.

    Raises:
        Unsolved: It is more than that.
    """
    text = pattern.replace(".+", _FILLER).replace(".*", "").replace("\\.", ".").strip("^$")
    if any(character in "\\[](){}|*+?" for character in text):
        raise Unsolved(f"no text is known for the pattern {pattern}")
    return text


def together(wanted: Sequence[Wanted]) -> Any:
    """One value for all that one field must hold: the same, else a text that contains all, else all of them."""
    values = list(dict.fromkeys(one.value for one in wanted))
    if len(values) == 1:
        return values[0]
    texts = [one for one in wanted if isinstance(one.value, str)]
    whole = [one for one in texts if one.begins and one.ends]
    if len(texts) < len(wanted) or whole:
        return values
    order = sorted(texts, key=lambda one: (not one.begins, one.ends))
    return " ".join(dict.fromkeys(one.value for one in order))
