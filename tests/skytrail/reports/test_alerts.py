"""The figures of the report on alerts, compared with a count by hand."""

from __future__ import annotations

from typing import Any

from skytrail.reports.kinds.alerts import count_alert, statistics_section
from skytrail.reports.page import bars_of
from skytrail.reports.report import Verdict
from storage.index.alerts import Alert


def alert(rule: str, **state: Any) -> Alert:
    document = {"@timestamp": "2026-11-26T10:00:00.000Z", "rule": {"id": rule, "name": f"Rule {rule}"}}
    return Alert("id", "logs-skytrail.alert-acme-2026.11", document, {"skytrail": {"alert": state}})


def test_the_figures_of_a_rule_are_those_that_one_counts_by_hand() -> None:
    rules: dict[str, Any] = {}
    for each in (
        alert("a", count=3),
        alert("a", status="acknowledged", acknowledged="2026-11-26T10:01:00Z"),
        alert("a", status="closed", classification="true_positive", acknowledged="2026-11-26T10:02:00Z"),
        alert("a", status="closed", classification="true_positive", acknowledged="2026-11-26T10:10:00Z"),
        alert("a", status="closed", classification="false_positive", closed="2026-11-26T11:00:00Z"),
        alert("a", status="closed", classification="benign_positive"),
        alert("a", status="closed", classification="undetermined"),
        alert("b", count=2),
    ):
        count_alert(rules, each)
    section = statistics_section(rules)
    assert "8 alerts of 2 rules; 2 are still open" in section.text
    named = [dict(zip(section.columns, row, strict=True)) for row in section.rows]
    assert named[0] == {
        "rule": "a",
        "title": "Rule a",
        "alerts": 7,
        "actions": 9,
        "open": 1,
        "true_positive": 2,
        "benign_positive": 1,
        "false_positive": 1,
        "undetermined": 1,
        "precision": 0.667,  # 2 of 2 + 1
        "median seconds to acknowledge": 120.0,  # of 60, 120 and 600
    }
    assert (named[1]["alerts"], named[1]["precision"], named[1]["median seconds to acknowledge"]) == (1, None, None)
    assert [bar[:2] for bar in bars_of(section)] == [("Rule a", 7), ("Rule b", 1)]
    assert statistics_section({}).verdict is Verdict.NOT_MEASURED
