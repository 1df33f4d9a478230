"""What a correlation document may say, and how one that can't be evaluated is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detectors.correlation.model import Alternative, Correlation
from detectors.rulebook import load
from ingest.schema.errors import ConfigError
from tests.detectors.correlation.building import chain, correlation, draft, linked

EXAMPLES = Path(__file__).parents[3] / ".." / "shared" / "data" / "sigma" / "correlation_examples"
COUNT = {"gte": 3}
REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("an unknown type", {"type": "often", "condition": COUNT}, "correlation.type", "often"),
    ("no condition", {}, "correlation.condition", "condition"),
    ("a second comparison of a text", {"condition": {"gte": 3, "lt": "x"}}, "correlation.condition", "x"),
    ("a range of rules", {"type": "temporal", "condition": {"gte": 1, "lt": 3}}, "correlation.condition", "temporal"),
    ("an unknown comparison", {"condition": {"above": 3}}, "correlation.condition", "condition"),
    ("a text for a number", {"condition": {"gte": "many"}}, "correlation.condition", "many"),
    ("a misspelt key", {"condition": COUNT, "timeframe": "5m"}, "correlation.timeframe", "timespan"),
    ("no time span", {"condition": COUNT, "timespan": "soon"}, "correlation.timespan", "soon"),
    ("a time span without end", {"condition": COUNT, "timespan": "99y"}, "correlation.timespan", "longer"),
    ("no rule", {"condition": COUNT, "rules": []}, "correlation.rules", "no rule"),
    ("a rule named twice", {"condition": COUNT, "rules": ["a", "a"]}, "correlation.rules", "twice"),
    ("values without field", {"type": "value_count", "condition": COUNT}, "correlation", "field"),
    ("a count of a field", {"condition": {"gte": 3, "field": "f"}}, "correlation.condition.field", "value_count"),
    ("words for a count", {"condition": "a and not b"}, "correlation.condition", "temporal"),
    ("only absence", {"type": "temporal", "condition": "not a"}, "correlation.condition", "without `not`"),
    ("both signs", {"type": "temporal", "condition": "a and not a"}, "correlation.condition", "both"),
    ("an unused rule", {"type": "temporal", "rules": ["a", "b"], "condition": "a"}, "correlation.condition", "b is in"),
    ("a foreign rule", {"type": "temporal", "condition": "a and z"}, "correlation.condition", "z is not in"),
    ("broken words", {"type": "temporal", "condition": "a and ("}, "correlation.condition", "xpected"),
    ("fewer than temporal", {"type": "temporal", "condition": {"lt": 1}}, "correlation.condition", "gte or gt"),
    ("an alias of no rule", {"condition": COUNT, "aliases": {"x": {"z": "f"}}}, "correlation.aliases.x", "z is not"),
    (
        "half a day",
        {"type": "new_terms", "timespan": None, "condition": {"field": "f"}, "history": "12h"},
        "correlation.history",
        "whole days",
    ),
    ("new terms of nothing", {"type": "new_terms", "timespan": None}, "correlation.condition", "object"),
    ("a factor below zero", {"type": "rate", "condition": {"factor": -1}}, "correlation.condition", "positive"),
]


@pytest.mark.parametrize(("body", "place", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_can_not_be_evaluated_is_refused_with_its_place(body: dict[str, Any], place: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        draft("x", **body)
    assert refused.value.where.startswith(f"x.yml: {place}")
    assert refused.value.mend


def test_a_circle_is_refused_and_names_its_way() -> None:
    found = linked(
        [
            draft("x", rules=["y"], condition=COUNT),
            draft("y", rules=["x"], condition=COUNT),
            draft("sound", condition=COUNT),
        ]
    )
    assert [one.id for _, one in found.pairs] == ["sound"]
    assert len(found.refused) == 2
    assert any("x → y → x" in str(refused.error) for refused in found.refused)


def test_an_unknown_reference_is_refused_and_so_is_what_builds_upon_it() -> None:
    found = linked([draft("x", rules=["nowhere"], condition=COUNT), draft("y", rules=["x"], condition=COUNT)])
    assert found.pairs == ()
    reasons = [str(refused.error) for refused in found.refused]
    assert any("no rule nowhere" in reason for reason in reasons)
    assert any("x was refused" in reason for reason in reasons)


def test_a_threshold_that_no_memory_holds_is_refused() -> None:
    assert "remember more than" in str(linked([draft("x", condition={"gte": 10_000_000})]).refused[0].error)


def test_a_condition_may_have_several_comparisons_and_all_must_hold() -> None:
    one = correlation(condition={"lte": 20, "gt": 10})
    assert one.threshold
    assert [number for number in (10, 11, 20, 21) if one.threshold.holds(number)] == [11, 20]
    assert (one.threshold.bound, one.at_once) == (10, False)
    assert correlation(condition={"gte": 5, "gt": 10}).at_once
    assert correlation(condition={"gte": 5, "lt": 3000}).limit == 6000
    fields = {"field": "f", "percentile": 90}
    share = correlation(type="value_percentile", condition={**fields, "gte": 3, "neq": 7})
    assert (share.fields, share.percentile) == (("f",), 90)


def test_words_become_alternatives() -> None:
    one = correlation(type="temporal", rules=["a", "b", "c"], condition="a and not (b or c)")
    assert one.alternatives == (Alternative((0,), (1, 2)),)
    assert not one.at_once
    two = correlation(type="temporal", rules=["a", "b", "c"], condition="a and (b or c)")
    assert two.alternatives == (Alternative((0, 1)), Alternative((0, 2)))
    assert two.at_once


@pytest.mark.parametrize(
    ("body", "at_once"),
    [
        ({"condition": {"gte": 3}}, True),
        ({"condition": {"lt": 3}}, False),
        ({"condition": {"eq": 3}}, False),
        ({"type": "value_sum", "condition": {"field": "f", "gt": 3}}, True),
        ({"type": "value_avg", "condition": {"field": "f", "gt": 3}}, False),
        ({"type": "temporal", "rules": ["a", "b"]}, True),
    ],
)
def test_only_what_can_not_be_taken_back_is_decided_at_once(body: dict[str, Any], *, at_once: bool) -> None:
    assert correlation(**body).at_once is at_once


def test_one_that_builds_upon_a_late_decision_waits_longer() -> None:
    below, above = chain(
        draft("x", condition={"lt": 3}, lateness="10m"), draft("y", rules=["x"], condition=COUNT, lateness="5m")
    )
    assert (below.lateness_ms, above.lateness_ms) == (600_000, 900_000)


def write(directory: Path, body: str) -> Correlation | None:
    rules = """
title: R
name: base
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: X}, condition: s}
---
title: Other
name: other
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: Y}, condition: s}
---
"""
    (directory / "rules.yml").write_text(rules + body)
    found = load([directory])
    return found.correlations[0] if found.correlations else None


BODY = """
title: C
name: c
correlation: {{type: event_count, rules: [base], group-by: [recipientAccountId], timespan: 5m,
  condition: {{gte: 2}}, generate: {generate}}}
"""


@pytest.mark.parametrize(("generate", "loud"), [("false", ["other"]), ("true", ["base", "other"])])
def test_a_rule_that_serves_a_correlation_of_its_file_is_silent_unless_generate(
    tmp_path: Path, generate: str, loud: list[str]
) -> None:
    write(tmp_path, BODY.format(generate=generate))
    book = load([tmp_path])
    assert [rule.id for rule in book.rules] == loud
    assert {rule.id for rule in book.evaluated} == {"base", "other"}
    assert [rule.id for rule in book.everything] == [*loud, "c"]


def test_a_correlation_of_another_file_mutes_nothing(tmp_path: Path) -> None:
    write(tmp_path, "")
    (tmp_path / "z.yml").write_text(BODY.format(generate="false"))
    book = load([tmp_path])
    assert [rule.id for rule in book.rules] == ["base", "other"]
    assert [one.id for one in book.correlations] == ["c"]


def test_a_failing_test_refuses_the_correlation_and_leaves_the_others(tmp_path: Path) -> None:
    tests = "tests: [{name: never, fires: true, events: []}]\n"
    assert write(tmp_path, BODY.format(generate="false") + tests) is None
    book = load([tmp_path])
    assert any("did not fire" in finding.message for finding in book.errors)
    assert [rule.id for rule in book.rules] == ["other"]


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the shared examples are not here")
def test_the_specifications_examples_link_when_their_rules_are_there() -> None:
    book = load([EXAMPLES])
    assert book.correlations == ()
    assert len(book.errors) == len(list(EXAMPLES.glob("*.yml")))
    assert all("there is no rule" in finding.message for finding in book.errors)
