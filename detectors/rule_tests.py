"""Runs the tests that a rule carries, on the real road: bytes → format → view and document → engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from detectors.detection import Detection, detect
from detectors.rule import Rule, RuleTest
from detectors.sigma.engine import InterpretedEngine, applies
from ingest.document import Receipt, complete
from ingest.formats.contract import Format
from ingest.formats.registry import all_formats
from ingest.schema.errors import RejectedRecord

_RECEIPT = Receipt(
    namespace="default",
    collector="rule-test",
    received_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    locator="rule-test",
    ordinal=0,
)


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of one test.

    Attributes:
        expected: Whether the rule must fire.
        fired: Whether it did; None when the event could not be evaluated.
        problem: Why it could not be evaluated.
        reason: The sentence the alert would show, when it fired.
    """

    __test__ = False  # not a test class of pytest

    rule: str
    name: str
    expected: bool
    fired: bool | None
    problem: str = ""
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the rule did what its author says."""
        return self.fired is self.expected


def formats_of(rule: Rule, formats: Mapping[str, Format] | None = None) -> list[Format]:
    """The formats whose events a rule sees."""
    known = all_formats() if formats is None else formats
    return [one for one in known.values() if applies(rule.log_source, one.log_source)]


def run_tests(rule: Rule, formats: Mapping[str, Format] | None = None) -> list[TestResult]:
    """Run every test of a rule.

    Args:
        rule: The rule.
        formats: By name; None: all there are.
    """
    known = all_formats() if formats is None else formats
    seen_by = formats_of(rule, known)
    problems: list[Exception] = []
    engine = InterpretedEngine(
        [rule], {one.log_source: one.aliases for one in known.values()}, lambda _, exc: problems.append(exc)
    )
    results = []
    for test in rule.tests:
        format_ = known.get(test.format) if test.format else (seen_by[0] if seen_by else None)
        if format_ is None:
            wanted = f"format {test.format!r}" if test.format else "format with the rule's log source"
            results.append(TestResult(rule.id, test.name, test.fires, None, f"there is no {wanted}"))
            continue
        problems.clear()
        try:
            found = _detections(engine, test, format_)
        except RejectedRecord as exc:
            results.append(TestResult(rule.id, test.name, test.fires, None, f"the event is refused: {exc.what}"))
            continue
        if problems:
            results.append(TestResult(rule.id, test.name, test.fires, None, f"the rule raised: {problems[0]!r}"))
            continue
        reason = found[0].reason if found else ""
        results.append(TestResult(rule.id, test.name, test.fires, bool(found), reason=reason))
    return results


def _detections(engine: InterpretedEngine, test: RuleTest, format_: Format) -> list[Detection]:
    record = msgspec.json.encode(test.event)
    event = complete(format_, record, _RECEIPT, _RECEIPT.received_at)
    view = event.reading.view()
    view.ecs = event.document
    return detect(engine, [view], [event], format_.log_source, ruleset_version="test", index_of=lambda _: "rule-test")
