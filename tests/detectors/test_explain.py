"""An explanation says the same as the evaluation, leaf by leaf."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.explain import Clause, explain
from detectors.rule import Rule
from detectors.rule_tests import formats_of
from detectors.sigma.fields import Fields
from detectors.sigma.interpret import holds
from ingest.formats.contract import LogSource, View
from tests.detectors.shipped import shipped
from tests.detectors.sigma.building import SOURCE, rule

TESTED = [(one, number) for one in shipped().rules for number in range(len(one.tests))]


def leaves(clause: Clause) -> Iterator[Clause]:
    if not clause.parts:
        yield clause
    for part in clause.parts:
        yield from leaves(part)


@pytest.mark.parametrize(("one", "number"), TESTED, ids=lambda value: getattr(value, "id", value))
def test_every_test_of_every_rule_is_explained_as_it_is_evaluated(one: Rule, number: int) -> None:
    format_ = formats_of(one)[0]
    test = one.tests[number]
    reading = format_.read(json.dumps(test.event).encode())
    view = reading.view()
    view.ecs = reading.normalise()
    answer = explain(one, view, format_.log_source, format_.aliases)
    assert answer.fires is test.fires
    assert answer.condition.holds is holds(one.condition, Fields(view, format_.aliases))


VALUES = st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["a", "b", "ab", ""]))
EVENTS = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.one_of(VALUES, st.lists(VALUES, max_size=3)))
SELECTIONS = st.dictionaries(
    st.sampled_from(["x", "y|contains", "z|re", "x|exists", "y|gt", "z|fieldref"]),
    st.sampled_from(["a", "b", 1, True]),
    min_size=1,
    max_size=3,
)


@given(EVENTS, SELECTIONS, SELECTIONS, st.sampled_from(["a and not b", "a or b", "not a", "1 of a*"]))
def test_any_condition_on_any_event_is_explained_as_it_is_evaluated(
    event: dict[str, Any], a: dict[str, Any], b: dict[str, Any], condition: str
) -> None:
    fixed = [{name: _fitting(name, value) for name, value in selection.items()} for selection in (a, b)]
    one = rule({"a": fixed[0], "b": fixed[1], "condition": condition})
    answer = explain(one, View(vendor=event), SOURCE, {})
    assert answer.fires is holds(one.condition, Fields(View(vendor=event), {}))
    assert all(leaf.test for leaf in leaves(answer.condition))


def _fitting(name: str, value: object) -> object:
    """A value that the modifier takes."""
    if name.endswith("exists"):
        return bool(value)
    if name.endswith("gt"):
        return 1
    return {"fieldref": "x"}.get(name.partition("|")[2], value if "|" not in name else str(value))


def one_leaf(selection: dict[str, Any], event: dict[str, Any]) -> Clause:
    answer = explain(rule({"a": selection, "condition": "a"}), View(vendor=event), SOURCE, {})
    (leaf,) = leaves(answer.condition)
    return leaf


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ({"x": "abc"}, 'is "abc"'),
        ({"x|contains": "abc"}, 'contains "abc"'),
        ({"x|startswith": "abc"}, 'begins with "abc"'),
        ({"x|endswith": "abc"}, 'ends with "abc"'),
        ({"x|cased": "Abc"}, 'is "Abc", letter case counts'),
        ({"x": "a*c?"}, 'is like "a*c?"'),
        ({"x": None}, "is absent or null"),
        ({"x|exists": True}, "is there"),
        ({"x|exists": False}, "is not there"),
        ({"x|re|i": "^a.c$"}, "matches /^a.c$/i"),
        ({"x|cidr": "10.0.0.0/8"}, "is an address in 10.0.0.0/8"),
        ({"x|gte": 5}, ">= 5"),
        ({"x": 5}, "is 5"),
        ({"x|hour": 3}, "is a time whose hour = 3"),
        ({"x|fieldref": "y"}, "equals the field y (absent)"),
    ],
)
def test_a_test_is_told_in_words(selection: dict[str, Any], words: str) -> None:
    assert one_leaf(selection, {}).test == words


def test_a_leaf_shows_what_stood_in_the_field_and_no_more_than_ten_values() -> None:
    leaf = one_leaf({"x": "q"}, {"x": [f"v{n}" for n in range(25)]})
    assert leaf.field == "x"
    assert leaf.found[:2] == ('"v0"', '"v1"')
    assert len(leaf.found) == 10
    assert leaf.more == 15
    assert not leaf.holds


def test_values_that_could_move_a_terminal_are_cleaned() -> None:
    assert one_leaf({"x": "q"}, {"x": "a\x1b[2J\u202eb\nc"}).found == ('"a[2Jb c"',)


def test_another_log_source_and_an_early_stage_are_obstacles_even_where_the_condition_holds() -> None:
    one = rule({"a": {"x": "1"}, "condition": "a"})
    view = View(vendor={"x": "1"}, final=False)
    answer = explain(one, view, LogSource(product="kubernetes", service="audit"), {})
    assert answer.condition.holds
    assert not answer.fires
    assert len(answer.obstacles) == 2
    assert "aws/cloudtrail" in answer.obstacles[0]
