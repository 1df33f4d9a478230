from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detectors.rule import build_rule
from detectors.sigma.ast import And, FieldMatch, Not, Text, fields_of
from detectors.sigma.parse import parse
from detectors.sigma.yaml_source import read_documents
from ingest.formats.contract import LogSource
from ingest.schema.errors import ConfigError
from tests.detectors.sigma.building import document

PUBLIC_RULES = Path(__file__).parents[3] / ".." / "shared" / "data" / "sigma"

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "an unknown modifier",
        {"s": {"a|sounds_like": "x"}, "condition": "s"},
        "detection.s.a|sounds_like",
        "sounds_like",
    ),
    (
        "a look-around",
        {"s": {"ok": 1, "a|re": "a(?=b)"}, "condition": "s"},
        "detection.s.a|re",
        "invalid perl operator",
    ),
    ("a pattern that is too large", {"s": {"a|re": "(x{1000}){1000}"}, "condition": "s"}, "detection.s", "repetition"),
    ("a broken pattern", {"s": {"a|re": "("}, "condition": "s"}, "detection.s.a|re", "missing"),
    ("a pattern that a flag closes", {"s": {"a|re|i": "a)(b"}, "condition": "s"}, "detection.s.a|re|i", "unexpected )"),
    (
        "a pattern that a place closes",
        {"s": {"a|re|startswith": "a)(b"}, "condition": "s"},
        "a|re|startswith",
        "unexpected )",
    ),
    ("a flag without pattern", {"s": {"a|i": "x"}, "condition": "s"}, "detection.s.a|i", "needs the modifier re"),
    ("a network with host bits", {"s": {"a|cidr": "10.0.0.1/8"}, "condition": "s"}, "detection.s.a|cidr", "host bits"),
    (
        "a comparison with a text",
        {"s": {"a|gt": "many"}, "condition": "s"},
        "detection.s.a|gt",
        "takes a number, not 'many'",
    ),
    ("a placeholder without values", {"s": {"a|expand": "%admins%"}, "condition": "s"}, "a", "%admins%"),
    ("an unknown selection", {"s": {"a": 1}, "condition": "s and t"}, "detection.condition", "'t' not defined"),
    ("a pattern of selections that fits none", {"s": {"a": 1}, "condition": "1 of t*"}, "detection.condition", "t*"),
    ("a condition that is no condition", {"s": {"a": 1}, "condition": "s and ("}, "detection.condition", "xpected"),
    ("a deprecated count", {"s": {"a": 1}, "condition": "s | count() > 5"}, "detection.condition", "correlation"),
    ("a timeframe", {"s": {"a": 1}, "timeframe": "5m", "condition": "s"}, "detection.timeframe", "counts events"),
    ("no condition", {"s": {"a": 1}}, "detection", "condition"),
    ("an empty selection", {"s": {}, "condition": "s"}, "detection.s", "empty"),
    ("a map as value", {"s": {"a": {"b": 1}}, "condition": "s"}, "detection.s.a", "a map is no value"),
    ("a keyword that needs a field", {"s": {"|cidr": "::/0"}, "condition": "s"}, "detection.s.|cidr", "needs a field"),
    ("a keyword with a place", {"s": {"|startswith": "x"}, "condition": "s"}, "detection.s.|startswith", "anywhere"),
    ("a null keyword", {"s": ["x", None], "condition": "s"}, "detection.s: keyword", "null needs a field"),
    (
        "a misspelled modifier",
        {"s": {"a|contain": "x"}, "condition": "s"},
        "detection.s.a|contain",
        "is contains",
    ),
    ("a text modifier on null", {"s": {"a|contains": None}, "condition": "s"}, "detection.s.a|contains", "not null"),
    ("a null pattern", {"s": {"a|re": None}, "condition": "s"}, "detection.s.a|re", "null is no pattern"),
    ("a pattern made from base64", {"s": {"a|base64|re": "x"}, "condition": "s"}, "a|base64|re", "first modifier"),
    ("an empty list of values", {"s": {"a": []}, "condition": "s"}, "detection.s.a", "names no value"),
    ("an empty list of maps", {"s": [], "condition": "s"}, "detection.s", "empty list"),
    ("a list in a list of values", {"s": {"a": [["x"]]}, "condition": "s"}, "detection.s.a", "a list is no value"),
    ("no name of a field", {"s": {None: "x"}, "condition": "s"}, "detection.s", "no name of a field"),
    ("a wildcard in base64", {"s": {"a|base64": "x*"}, "condition": "s"}, "detection.s.a|base64", "no wildcards"),
    ("too short for an offset", {"s": {"a|base64offset": "x"}, "condition": "s"}, "a|base64offset", "longer text"),
    ("UTF-16 by itself", {"s": {"a|wide": "é"}, "condition": "s"}, "detection.s.a|wide", "base64"),
    ("too many dashes", {"s": {"a|windash": " -a -b -c -d -e"}, "condition": "s"}, "a|windash", "more than 1000"),
    (
        "a place before a reference",
        {"s": {"a|endswith|fieldref": "b"}, "condition": "s"},
        "a|endswith|fieldref",
        "after it",
    ),
    ("an hour of no day", {"s": {"a|hour": 25}, "condition": "s"}, "a|hour", "hour goes from 0 to 23, so 25 never"),
    ("a minute of no hour", {"s": {"a|minute": [5, 61]}, "condition": "s"}, "a|minute", "from 0 to 59"),
    ("a day zero", {"s": {"a|day": 0}, "condition": "s"}, "detection.s.a|day", "from 1 to 31"),
    ("a week that no year has", {"s": {"a|week": 54}, "condition": "s"}, "detection.s.a|week", "from 1 to 53"),
    ("a month of no year", {"s": {"a|month|neq": 13}, "condition": "s"}, "a|month|neq", "from 1 to 12"),
    ("a year before years", {"s": {"a|year": 0}, "condition": "s"}, "detection.s.a|year", "from 1 to 9999"),
    ("an hour after the last", {"s": {"a|hour|gt": 23}, "condition": "s"}, "a|hour|gt", "so > 23 never matches"),
    ("an hour before the first", {"s": {"a|hour|lt": 0}, "condition": "s"}, "a|hour|lt", "so < 0 never matches"),
    ("an underscore in a number", {"s": {"a|gt": "1_000"}, "condition": "s"}, "a|gt", "takes a number, not '1_000'"),
    ("other digits than ASCII", {"s": {"a|gt": "\u0661\u0662"}, "condition": "s"}, "a|gt", "takes a number"),
    ("a reference with wildcards", {"s": {"a|fieldref": "b*"}, "condition": "s"}, "a|fieldref", "without wildcards"),
    ("half an hour", {"s": {"a|hour": 3.5}, "condition": "s"}, "detection.s.a|hour", "whole number"),
    ("exists with a text", {"s": {"a|exists": "yes"}, "condition": "s"}, "detection.s.a|exists", "true or false"),
    ("a condition that is a number", {"s": {"a": 1}, "condition": 1}, "detection.condition", "a condition is a text"),
    ("an endless condition", {"s": {"a": 1}, "condition": "s or " * 5000 + "s"}, "detection.condition", "longer than"),
    ("a deep condition", {"s": {"a": 1}, "condition": "not " * 900 + "s"}, "detection.condition", "nested"),
    ("several of some", {"s": {"a": 1}, "condition": "2 of them"}, "detection.condition", "of"),
    ("no search identifier", {"condition": "s"}, "detection", "no search identifier"),
]


@pytest.mark.parametrize(("detection", "place", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_rule_that_cannot_be_evaluated_is_refused_with_place_and_reason(
    detection: dict[str, Any], place: str, why: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(document(detection), where="rule.yml")
    assert refusal.value.where.startswith("rule.yml: ")
    assert place in refusal.value.where
    assert why in refusal.value.what


@pytest.mark.parametrize("body", [None, 5, "text", [], {}, {"title": "t"}, {"title": "t", "detection": {1: 2}}])
def test_what_is_no_rule_is_refused(body: Any) -> None:
    with pytest.raises(ConfigError):
        parse(body, where="rule.yml")


@pytest.mark.parametrize("key", ["correlation", "filter", "action"])
def test_other_kinds_of_sigma_documents_are_refused_by_name(key: str) -> None:
    with pytest.raises(ConfigError, match="this is a"):
        parse({"title": "t", key: {}}, where="rule.yml")


def test_a_rule_without_log_source_is_refused() -> None:
    body = document({"s": {"a": 1}, "condition": "s"}) | {"logsource": {}}
    with pytest.raises(ConfigError, match="logsource"):
        parse(body, where="rule.yml")


def test_too_many_values_of_placeholders_are_refused() -> None:
    body = document({"s": {"a|expand": "%x%%x%%x%"}, "condition": "s"})
    with pytest.raises(ConfigError, match="more than 1000"):
        parse(body, where="rule.yml", placeholders={"x": [str(i) for i in range(11)]})


def test_odd_metadata_is_a_warning() -> None:
    parsed = parse(document({"s": {"a": 1}, "condition": "s"}, status="shiny", date="soon"), where="rule.yml")
    assert len(parsed.warnings) == 2
    assert any("shiny" in warning for warning in parsed.warnings)


def test_a_rule_becomes_a_tree_of_ours() -> None:
    parsed = parse(document({"s": {"a": "x"}, "f": {"b|endswith": "y"}, "condition": "s and not f"}), where="rule.yml")
    assert parsed.log_source == LogSource("aws", "cloudtrail")
    assert isinstance(parsed.condition, And)
    assert parsed.condition.parts[0] == FieldMatch("a", Text(("x",)))
    assert isinstance(parsed.condition.parts[1], Not)
    assert fields_of(parsed.condition) == {"a", "b"}


def test_every_public_rule_is_read_or_refused_with_a_reason() -> None:
    if not PUBLIC_RULES.is_dir():
        pytest.skip("the shared Sigma rules are not on this machine (../shared/data/sigma)")
    read, reasons = 0, []
    for file in sorted(PUBLIC_RULES.rglob("*.yml")):
        for body in read_documents(file.read_text("utf-8"), where=file.name):
            try:
                build_rule(parse(body, where=file.name), where=file.name)
                read += 1
            except ConfigError as refusal:
                reasons.append(refusal.what)
    assert read >= 300
    assert all(
        any(known in why for known in ("placeholder", "timeframe", "correlation", "pipe syntax")) for why in reasons
    )
