"""Why a rule matched an event or not: its condition as a tree, with what each leaf asked and found. Pure.

Every leaf is evaluated, also those that could not change the answer any more, with the plain evaluator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from detectors.reason import clean
from detectors.rule import Rule
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
    TimePart,
    Wild,
)
from detectors.sigma.engine import applies
from detectors.sigma.fields import Fields
from detectors.sigma.interpret import holds
from detectors.sigma.values import text_of
from ingest.formats.contract import LogSource, View

SHOWN_VALUES = 10  # of one field
_MAX_TEXT = 200  # characters of one value or test

Kind = Literal["all of", "any of", "not", "field", "keyword"]


@dataclass(frozen=True, slots=True)
class Clause:
    """One part of a condition and its answer.

    Attributes:
        holds: Whether this part holds for the event.
        field: Name of the field that a leaf reads; "" elsewhere.
        test: What the leaf asks, in words.
        found: Values of the field, cleaned and cut; what is absent has none.
        more: Values beyond those.
    """

    kind: Kind
    holds: bool
    parts: tuple[Clause, ...] = ()
    field: str = ""
    test: str = ""
    found: tuple[str, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a rule fires on an event or not.

    Attributes:
        fires: Whether it does.
        obstacles: What keeps the rule from the event whatever its condition says.
        condition: The answer of each part.
    """

    fires: bool
    obstacles: tuple[str, ...]
    condition: Clause


def explain(rule: Rule, view: View, source: LogSource, aliases: Mapping[str, str]) -> Explanation:
    """Explain a rule on one event.

    Args:
        rule: The rule.
        view: The event, with its document.
        source: Log source of the event's format.
        aliases: Names of that source that rules may use.

    Raises:
        Exception: Whatever the evaluation raises; in the stream the rule would be off for this event.
    """
    obstacles = []
    if not applies(rule.log_source, source):
        obstacles.append(f"the rule is for events of {_source(rule.log_source)}, this one is of {_source(source)}")
    if not view.final:
        obstacles.append("a later record repeats this one in full (stage RequestReceived), so rules wait for that")
    condition = _clause(rule.condition, Fields(view, aliases))
    return Explanation(condition.holds and not obstacles, tuple(obstacles), condition)


def _source(source: LogSource) -> str:
    return "/".join(part for part in (source.product, source.category, source.service) if part) or "any product"


def _clause(condition: Condition, fields: Fields) -> Clause:
    match condition:
        case And(parts):
            clauses = tuple(_clause(part, fields) for part in parts)
            return Clause("all of", all(clause.holds for clause in clauses), clauses)
        case Or(parts):
            clauses = tuple(_clause(part, fields) for part in parts)
            return Clause("any of", any(clause.holds for clause in clauses), clauses)
        case Not(part):
            inner = _clause(part, fields)
            return Clause("not", not inner.holds, (inner,))
        case FieldMatch(name, test):
            found, more = _shown(fields.values(name))
            return Clause("field", holds(condition, fields), (), name, _asked(test, fields), found, more)
        case Keyword(test):
            return Clause("keyword", holds(condition, fields), test=f"any value {_asked(test, fields, anywhere=True)}")


def _shown(values: tuple[Any, ...]) -> tuple[tuple[str, ...], int]:
    shown = tuple("null" if value is None else _quoted(text_of(value), value) for value in values[:SHOWN_VALUES])
    return shown, max(0, len(values) - SHOWN_VALUES)


def _quoted(text: str, value: object) -> str:
    cut = clean(text, _MAX_TEXT)
    return f'"{cut}"' if isinstance(value, str) else cut


def _asked(test: Test, fields: Fields, *, anywhere: bool = False) -> str:
    """A test in words, without the field."""
    match test:
        case Text():
            return _text(test, anywhere=anywhere)
        case Number(value) | Boolean(value):
            return f"is {text_of(value)}"
        case Null():
            return "is absent or null"
        case Exists(expected):
            return "is there" if expected else "is not there"
        case Regex(pattern, flags):
            return clean(f"matches /{pattern}/{flags}", _MAX_TEXT)
        case Cidr(network):
            return f"is an address in {network}"
        case Compare(order, value):
            return f"{order} {text_of(value)}"
        case TimePart(unit, order, value):
            return f"is a time whose {unit} {order} {text_of(value)}"
        case FieldReference(field, starts, ends, cased):
            how = {(True, True): "contains", (True, False): "begins with", (False, True): "ends with"}
            others, more = _shown(fields.values(field))
            listed = ", ".join(others) + (f" and {more} more" if more else "") or "absent"
            mind = ", letter case counts" if cased else ""
            return f"{how.get((starts, ends), 'equals')} the field {field} ({listed}){mind}"


def _text(test: Text, *, anywhere: bool) -> str:
    """A pattern in words where it is a plain one, else as it is written."""
    parts = test.parts
    plain = [part for part in parts if isinstance(part, str)]
    cased = ", letter case counts" if test.cased else ""
    if not parts:
        return "is the empty text"
    if all(part is Wild.MANY for part in parts):
        return "has any text"
    if len(plain) == 1 and not any(part is Wild.ONE for part in parts):
        begins, ends = parts[0] is Wild.MANY, parts[-1] is Wild.MANY
        words = {
            (False, False): "is",
            (True, False): "ends with",
            (False, True): "begins with",
            (True, True): "contains",
        }
        how = "contains" if anywhere else words[begins, ends]
        return f'{how} "{clean(plain[0], _MAX_TEXT)}"{cased}'
    written = "".join(part.value if isinstance(part, Wild) else part for part in parts)
    return f'{"contains" if anywhere else "is like"} "{clean(written, _MAX_TEXT)}"{cased}'
