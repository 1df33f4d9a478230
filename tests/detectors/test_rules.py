"""Every rule of ours proves itself."""

from __future__ import annotations

import pytest

from detectors.findings import Finding
from detectors.rule import Rule
from detectors.rule_tests import run_tests
from tests.detectors.shipped import shipped

BOOK = shipped()
PREFIXES = {"azure": ("azure-", "entra-")}


def test_all_our_rules_load_without_a_remark() -> None:
    findings: tuple[Finding, ...] = BOOK.findings
    assert [str(finding) for finding in findings] == []
    assert len(BOOK.rules) >= 30


@pytest.mark.parametrize("rule", BOOK.rules, ids=lambda rule: rule.id)
def test_a_rule_proves_a_hit_and_a_miss(rule: Rule) -> None:
    assert {test.fires for test in rule.tests} == {True, False}
    assert [f"{result.name}: {result.problem or result.fired}" for result in run_tests(rule) if not result.ok] == []


@pytest.mark.parametrize("rule", BOOK.rules, ids=lambda rule: rule.id)
def test_a_rule_tells_people_what_they_need(rule: Rule) -> None:
    assert rule.id.startswith(PREFIXES.get(rule.log_source.product, (f"{rule.log_source.product}-",)))
    assert rule.version == "1"
    assert rule.tactics
    assert all(technique.name for technique in rule.techniques), "a technique's name is missing in attack.toml"
    assert len(rule.runbook) >= 2
    assert rule.false_positives
    assert rule.own


@pytest.mark.parametrize("rule", BOOK.evaluated, ids=lambda rule: rule.id)
def test_a_rule_is_not_written_to_the_values_of_its_tests(rule: Rule) -> None:
    literals = ("111122223333", "mallory", "198.51.100.", "jane@example.com", "203.0.113.", "Q3EGRIUBXAMPLE", "orchard")
    assert [literal for literal in literals if literal in repr(rule.condition)] == []
