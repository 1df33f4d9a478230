"""Correlations and signals for tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from detectors.correlation.alone import Alone
from detectors.correlation.correlator import Correlator
from detectors.correlation.link import Linked, link
from detectors.correlation.model import Correlation
from detectors.correlation.parse import Draft, parse_correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import Signal
from detectors.detection import Detection, EventRef
from detectors.rule import Rule, build_rule
from detectors.sigma.parse import parse

START = 1_772_450_405_000
"""2026-03-02T11:20:05Z in ms."""
MINUTE = 60_000


def rule(name: str) -> Rule:
    document = {
        "title": name,
        "name": name,
        "logsource": {"product": "aws", "service": "cloudtrail"},
        "detection": {"selection": {"eventName": name}, "condition": "selection"},
    }
    return build_rule(parse(document, where=f"{name}.yml"), where=f"{name}.yml")


def draft(name: str, **body: Any) -> Draft:
    given = {"type": "event_count", "rules": ["a"], "group-by": ["user"], "timespan": "5m", **body}
    window = given.pop("window_seconds", 600)
    return parse_correlation(
        {
            "title": name,
            "name": name,
            "version": 1,
            "level": "high",
            "suppression": {"window_seconds": window},
            "correlation": {key: value for key, value in given.items() if value is not None},
        },
        where=f"{name}.yml",
    )


def linked(drafts: Iterable[Draft], rules: Iterable[str] = ("a", "b", "c")) -> Linked:
    return link(drafts, {name: rule(name) for name in rules})


def correlation(**body: Any) -> Correlation:
    found = linked([draft("x", **body)])
    assert [str(refused.error) for refused in found.refused] == []
    return found.pairs[0][1]


def chain(*drafts: Draft) -> list[Correlation]:
    found = linked(drafts)
    assert [str(refused.error) for refused in found.refused] == []
    return [one for _, one in found.pairs]


def signal(one: Correlation, at: float, rule_id: str = "a", member: str = "", **changes: Any) -> Signal:
    """A signal `at` seconds after START."""
    named = member or f"{rule_id}{at:g}"
    given: dict[str, Any] = {
        "correlation": one.id,
        "namespace": "default",
        "by": ('["alice"]',),
        "rule": rule_id,
        "at": START + round(at * 1000),
        "seen": START + 400 * 86_400_000,
        "member": named,
        "unit": named,
        "event": EventRef("logs", named, "ab" * 32),
        "format": "aws.cloudtrail",
        "ruleset_version": "test",
        **changes,
    }
    return Signal(**given)


def told(detections: Iterable[Detection]) -> dict[str, set[str]]:
    """Alert → members; a member that is told twice of one alert is a fault."""
    found: dict[str, set[str]] = {}
    for detection in detections:
        members = found.setdefault(detection.alert, set())
        for match in detection.matches:
            assert match.member not in members, f"{match.member} was told twice"
            members.add(match.member)
    return found


def run(correlations: Sequence[Correlation], signals: Iterable[Signal]) -> list[Detection]:
    """Everything that signals lead to, one after the other, and then no more come."""
    alone = Alone(Router(correlations))
    found = []
    for one in signals:
        found += alone.follow([one])
    return found + alone.finish()


def correlator(correlations: Sequence[Correlation], **given: Any) -> Correlator:
    return Correlator(Router(correlations), **given)
