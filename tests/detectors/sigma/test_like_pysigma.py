"""What pySigma reads in a rule by itself, we read, too: on every public rule, and on random selections.

Where we differ on purpose, ADR 0013 says why; such keys are not drawn here, they stand in test_conformance.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sigma import conditions, types
from sigma.exceptions import SigmaError
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RE2RegexEngine
from sigma.rule import SigmaRule

from detectors.sigma import ast
from detectors.sigma.parse import parse
from detectors.sigma.yaml_source import read_documents
from ingest.schema.errors import ConfigError
from tests.detectors.sigma.building import document

PUBLIC_RULES = Path(__file__).parents[3] / ".." / "shared" / "data" / "sigma"
_WILD = {types.SpecialChars.WILDCARD_MULTI: ast.Wild.MANY, types.SpecialChars.WILDCARD_SINGLE: ast.Wild.ONE}
_ORDERS: dict[str, ast.Order] = {"LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
_FLAGS = {"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}


def theirs(body: Mapping[str, Any]) -> ast.Condition:
    """The rule as pySigma reads it, modifiers and all, in our tree."""
    rule = SigmaRule.from_dict(dict(body), policy=SigmaPolicy(regex_engine=RE2RegexEngine()))
    trees = tuple(_tree(condition.parsed) for condition in rule.detection.parsed_condition)
    return trees[0] if len(trees) == 1 else ast.Or(trees)


def _tree(node: Any) -> ast.Condition:
    match node:
        case conditions.ConditionAND():
            return ast.And(tuple(map(_tree, node.args)))
        case conditions.ConditionOR():
            return ast.Or(tuple(map(_tree, node.args)))
        case conditions.ConditionNOT():
            return ast.Not(_tree(node.args[0]))
        case conditions.ConditionFieldEqualsValueExpression(field, value):
            return _leaf(field, value)
        case conditions.ConditionValueExpression(value):
            return _leaf(None, value)
    raise AssertionError(node)


def _leaf(field: str | None, value: Any) -> ast.Condition:
    if isinstance(value, types.SigmaExpansion):
        return ast.Or(tuple(_leaf(field, part) for part in value.values))
    test = _test(value)
    if field is not None:
        return ast.FieldMatch(field, test)
    assert isinstance(test, ast.Text | ast.Number | ast.Boolean | ast.Regex)
    return ast.Keyword(test)


def _test(value: Any) -> ast.Test:
    match value:
        case types.SigmaString():
            parts = tuple(part if isinstance(part, str) else _WILD[part] for part in value.s)
            return ast.Text(parts, isinstance(value, types.SigmaCasedString))
        case types.SigmaRegularExpression():
            return ast.Regex(value.regexp.original, "".join(sorted(_FLAGS[flag.name] for flag in value.flags)))
        case types.SigmaTimestampPart():
            return ast.TimePart(value.timestamp_part.name.lower(), "=", value.number)
        case types.SigmaNumber():
            return ast.Number(value.number)
        case types.SigmaBool():
            return ast.Boolean(value.boolean)
        case types.SigmaNull():
            return ast.Null()
        case types.SigmaExists():
            return ast.Exists(value.exists)
        case types.SigmaCIDRExpression():
            return ast.Cidr(str(value.network))
        case types.SigmaFieldReference():
            return ast.FieldReference(value.field, value.starts_with, value.ends_with)
        case types.SigmaCompareExpression():
            order, number = _ORDERS[value.op.name], value.number
            if isinstance(number, types.SigmaTimestampPart):
                return ast.TimePart(number.timestamp_part.name.lower(), order, number.number)
            return ast.Compare(order, number.number)
    raise AssertionError(value)


def plainly(condition: ast.Condition) -> Any:
    """A tree without what has no meaning: how alike nodes are nested, and texts in pieces."""
    match condition:
        case ast.Not(part):
            return ("not", plainly(part))
        case ast.And() | ast.Or():
            parts = [plainly(part) for part in _opened(condition, type(condition))]
            return (type(condition).__name__, parts) if len(parts) > 1 else parts[0]
        case ast.FieldMatch(field, ast.Text(parts, cased)):
            return (field, _merged(parts), cased)
        case ast.Keyword(ast.Text(parts, cased)):
            return (_merged(parts), cased)
    return condition


def _opened(condition: ast.Condition, kind: type) -> Iterator[ast.Condition]:
    if isinstance(condition, kind):
        for part in condition.parts:  # type: ignore[attr-defined]
            yield from _opened(part, kind)
    else:
        yield condition


def _merged(parts: tuple[str | ast.Wild, ...]) -> list[str | ast.Wild]:
    found: list[str | ast.Wild] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return found


def test_every_public_rule_is_read_as_pysigma_reads_it() -> None:
    if not PUBLIC_RULES.is_dir():
        pytest.skip("the shared Sigma rules are not on this machine (../shared/data/sigma)")
    compared = 0
    for file in sorted(PUBLIC_RULES.rglob("*.yml")):
        for body in read_documents(file.read_text("utf-8"), where=file.name):
            try:
                ours = parse(body, where=file.name).condition
            except ConfigError:
                continue  # test_parse.py looks at the reasons
            assert plainly(ours) == plainly(theirs({**body, "related": []})), file.name
            compared += 1
    assert compared >= 300


_text = st.text(st.sampled_from("abAZ09 *?\\%-/._é"), max_size=8)
_word = st.text(st.sampled_from("abcXYZ019 ._"), min_size=3, max_size=8)
_number = st.integers(-1000, 1000) | st.sampled_from([1.5, -0.25, 3.0])
_KEYS: tuple[tuple[str, st.SearchStrategy[Any]], ...] = (
    ("f", _text | _number | st.booleans() | st.none()),
    ("a.b", _text | _number),
    ("f|contains", _text),
    ("f|startswith", _text),
    ("f|endswith", _text),
    ("f|contains|all", st.lists(_text, min_size=1, max_size=3)),
    ("f|all", st.lists(_text, min_size=1, max_size=3)),
    ("f|neq", _text | _number | st.none()),
    ("f|contains|cased", _text),
    ("f|cased", _text),
    ("f|base64", _word),
    ("f|base64offset|contains", _word),
    ("f|wide|base64offset|contains", _word),
    ("f|utf16be|base64", _word),
    ("f|utf16|base64", _word),
    ("f|windash", _text),
    ("f|windash|contains", _text),
    ("f|re", st.sampled_from(["a.b", "^x|y$", r"\.exe$", "(a|b)+", "[a-z]{2,3}"])),
    ("f|re|i", st.sampled_from(["a.b", "^x"])),
    ("f|re|m|s", st.sampled_from(["a.b", "^x"])),
    ("f|cidr", st.sampled_from(["10.0.0.0/8", "::1/128", "2001:db8::/32", "1.2.3.4"])),
    ("f|exists", st.booleans()),
    ("f|fieldref", _word),
    ("f|fieldref|contains", _word),
    ("f|gte", _number),
    ("f|lt", _number),
    ("f|hour", st.integers(0, 23)),
    ("f|week|gt", st.integers(1, 52)),
    ("|all", st.lists(_text, min_size=1, max_size=3)),
    ("|re", st.sampled_from(["a.b", "^x"])),
)
_entry = st.sampled_from(_KEYS).flatmap(
    lambda row: st.tuples(
        st.just(row[0]), row[1] if "all" in row[0] else row[1] | st.lists(row[1], min_size=1, max_size=3)
    )
)
_map = st.lists(_entry, min_size=1, max_size=3, unique_by=lambda entry: entry[0]).map(dict)
_selection = _map | st.lists(_map, min_size=1, max_size=2) | st.lists(_text | _number, min_size=1, max_size=3)
_condition = st.recursive(
    st.sampled_from(["one", "two", "1 of them", "all of t*", "any of *", "all of them"]),
    lambda inner: (
        inner.map("not {}".format)
        | st.tuples(inner, st.sampled_from(["and", "or"]), inner).map("({0[0]} {0[1]} {0[2]})".format)
    ),
    max_leaves=4,
)


@given(_selection, _selection, _condition)
@settings(max_examples=300, deadline=None)
def test_random_rules_are_read_as_pysigma_reads_them(one: Any, two: Any, condition: str) -> None:
    body = document({"one": one, "two": two, "condition": condition})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = theirs(body)
    except SigmaError:
        assume(condition=False)
    assert plainly(parse(body, where="rule.yml").condition) == plainly(wanted)
