"""The table of techniques: each has rules that look for it or a reason, and the page says what is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.detectors.shipped import shipped
from tests.measure import labelled, report
from tests.measure.labelled import Measure, equals_of
from tests.measure.techniques import Technique, fires_on, techniques

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rules.md").read_text("utf-8").splitlines()
SHARED = ROOT.parent / "shared" / "data" / "stratus"
BOOK = shipped()


def test_every_technique_has_rules_or_a_reason_and_never_both() -> None:
    assert [one.name for one in techniques() if bool(one.rules) == bool(one.why)] == []
    assert [one.name for one in techniques() if bool(one.rules) != bool(one.call)] == []


def test_the_rules_named_are_ours() -> None:
    ours = {rule.id for rule in BOOK.everything}
    assert {rule for one in techniques() for rule in one.rules} - ours == set()


def test_of_every_technique_a_rule_fires_on_its_call() -> None:
    assert [one.name for one in techniques() if one.rules and not fires_on(one)] == []


def test_a_rule_that_knows_nothing_of_a_call_does_not_count() -> None:
    assert fires_on(Technique("x", "NoSuchCall", ("aws-trail-stopped",))) == ()
    assert fires_on(Technique("x", "StopLogging", ("aws-trail-stopped", "aws-root-used"))) == ("aws-trail-stopped",)


def test_no_technique_is_in_the_table_that_was_measured() -> None:
    assert {one.name for one in techniques()} & equals_of("runs").keys() == set()


def test_the_page_has_the_table() -> None:
    assert [line for line in report.looked_for(techniques()) if line not in PAGE] == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded runs are not beside the repository")
def test_the_page_has_what_is_measured_of_every_recorded_technique() -> None:
    runs = labelled.measure_runs(Measure(BOOK), SHARED)
    listed = {row["technique"] for row in labelled.read(SHARED / "techniques.jsonl.gz")}
    assert listed - runs.keys() - {one.name for one in techniques()} == set()
    assert [line for line in report.techniques(runs) if line not in PAGE] == []
