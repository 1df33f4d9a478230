"""The conformance table: one row for each way in which engines are known to differ."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.formats.contract import View
from tests.detectors.sigma.building import fires, matches

VALUES: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    # letter case
    ("text ignores case", {"a": "StopLogging"}, {"a": "stoplogging"}, True),
    ("cased text does not", {"a|cased": "StopLogging"}, {"a": "stoplogging"}, False),
    ("cased text matches its own case", {"a|cased": "StopLogging"}, {"a": "StopLogging"}, True),
    ("cased stays in force before other modifiers", {"a|cased|windash|contains": " -Foo"}, {"a": "x /foo"}, False),
    ("cased and contains together", {"a|contains|cased": "Foo"}, {"a": "xFoox"}, True),
    ("names ignore case when nothing is spelled exactly", {"eventname": "x"}, {"eventName": "x"}, True),
    ("an exactly spelled name wins over another case", {"a": "x"}, {"A": "x", "a": "y"}, False),
    # wildcards
    ("a star matches any rest", {"a": "Delete*"}, {"a": "DeleteTrail"}, True),
    ("a star matches nothing as well", {"a": "Delete*"}, {"a": "Delete"}, True),
    ("a question mark matches one character", {"a": "v?"}, {"a": "v1"}, True),
    ("a question mark matches exactly one", {"a": "v?"}, {"a": "v"}, False),
    ("question marks between stars", {"a": "*a?c*"}, {"a": "xxabcxx"}, True),
    ("pieces keep their order", {"a": "*one*two*"}, {"a": "two one"}, False),
    ("pieces do not overlap", {"a": "ab*ba"}, {"a": "aba"}, False),
    ("an escaped star is a star", {"a": r"\*"}, {"a": "*"}, True),
    ("an escaped star is nothing else", {"a": r"\*"}, {"a": "anything"}, False),
    ("an escaped question mark is one", {"a": r"v\?"}, {"a": "v1"}, False),
    ("an escaped backslash before a star", {"a": r"c:\\*"}, {"a": "c:\\x"}, True),
    ("a lone star needs the field", {"a": "*"}, {"b": 1}, False),
    ("a lone star matches the empty text", {"a": "*"}, {"a": ""}, True),
    ("a lone star does not match null", {"a": "*"}, {"a": None}, False),
    ("a text matches over line breaks", {"a|contains": "b"}, {"a": "a\nb\nc"}, True),
    # where in the text
    ("contains", {"a|contains": "log"}, {"a": "StopLogging"}, True),
    ("startswith", {"a|startswith": "stop"}, {"a": "StopLogging"}, True),
    ("startswith is not contains", {"a|startswith": "log"}, {"a": "StopLogging"}, False),
    ("endswith", {"a|endswith": "ging"}, {"a": "StopLogging"}, True),
    ("plain text matches the whole", {"a": "Stop"}, {"a": "StopLogging"}, False),
    # lists in the rule
    ("a list is an or", {"a": ["x", "y"]}, {"a": "y"}, True),
    ("all makes it an and", {"a|contains|all": ["x", "y"]}, {"a": "xy"}, True),
    ("all needs each of them", {"a|contains|all": ["x", "y"]}, {"a": "x"}, False),
    ("several fields are an and", {"a": "x", "b": "y"}, {"a": "x", "b": "z"}, False),
    # lists in the event
    ("any element matches", {"a": "y"}, {"a": ["x", "y"]}, True),
    ("all may be met by different elements", {"a|all": ["x", "y"]}, {"a": ["y", "x"]}, True),
    ("lists in lists are opened", {"a": "y"}, {"a": [["x"], [["y"]]]}, True),
    ("an element is not joined to its neighbour", {"a": "x, y"}, {"a": ["x", "y"]}, False),
    # null, empty, absent
    ("null matches absent", {"a": None}, {"b": 1}, True),
    ("null matches null", {"a": None}, {"a": None}, True),
    ("null matches an empty list", {"a": None}, {"a": []}, True),
    ("null does not match the empty text", {"a": None}, {"a": ""}, False),
    ("null does not match an empty object", {"a": None}, {"a": {}}, False),
    ("null in a list of values", {"a": [None, "x"]}, {"b": 1}, True),
    ("the empty text matches the empty text", {"a": ""}, {"a": ""}, True),
    ("the empty text does not match absent", {"a": ""}, {"b": 1}, False),
    ("the empty text does not match null", {"a": ""}, {"a": None}, False),
    ("the word null is not null", {"a": "null"}, {"a": None}, False),
    # exists
    ("exists on a value", {"a|exists": True}, {"a": "x"}, True),
    ("exists on the empty text", {"a|exists": True}, {"a": ""}, True),
    ("exists on false", {"a|exists": True}, {"a": False}, True),
    ("exists on null", {"a|exists": True}, {"a": None}, True),
    ("exists on an empty list", {"a|exists": True}, {"a": []}, True),
    ("exists on a list of nulls", {"a|exists": True}, {"a": [None]}, True),
    ("exists below null", {"a.b|exists": True}, {"a": None}, False),
    ("exists below an empty list", {"a.b|exists": True}, {"a": []}, False),
    ("exists on absent", {"a|exists": True}, {"b": 1}, False),
    ("exists false on absent", {"a|exists": False}, {"b": 1}, True),
    ("exists false on null", {"a|exists": False}, {"a": None}, False),
    ("exists false on an empty list", {"a|exists": False}, {"a": []}, False),
    ("exists false on a value", {"a|exists": False}, {"a": 0}, False),
    # numbers and booleans
    ("a number equals itself", {"a": 5}, {"a": 5}, True),
    ("a number equals its text", {"a": 5}, {"a": "5"}, True),
    ("a text equals its number", {"a": "5"}, {"a": 5}, True),
    ("a number is not a part of another", {"a": 5}, {"a": 55}, False),
    ("an integral float is the integer", {"a": "5"}, {"a": 5.0}, True),
    ("a number is not another spelling", {"a": 5}, {"a": "05"}, False),
    ("one is not true", {"a": 1}, {"a": True}, False),
    ("true equals true", {"a": True}, {"a": True}, True),
    ("true equals its text in any case", {"a": True}, {"a": "True"}, True),
    ("a text equals the boolean", {"a": "true"}, {"a": True}, True),
    ("true is not one", {"a": True}, {"a": 1}, False),
    ("less than", {"a|lt": 5}, {"a": 4}, True),
    ("less than is strict", {"a|lt": 5}, {"a": 5}, False),
    ("at most", {"a|lte": 5}, {"a": 5}, True),
    ("greater than", {"a|gt": 5}, {"a": 5.5}, True),
    ("at least, on a number as text", {"a|gte": 5}, {"a": "5"}, True),
    ("comparison on a word is false", {"a|gte": 5}, {"a": "many"}, False),
    ("comparison on a boolean is false", {"a|gte": 0}, {"a": True}, False),
    ("comparison on what is not finite is false", {"a|gte": 0}, {"a": "nan"}, False),
    ("comparison on absent is false", {"a|gte": 0}, {"b": 1}, False),
    ("neq on another value", {"a|neq": 5}, {"a": 6}, True),
    ("neq on the value", {"a|neq": 5}, {"a": 5}, False),
    ("neq on absent", {"a|neq": 5}, {"b": 5}, True),
    ("neq with several values means none of them", {"a|neq": ["x", "y"]}, {"a": "y"}, False),
    # regular expressions
    ("a pattern is sought anywhere", {"a|re": "o.L"}, {"a": "StopLogging"}, True),
    ("a pattern minds case", {"a|re": "stop"}, {"a": "StopLogging"}, False),
    ("flag i", {"a|re|i": "stop"}, {"a": "StopLogging"}, True),
    ("flag ignorecase", {"a|re|ignorecase": "stop"}, {"a": "StopLogging"}, True),
    ("flag multiline", {"a|re|multiline": "^b$"}, {"a": "a\nb"}, True),
    ("flag dotall", {"a|re|dotall": "a.b"}, {"a": "a\nb"}, True),
    ("several flags", {"a|re|i|s": "A.B"}, {"a": "a\nb"}, True),
    ("flag m", {"a|re|m": "^b$"}, {"a": "a\nb"}, True),
    ("without flag m", {"a|re": "^b$"}, {"a": "a\nb"}, False),
    ("flag s", {"a|re|s": "a.b"}, {"a": "a\nb"}, True),
    ("without flag s", {"a|re": "a.b"}, {"a": "a\nb"}, False),
    ("flags reach every alternative", {"a|re|i": "x|stop"}, {"a": "STOP"}, True),
    ("a pattern on a number", {"a|re": "^5+$"}, {"a": 555}, True),
    ("a lone surrogate does not stop a pattern", {"a|re": "b$"}, {"a": "\ud800b"}, True),
    # objects
    ("contains looks into an object as compact JSON", {"a|contains": '"b":{"c":1}'}, {"a": {"b": {"c": 1}}}, True),
    ("a pattern looks into an object", {"a|re": '"c":\\d'}, {"a": {"b": {"c": 1}}}, True),
    ("elements of a list are looked into one by one", {"a|contains": '"b":1'}, {"a": [{"c": 1}, {"b": 1}]}, True),
    # networks
    ("an address inside", {"a|cidr": "10.0.0.0/8"}, {"a": "10.1.2.3"}, True),
    ("an address outside", {"a|cidr": "10.0.0.0/8"}, {"a": "11.1.2.3"}, False),
    ("an IPv6 address inside", {"a|cidr": "2001:db8::/32"}, {"a": "2001:db8::1"}, True),
    ("a mapped address is its IPv4 address", {"a|cidr": "10.0.0.0/8"}, {"a": "::ffff:10.0.0.1"}, True),
    ("a service name is no address", {"a|cidr": "0.0.0.0/0"}, {"a": "cloudtrail.amazonaws.com"}, False),
    ("leading zeros are no address", {"a|cidr": "0.0.0.0/0"}, {"a": "253.252.51.07"}, False),
    ("an address with port is no address", {"a|cidr": "0.0.0.0/0"}, {"a": "1.2.3.4:80"}, False),
    # references
    ("fieldref on equal texts", {"a|fieldref": "b"}, {"a": "X", "b": "x"}, True),
    ("fieldref on different texts", {"a|fieldref": "b"}, {"a": "x", "b": "y"}, False),
    ("fieldref on absent", {"a|fieldref": "b"}, {"a": "x"}, False),
    ("fieldref on two nulls", {"a|fieldref": "b"}, {"a": None, "b": None}, False),
    ("fieldref with contains", {"a|fieldref|contains": "b"}, {"a": "arn:123:x", "b": "123"}, True),
    ("fieldref with startswith", {"a|fieldref|startswith": "b"}, {"a": "123x", "b": "123"}, True),
    ("fieldref with endswith", {"a|fieldref|endswith": "b"}, {"a": "123x", "b": "123"}, False),
    ("a star in the other field is a star", {"a|fieldref": "b"}, {"a": "xyz", "b": "x*"}, False),
    # encodings
    ("base64", {"a|base64": "foo"}, {"a": "Zm9v"}, True),
    ("base64 at any offset", {"a|base64offset|contains": "foobar"}, {"a": "eGZvb2Jhcg=="}, True),
    ("wide", {"a|wide|base64offset|contains": "ping"}, {"a": "cABpAG4AZwA="}, True),
    ("utf16le is wide", {"a|utf16le|base64offset|contains": "ping"}, {"a": "cABpAG4AZwA="}, True),
    ("utf16be", {"a|utf16be|base64": "ping"}, {"a": "AHAAaQBuAGc="}, True),
    ("utf16 has a byte order mark", {"a|utf16|base64": "ping"}, {"a": "//5wAGkAbgBnAA=="}, True),
    ("windash", {"a|windash|contains": " -enc"}, {"a": "x /enc y"}, True),
    ("windash with an en dash", {"a|windash|contains": " -enc"}, {"a": "x –enc y"}, True),
    # times
    ("hour of a time", {"a|hour": 11}, {"a": "2026-03-02T11:20:05Z"}, True),
    ("hour is that of UTC", {"a|hour": 9}, {"a": "2026-03-02T11:20:05+02:00"}, True),
    ("a time without zone is UTC", {"a|minute": 20}, {"a": "2026-03-02T11:20:05"}, True),
    ("seconds since 1970", {"a|year": 2001}, {"a": 1_000_000_000}, True),
    ("milliseconds since 1970", {"a|year": 2001}, {"a": 1_000_000_000_000}, True),
    ("week", {"a|week": 10}, {"a": "2026-03-02T11:20:05Z"}, True),
    ("a part compared", {"a|hour|gte": 20}, {"a": "2026-03-02T11:20:05Z"}, False),
    ("what is no time", {"a|day": 2}, {"a": "yesterday"}, False),
    ("nine decimals", {"a|month": 3}, {"a": "2026-03-02T11:20:05.123456789Z"}, True),
]


@pytest.mark.parametrize(
    ("selection", "event", "expected"), [row[1:] for row in VALUES], ids=[row[0] for row in VALUES]
)
def test_a_value_is_tested_as_the_table_says(
    selection: dict[str, Any], event: dict[str, Any], *, expected: bool
) -> None:
    assert matches(selection, event) is expected


PATHS: list[tuple[str, dict[str, Any], bool]] = [
    ("nested maps", {"a": {"b": {"c": "x"}}}, True),
    ("a flat key with dots", {"a.b.c": "x"}, True),
    ("partly nested, partly flat", {"a": {"b.c": "x"}}, True),
    ("a list of maps on the way", {"a": [{"b": {"c": "y"}}, {"b": {"c": "x"}}]}, True),
    ("another case on the way", {"A": {"B": {"c": "x"}}}, True),
    ("a scalar on the way", {"a": "x"}, False),
    ("null on the way", {"a": None}, False),
    ("both spellings are looked at", {"a": {"b": {"c": "y"}, "b.c": "x"}}, True),
]


@pytest.mark.parametrize(("event", "expected"), [row[1:] for row in PATHS], ids=[row[0] for row in PATHS])
def test_a_dotted_name_finds(event: dict[str, Any], *, expected: bool) -> None:
    assert matches({"a.b.c": "x"}, event) is expected


def test_a_number_in_a_path_takes_that_element() -> None:
    event = {"a": [{"b": "x"}, {"b": "y"}]}
    assert matches({"a.1.b": "y"}, event)
    assert not matches({"a.0.b": "y"}, event)
    assert not matches({"a.7.b": "y"}, event)


def test_a_key_with_slash_and_dots_is_found() -> None:
    event = {"annotations": {"authorization.k8s.io/decision": "allow"}}
    assert matches({"annotations.authorization.k8s.io/decision": "allow"}, event)


def test_the_ecs_document_answers_where_the_vendor_is_silent() -> None:
    assert matches({"event.outcome": "success"}, {"eventName": "x"}, ecs={"event": {"outcome": "success"}})


def test_the_vendor_answers_first() -> None:
    assert not matches({"user.name": "b"}, {"user": {"name": "a"}}, ecs={"user": {"name": "b"}})


def test_an_alias_leads_to_the_vendor_tree_or_to_ecs() -> None:
    aliases = {"hostPath": "spec.volumes.hostPath.path", "who": "user.name"}
    assert matches({"hostPath": "/"}, {"spec": {"volumes": [{"hostPath": {"path": "/"}}]}}, aliases=aliases)
    assert matches({"who": "jane"}, {}, ecs={"user": {"name": "jane"}}, aliases=aliases)


KEYWORDS: list[tuple[str, Any, dict[str, Any], bool]] = [
    ("in any value", ["mimikatz"], {"a": {"b": ["x", "run MIMIKATZ now"]}}, True),
    ("not in names", ["mimikatz"], {"mimikatz": "x"}, False),
    ("one of several", ["one", "two"], {"a": "two"}, True),
    ("all of several", {"|all": ["one", "two"]}, {"a": "one", "b": "two"}, True),
    ("all of several, one missing", {"|all": ["one", "two"]}, {"a": "one"}, False),
    ("a number equals a value", [403], {"a": 403}, True),
    ("a number is no part of one", [403], {"a": 4031}, False),
    ("a pattern", {"|re": "^x\\d$"}, {"a": ["x1"]}, True),
]


@pytest.mark.parametrize(("keywords", "event", "expected"), [row[1:] for row in KEYWORDS], ids=[r[0] for r in KEYWORDS])
def test_keywords_are_sought_in_all_values(keywords: Any, event: dict[str, Any], *, expected: bool) -> None:
    assert matches(keywords, event) is expected


CONDITIONS: list[tuple[str, dict[str, Any], bool]] = [
    ("sel_a and sel_b", {"a": "x", "b": "y"}, True),
    ("sel_a and not sel_b", {"a": "x"}, True),
    ("sel_a and not sel_b", {"a": "x", "b": "y"}, False),
    ("not sel_a", {"b": "y"}, True),
    ("not sel_a", {"a": ["z", "x"]}, False),
    ("1 of sel_*", {"b": "y"}, True),
    ("all of sel_*", {"b": "y"}, False),
    ("all of sel_*", {"a": "x", "b": "y"}, True),
    ("1 of them", {"b": "y"}, True),
    ("1 of them", {"hidden": "z"}, False),
    ("all of them", {"a": "x", "b": "y", "hidden": "other"}, True),
    ("sel_a and (sel_b or _hidden)", {"a": "x", "hidden": "z"}, True),
    ("sel_a or sel_b and _hidden", {"a": "x"}, True),
    ("not 1 of sel_*", {"c": "x"}, True),
]


@pytest.mark.parametrize(("condition", "event", "expected"), CONDITIONS)
def test_a_condition_joins_selections(condition: str, event: dict[str, Any], *, expected: bool) -> None:
    selections = {"sel_a": {"a": "x"}, "sel_b": {"b": "y"}, "_hidden": {"hidden": "z"}}
    assert fires({**selections, "condition": condition}, View(event)) is expected


def test_a_list_of_maps_is_an_or_of_maps() -> None:
    selection = [{"a": "x", "b": "y"}, {"c": "z"}]
    assert matches(selection, {"c": "z"})
    assert not matches(selection, {"a": "x"})


def test_several_conditions_are_an_or() -> None:
    detection = {"one": {"a": 1}, "two": {"b": 2}, "condition": ["one", "two"]}
    assert fires(detection, View({"b": 2}))
    assert not fires(detection, View({"c": 3}))


def test_placeholders_are_replaced_by_each_of_their_values() -> None:
    values = {"admins": ["alice", "ops-*"]}
    assert matches({"user|expand": "%admins%"}, {"user": "ops-7"}, placeholders=values)
    assert matches({"user|contains|expand": "arn:%admins%"}, {"user": "x arn:alice y"}, placeholders=values)
    assert not matches({"user|expand": "%admins%"}, {"user": "bob"}, placeholders=values)


def test_placeholders_in_patterns_are_literal() -> None:
    values = {"host": ["a.b"]}
    assert matches({"h|re|expand": "^%host%$"}, {"h": "a.b"}, placeholders=values)
    assert not matches({"h|re|expand": "^%host%$"}, {"h": "axb"}, placeholders=values)
