"""Builds rules and events for tests in a line each."""

from __future__ import annotations

from typing import Any

from detectors.rule import Rule, build_rule
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.engine import InterpretedEngine
from detectors.sigma.parse import Placeholders, parse
from ingest.formats.contract import LogSource, View

SOURCE = LogSource(product="aws", service="cloudtrail")


def document(detection: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {
        "title": "A rule",
        "logsource": {"product": "aws", "service": "cloudtrail"},
        "detection": detection,
        **attributes,
    }


def rule(detection: dict[str, Any], placeholders: Placeholders | None = None, **attributes: Any) -> Rule:
    body = document(detection, **attributes)
    return build_rule(parse(body, where="rule.yml", placeholders=placeholders or {}), where="rule.yml")


def fires(
    detection: dict[str, Any],
    view: View,
    *,
    aliases: dict[str, str] | None = None,
    placeholders: Placeholders | None = None,
) -> bool:
    """Whether a rule with this detection fires, as both engines say; an exception of the rule is one of the test."""

    def fail(_: Rule, error: Exception) -> None:
        raise error

    rules, known = [rule(detection, placeholders)], {SOURCE: aliases or {}}
    told = [bool(list(kind(rules, known, fail).match([view], SOURCE))) for kind in (InterpretedEngine, CompiledEngine)]
    assert told[0] is told[1], "the compiled engine and the interpreter disagree"
    return told[0]


def matches(selection: Any, vendor: dict[str, Any], **given: Any) -> bool:
    """Whether one selection alone matches a vendor's event."""
    ecs = given.pop("ecs", {})
    return fires({"selection": selection, "condition": "selection"}, View(vendor=vendor, ecs=ecs), **given)
