from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.rule import Rule
from detectors.sigma.engine import InterpretedEngine, applies
from ingest.formats.contract import LogSource, View
from tests.detectors.sigma.building import SOURCE, rule

ROUTES: list[tuple[LogSource, LogSource, bool]] = [
    (LogSource("aws", "cloudtrail"), LogSource("aws", "cloudtrail"), True),
    (LogSource("aws"), LogSource("aws", "cloudtrail"), True),
    (LogSource("AWS", "CloudTrail"), LogSource("aws", "cloudtrail"), True),
    (LogSource("aws", "vpcflow"), LogSource("aws", "cloudtrail"), False),
    (LogSource("azure"), LogSource("aws", "cloudtrail"), False),
    (LogSource("kubernetes", "audit", "application"), LogSource("kubernetes", "audit"), True),
    (LogSource("kubernetes", None, "application"), LogSource("kubernetes", "audit"), True),
    (LogSource("kubernetes", "audit"), LogSource("kubernetes", "audit", "application"), True),
    (LogSource("kubernetes", None, "network"), LogSource("kubernetes", "audit", "application"), False),
    (LogSource("", None, "application"), LogSource("kubernetes", "audit", "application"), True),
    (LogSource("", None, "application"), LogSource("aws", "cloudtrail"), False),
    (LogSource("", "audit"), LogSource("kubernetes", "audit"), True),
    (LogSource(""), LogSource("aws", "cloudtrail"), False),
]


@pytest.mark.parametrize(("wanted", "given_source", "expected"), ROUTES)
def test_a_rule_sees_the_events_of_its_source(wanted: LogSource, given_source: LogSource, *, expected: bool) -> None:
    assert applies(wanted, given_source) is expected


def test_views_that_are_not_final_are_left_out() -> None:
    engine = InterpretedEngine([rule({"s": {"a": 1}, "condition": "s"})], {})
    views = [View({"a": 1}, final=False), View({"a": 1}), View({"a": 2})]
    assert [index for index, _ in engine.match(views, SOURCE)] == [1]


def test_matches_come_in_the_order_of_events_then_of_rules() -> None:
    rules = [rule({"s": {"a": 1}, "condition": "s"}, name=name) for name in ("first", "second")]
    engine = InterpretedEngine(rules, {})
    found = [(index, each.id) for index, each in engine.match([View({"a": 1})] * 2, SOURCE)]
    assert found == [(0, "first"), (0, "second"), (1, "first"), (1, "second")]


class _Trap(dict[str, Any]):
    """An event that raises when one of its fields is read."""

    def __contains__(self, key: object) -> bool:
        if key == "trap":
            raise RuntimeError("injected")
        return super().__contains__(key)


def test_a_rule_that_raises_is_reported_and_the_others_go_on() -> None:
    told: list[tuple[str, str]] = []
    rules = [
        rule({"s": {"trap": 1}, "condition": "s"}, name="broken"),
        rule({"s": {"a": 1}, "condition": "s"}, name="sound"),
    ]
    engine = InterpretedEngine(rules, {}, lambda each, error: told.append((each.id, str(error))))
    found = [(index, each.id) for index, each in engine.match([_trapped(), View({"a": 1})], SOURCE)]
    assert found == [(0, "sound"), (1, "sound")]
    assert told == [("broken", "injected")]


def _trapped() -> View:
    return View(_Trap(a=1))


HUGE = 10**5000
DEEP: dict[str, Any] = {}
for _ in range(3000):
    DEEP = {"b": DEEP}

NEST: list[Any] = [{"b": "x"}]
for _ in range(3000):
    NEST = [NEST]

SELECTIONS: list[Any] = [
    {"a": "x*"},
    {"a|contains": "?1"},
    {"a|re|i": "a+b?$"},
    {"a|cidr": "10.0.0.0/8"},
    {"a|gte": 3},
    {"a": 5},
    {"a": True},
    {"a": None},
    {"a|exists": True},
    {"a|fieldref|contains": "b"},
    {"a|hour": 3},
    {"a|week|lt": 9},
    {"a.b": "x"},
    {"a.0.b": "x"},
    ["word", "w?rd"],
    {"|re": "x$"},
    [7],
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "A", "a.b", "", "0"]), inner)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def every_test() -> InterpretedEngine:
    def fail(each: Rule, error: Exception) -> None:
        raise AssertionError(f"{each.condition} raised {error!r}")

    rules = [rule({"s": selection, "condition": "s"}) for selection in SELECTIONS]
    return InterpretedEngine(rules, {SOURCE: {"a": "a.b"}}, fail)


@given(st.dictionaries(st.sampled_from(["a", "b", "A", "a.b", "c"]), _JSON))
@settings(max_examples=300, deadline=None)
def test_no_event_makes_the_interpreter_raise(every_test: InterpretedEngine, vendor: dict[str, Any]) -> None:
    found = list(every_test.match([View(vendor, ecs=vendor)], SOURCE))
    assert all(index == 0 for index, _ in found)
    matched = {id(each) for _, each in found}
    null = every_test.rules[SELECTIONS.index({"a": None})]
    exists = every_test.rules[SELECTIONS.index({"a|exists": True})]
    assert id(null) in matched or id(exists) in matched, "what is not there is absent"
    if "a" in vendor:
        assert id(exists) in matched


@pytest.mark.parametrize(
    "value", [HUGE, [HUGE], {"b": HUGE}, DEEP, NEST], ids=["huge", "listed", "in a map", "deep", "nest"]
)
def test_values_that_python_cannot_write_do_no_harm(every_test: InterpretedEngine, value: Any) -> None:
    assert {index for index, _ in every_test.match([View({"a": value}), View({"a": "x"})], SOURCE)} == {0, 1}
