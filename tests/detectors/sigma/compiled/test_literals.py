from __future__ import annotations

import json
from typing import Any

import pytest

from detectors.rule import Rule
from detectors.sigma.ast import Exists, Keyword, Number, Regex, Text, Wild
from detectors.sigma.compiled.engine import CompiledEngine
from detectors.sigma.compiled.literals import bypasses, literals_of
from detectors.sigma.compiled.tree import Anywhere, Holds, Leaf, OneOf
from ingest.formats.registry import format_named
from tests.detectors.sigma.building import rule
from tests.detectors.sigma.compiled.oracle import fail, interpreted, raw

TRAIL = format_named("aws.cloudtrail")
PATHS = ["policyName"]
MANY = Wild.MANY

LITERALS: list[tuple[Leaf, tuple[str, ...] | None]] = [
    (Holds("f", Text((MANY, "XMRig", MANY))), ("xmrig",)),
    (OneOf("f", frozenset({"kinsing"})), ("kinsing",)),
    (Holds("f", Text(("Pacu-Agent", MANY, "x"), cased=True)), ("pacu-agent",)),
    (Holds("f", Text((MANY, "some/path/name", MANY))), ("some",)),
    (Holds("f", Text((MANY, 'quo"tedword', MANY))), ("tedword",)),
    (Holds("f", Text((MANY, "half", Wild.ONE, "wording", MANY))), ("wording",)),
    (Holds("f", Text((MANY, "min", MANY))), ("policyname",)),
    (Holds("f", Text((MANY, "1000", MANY))), ("policyname",)),
    (Holds("f", Text((MANY, "false,", MANY))), ("policyname",)),
    (Holds("f", Text((MANY, "deadbeef", MANY))), ("policyname",)),
    (Holds("f", Text((MANY, "Größe", MANY))), ("policyname",)),
    (Holds("f", Number(5)), ("policyname",)),
    (Holds("f", Text((MANY,))), ("policyname",)),
    (Holds("f", Exists(expected=True)), ("policyname",)),
    (Holds("f", Exists(expected=False)), None),
    (Holds("f", Regex(r"^aws\-cli/\d+ mining+")), ("aws-cli",)),
    (Holds("f", Regex("(kins)+ing stratum?")), ("ing stratu",)),
    (Holds("f", Regex(r"a\)(kinsing)?mi")), ("policyname",)),
    (Holds("f", Regex(r"a\{(b}kinsing)?mi")), ("policyname",)),
    (Holds("f", Regex("kinsing|xmrig")), ("policyname",)),
    (Holds("f", Regex("[[:alpha:]]mining")), ("policyname",)),
    (Anywhere(Keyword(Text(("nicehash",)))), ("nicehash",)),
    (Anywhere(Keyword(Text(("ab",)))), None),
]


@pytest.mark.parametrize(("leaf", "expected"), LITERALS)
def test_a_leaf_needs_these_bytes(leaf: Leaf, expected: tuple[str, ...] | None) -> None:
    assert literals_of(leaf, PATHS) == expected


def test_a_field_of_the_document_needs_no_bytes() -> None:
    assert literals_of(Holds("f", Text((MANY, "kinsing", MANY))), None) is None


def test_only_three_characters_beyond_ascii_are_ascii_letters_when_case_is_ignored() -> None:
    lowered = {chr(code) for code in range(128, 0x110000) if any(part < "\x80" for part in chr(code).lower())}
    assert lowered == {"\u0130", "\u212a"}
    assert all(bypasses(character.encode()) for character in (*lowered, "\u017f"))
    assert not bypasses("Größe, Ελληνικά".encode())


BODY: dict[str, Any] = {
    "eventName": "PutThing",
    "eventSource": "x.amazonaws.com",
    "eventTime": "2026-11-22T03:04:05Z",
    "requestParameters": {"policyName": "kinsing/miner", "count": 1000, "text": "line\nkinsing"},
}
PLAIN = json.dumps(BODY)
WRITINGS = {
    "plain": PLAIN,
    "another case": PLAIN.replace("kinsing", "KinSing"),
    "an escaped letter": PLAIN.replace("kinsing", "\\u006binsing"),
    "an escaped slash": PLAIN.replace("/", "\\/"),
    "the sign of Kelvin": PLAIN.replace("kinsing", "\u212ainsing"),
    "the sign of Kelvin, escaped": PLAIN.replace("kinsing", "\\u212ainsing"),
    "an escaped name": PLAIN.replace("policyName", "policyN\\u0061me"),
    "another name": PLAIN.replace("policyName", "POLICYNAME"),
    "a number in another form": PLAIN.replace("1000", "1e3"),
    "with white space": json.dumps(BODY, indent=2),
}
SELECTIONS: list[Any] = [
    {"requestParameters.policyName|contains": "kinsing"},
    {"requestParameters.policyName": "kinsing/miner"},
    {"requestParameters.policyName|re": "(?i)kinsing/"},
    {"requestParameters|contains": "kinsing/miner"},
    {"requestParameters|contains": '"count":1000'},
    {"requestParameters.count": "1000"},
    {"requestParameters.count|gte": 1000},
    {"requestParameters.text|endswith": "kinsing"},
    ["kinsing"],
    ["1000"],
    {"requestParameters.policyName|exists": True},
]


@pytest.mark.parametrize("writing", WRITINGS.values(), ids=WRITINGS)
def test_however_a_record_is_written_the_gate_lets_it_pass(writing: str) -> None:
    rules = [rule({"s": selection, "condition": "s"}, name=f"r{n}") for n, selection in enumerate(SELECTIONS)]
    record = writing.encode()
    wanted = interpreted(rules, [record], TRAIL)
    engine = CompiledEngine(rules, on_error=fail)
    assert raw(engine, [record], TRAIL) == wanted
    assert len(wanted) > len(SELECTIONS) // 2
    arrangement = engine.arrangement(TRAIL)
    assert arrangement is not None
    assert arrangement.gated >= 8


def test_the_name_of_a_body_is_not_sought_in_its_own_bytes() -> None:
    rules = [rule({"s": {"userIdentity.onBehalfOf|exists": True}, "condition": "s"}, name="any")]
    record = json.dumps({**BODY, "userIdentity": {"onBehalfOf": ""}}).encode()
    assert raw(CompiledEngine(rules, on_error=fail), [record], TRAIL) == [(0, "any")]


def test_a_record_without_the_literal_is_not_parsed() -> None:
    engine = CompiledEngine(_waiting_for("xmrig"), on_error=fail)
    assert raw(engine, [PLAIN.encode()] * 120, TRAIL) == []
    assert engine.counts.parsed == 0
    assert engine.counts.records == 120


@pytest.mark.parametrize("asked", [{"exists": True}, {"exists": False}], ids=["there", "not there"])
def test_only_records_with_the_name_of_a_decoded_value_are_parsed_to_tell_null_from_absent(
    asked: dict[str, bool],
) -> None:
    ((modifier, wanted),) = asked.items()
    engine = CompiledEngine([rule({"s": {f"errorCode|{modifier}": wanted}, "condition": "s"}, name="r")], on_error=fail)
    records = [json.dumps(BODY).encode()] * 9
    records[4] = json.dumps({**BODY, "errorCode": None}).encode()
    records[5] = json.dumps({**BODY, "errorCode": "AccessDenied"}).encode()
    records[6] = records[4].replace(b"errorCode", b"error\\u0043ode")
    holding = [4, 5, 6] if wanted else [0, 1, 2, 3, 7, 8]
    assert raw(engine, records, TRAIL) == [(place, "r") for place in holding]
    told_by_parsing = {4, 6}  # a match is parsed, too, before it is reported
    assert engine.counts.parsed == len(told_by_parsing.union(holding))


def test_only_the_record_with_the_literal_is_parsed() -> None:
    engine = CompiledEngine(_waiting_for("xmrig"), on_error=fail)
    records = [PLAIN.encode()] * 120
    records[77] = PLAIN.replace("kinsing", "XMRig").encode()
    assert raw(engine, records, TRAIL) == [(77, "waits")]
    assert engine.counts.parsed == 1


def _waiting_for(text: str) -> list[Rule]:
    return [rule({"s": {"requestParameters.policyName|contains": text}, "condition": "s"}, name="waits")]
