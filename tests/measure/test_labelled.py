"""The measurement itself: what counts as found, as a false alarm, as neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detectors.proving import OWN_RULES
from detectors.rulebook import load
from tests.detectors.shipped import shipped
from tests.measure import labelled, report
from tests.measure.labelled import Measure, Run, Tally, equals_of, measure_cases

BOOK = shipped()
SHARED = Path(__file__).parents[3] / "shared" / "data"
STOPPED = "AWS.CloudTrail.Stopped"
GUESSED = "AWS.CloudTrail.PasswordSpraying"


@pytest.fixture(scope="module")
def measure() -> Measure:
    paths = [
        OWN_RULES / "aws" / "trail_stopped.yml",
        OWN_RULES / "aws" / "root_used.yml",
        OWN_RULES / "correlation" / "console_logins_guessed.yml",
    ]
    return Measure(load(paths))


def case(rule: str, *, expected: bool, mocks: bool = False, **event: Any) -> dict[str, Any]:
    whole = {
        "eventVersion": "1.11",
        "eventTime": "2026-03-02T11:20:05Z",
        "eventSource": "cloudtrail.amazonaws.com",
        "eventID": "e388b28f-549b-4cac-8d84-1da164b0063e",
        "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "accountId": "111122223333"},
        **event,
    }
    return {
        "id": "case",
        "source": "aws.cloudtrail",
        "rule": rule,
        "test": "a case",
        "expected": expected,
        "needs_mocks": mocks,
        "event": whole if event else {"no": "event"},
    }


def tally_of(measure: Measure, *cases: dict[str, Any]) -> Tally:
    return measure_cases(measure, cases)["aws.cloudtrail"]


def test_an_equal_that_fires_is_found_or_a_false_alarm(measure: Measure) -> None:
    tally = tally_of(
        measure,
        case(STOPPED, expected=True, eventName="StopLogging"),
        case(STOPPED, expected=False, eventName="StopLogging"),
        case(STOPPED, expected=False, eventName="StartLogging"),
    )
    assert (tally.found, tally.should, tally.false, tally.quiet, tally.other) == (1, 1, 1, 2, 0)


def test_a_rule_that_is_no_equal_neither_finds_nor_counts_as_a_false_alarm(measure: Measure) -> None:
    root = {"type": "Root", "principalId": "111122223333", "accountId": "111122223333"}
    tally = tally_of(
        measure,
        case(STOPPED, expected=True, eventName="StartLogging", userIdentity=root),
        case(STOPPED, expected=False, eventName="StartLogging", userIdentity=root),
    )
    assert (tally.found, tally.should, tally.false, tally.quiet, tally.other) == (0, 1, 0, 1, 1)
    assert "aws-root-used" in tally.misses[0]


def test_a_base_of_a_correlation_is_a_signal_and_no_false_alarm(measure: Measure) -> None:
    login: dict[str, Any] = {
        "eventName": "ConsoleLogin",
        "eventSource": "signin.amazonaws.com",
        "responseElements": {"ConsoleLogin": "Failure"},
    }
    tally = tally_of(measure, case(GUESSED, expected=True, **login), case(GUESSED, expected=False, **login))
    assert (tally.found, tally.signals, tally.misses, tally.false, tally.other) == (0, 1, [], 0, 0)


def test_cases_that_ask_others_and_refused_ones_are_in_no_other_count(measure: Measure) -> None:
    tally = tally_of(
        measure,
        case(STOPPED, expected=True, mocks=True, eventName="StopLogging"),
        case(STOPPED, expected=True),
    )
    assert (tally.cases, tally.mocks, tally.refused.total(), tally.should, tally.quiet) == (2, 1, 1, 0, 0)


def test_the_reports_hold_every_count() -> None:
    tally = Tally(cases=4, should=2, found=1, misses=["a miss"], quiet=2, false=1, alarms=["an alarm"])
    runs = {"aws.impact.x": Run(frozenset({"a"}), frozenset()), "aws.impact.y": Run(frozenset(), frozenset({"b"}))}
    assert "| aws.cloudtrail | 4 | 0 | 0 | 1 / 2 | 0 | 1 / 2 | 0 |" in report.sources({"aws.cloudtrail": tally})
    assert list(report.techniques(runs))[-1] == "1 of 2 techniques detected."
    assert [line.split()[0] for line in report.details({"aws.cloudtrail": tally}, runs)] == [
        "MISS",
        "FALSE",
        *2 * ["RUN"],
    ]
    shown = json.loads(report.as_json({"aws.cloudtrail": tally}, runs))
    assert shown["sources"]["aws.cloudtrail"]["found"] == 1
    assert shown["techniques"]["aws.impact.y"] == {"fitting": [], "others": ["b"]}


@pytest.mark.parametrize("part", ["rules", "runs", "traces"])
def test_the_equals_are_rules_of_ours(part: str) -> None:
    ours = {rule.id for rule in (*BOOK.evaluated, *BOOK.everything)}
    named = frozenset[str]().union(*equals_of(part).values())
    assert named - ours == set()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the labelled cases are not beside the repository")
def test_every_foreign_rule_and_technique_of_the_cases_is_judged() -> None:
    cases = [
        case for case in labelled.read(SHARED / "panther" / "cases.jsonl.gz") if case["source"] in labelled.SOURCES
    ]
    runs = {case["technique"] for case in labelled.read(SHARED / "stratus" / "cases.jsonl.gz")}
    assert {case["rule"] for case in cases} - set(equals_of("rules")) == set()
    assert runs - set(equals_of("runs")) == set()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the labelled cases are not beside the repository")
def test_every_attack_run_is_detected() -> None:
    runs = labelled.measure_runs(Measure(BOOK), SHARED / "stratus")
    assert [technique for technique, run in runs.items() if not run.fitting] == []
