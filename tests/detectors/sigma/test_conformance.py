"""Every modifier and construct of Sigma 2.1, on every road: what it takes, what it leaves, and what an absent field is.

https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html
https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from detectors.sigma.modifiers import MODIFIERS
from detectors.sigma.parse import Placeholders
from tests.detectors.sigma.roads import ROADS, Road

WHEN = "2026-03-02T11:20:05Z"  # a Monday, in ISO week 10
PLACEHOLDERS = {
    "admins": ["alice", "ops-*"],
    "net": ["10.0.0.0/8", "2001:db8::/32"],
    "limit": ["5"],
    "other": ["b"],
    "flag": [" -enc"],
    "dots": ["a.b"],
}
ABSENT = object()
ODD: tuple[Any, ...] = ("", {}, {"x": 1}, False, 10**30, -0.5)  # values that none of the tests below is about


NEGATED: Mapping[str, bool] = {"absent": True, "null": True, "listed": False, "odd": False}


@dataclass(frozen=True)
class Construct:
    """What is asked about the field `a`.

    Attributes:
        asks: Key and values of the selection.
        takes: Values of `a` that pass.
        leaves: Values that do not.
        absent: Whether it holds when `a` is absent.
        null: Whether it holds when `a` is null.
        empty: Whether it holds when `a` is an empty list; None: as when it is absent.
        listed: Whether it holds when some elements of a list pass and others do not.
        beside: Further fields of the event.
        odd: Whether it leaves each of the odd values, too.
    """

    asks: Mapping[str, Any]
    takes: tuple[Any, ...]
    leaves: tuple[Any, ...]
    absent: bool = False
    null: bool = False
    empty: bool | None = None
    listed: bool = True
    beside: Mapping[str, Any] = field(default_factory=dict)
    odd: bool = True

    @property
    def name(self) -> str:
        return ", ".join(f"{key}: {value!r}" for key, value in self.asks.items())


CONSTRUCTS = (
    # plain values
    Construct({"a": "StopLogging"}, ("StopLogging", "stoplogging"), ("StopLoggin", "xStopLogging", " StopLogging")),
    Construct({"a": ["x", "y"]}, ("x", "Y"), ("z", "xy")),
    Construct({"a": ""}, ("",), ("x", " "), odd=False),
    Construct({"a": None}, (), ("x", "", 0, False), absent=True, null=True, listed=False),
    Construct({"a": [None, "x"]}, ("x",), ("y", ""), absent=True, null=True),
    Construct({"a": 5}, (5, 5.0, "5"), (55, "05", "5.0", "five")),
    Construct({"a": -1.5}, (-1.5, "-1.5"), (1.5, -1)),
    Construct({"a": "5"}, (5, "5", 5.0), (55, "05")),
    Construct({"a": True}, (True, "true", "TRUE"), (1, "yes")),
    Construct({"a": False}, (False, "False"), (0, None, "no"), odd=False),
    Construct({"a": "true"}, (True, "True"), (1,)),
    # wildcards and escapes
    Construct({"a": "*"}, ("", "x", 5, False, {}), (), odd=False),
    Construct({"a": "Del*"}, ("Del", "DeleteTrail"), ("xDel", "De")),
    Construct({"a": "a*c"}, ("ac", "abbc", "ac c"), ("a", "acb")),
    Construct({"a": "v?"}, ("v1", "V?"), ("v", "v12")),
    Construct({"a": "*a?c*"}, ("abc", "xxabcxx"), ("ac", "a")),
    Construct({"a": r"\*"}, ("*",), ("x", r"\*")),
    Construct({"a": r"v\?"}, ("v?",), ("v1",)),
    Construct({"a": r"c:\\*"}, ("c:\\", "c:\\x"), ("c:x",)),
    Construct({"a": r"c:\x"}, (r"c:\x",), ("c:x", r"c:\\x")),
    Construct({"a": r"\\*\*"}, (r"\any*",), ("any*", r"\any")),
    # where in the text
    Construct({"a|contains": "log"}, ("StopLogging", "log"), ("lo g", "Stop")),
    Construct({"a|contains": ["log", "trail"]}, ("a Trail", "log"), ("lo",)),
    Construct({"a|contains": 46}, ("x46y", 46, 1460), ("4 6",)),
    Construct({"a|contains": "a?c"}, ("xabcx",), ("ac",)),
    Construct({"a|startswith": "Stop"}, ("StopLogging", "stop"), ("xStop",)),
    Construct({"a|startswith": 40}, (403, "40"), (140,)),
    Construct({"a|endswith": "ging"}, ("StopLogging", "GING"), ("gingx",)),
    Construct({"a|contains|all": ["x", "y"]}, ("xy", "yx"), ("x", "y")),
    Construct({"a|all": ["*x*", "*y*"]}, ("xy",), ("x",)),
    Construct({"a|startswith|all": ["x", "xy"]}, ("xyz",), ("xz",)),
    # letter case
    Construct({"a|cased": "Stop"}, ("Stop",), ("stop", "STOP")),
    Construct({"a|cased|contains": "Stop"}, ("xStopx",), ("xstopx",)),
    Construct({"a|contains|cased": "Stop"}, ("xStopx",), ("xstopx",)),
    Construct({"a|cased|windash": " -Enc"}, (" /Enc",), (" /enc",)),
    Construct({"a|cased": ["Stop", "Go*"]}, ("Stop", "Going"), ("going",)),
    Construct({"a|cased|neq": "Stop"}, ("stop", "x"), ("Stop",), **NEGATED),
    # patterns
    Construct({"a|re": "o.L"}, ("StopLogging",), ("stoplogging", "o\nL")),
    Construct({"a|re": ["^x", "y$"]}, ("xa", "ay"), ("ax", "ya")),
    Construct({"a|re|all": ["^x", "y$"]}, ("xay",), ("xa", "ay")),
    Construct({"a|all|re": ["^x", "y$"]}, ("xay",), ("xa",)),
    Construct({"a|re": "^5+$"}, (5, 555, "5"), (56,)),
    Construct({"a|re": r"a\.b|c\*"}, ("a.b", "c*"), ("axb", "c")),
    Construct({"a|re|i": "w|stop"}, ("STOP", "W"), ("go",)),
    Construct({"a|re|ignorecase": "stop"}, ("Stop",), ("go",)),
    Construct({"a|re|m": "^b$"}, ("a\nb",), ("ab",)),
    Construct({"a|re|multiline": "^b$"}, ("b\na",), ("ab",)),
    Construct({"a|re": "^b$"}, ("b",), ("a\nb",)),
    Construct({"a|re|s": "a.b"}, ("a\nb", "axb"), ("ab",)),
    Construct({"a|re|dotall": "a.b"}, ("a\nb",), ("ab",)),
    Construct({"a|re|i|m|s": "^A.B$"}, ("x\na\nb",), ("ab",)),
    Construct({"a|re|contains": "lo+g"}, ("xloogx",), ("lg",)),
    Construct({"a|re|startswith": "x|y"}, ("xa", "ya"), ("ax", "ay")),
    Construct({"a|re|endswith": "x|y"}, ("ax", "ay"), ("xa", "ya", "ax\n")),
    Construct({"a|neq|re": "^x"}, ("ax",), ("xa",), **NEGATED),
    # networks
    Construct({"a|cidr": "10.0.0.0/8"}, ("10.1.2.3", "::ffff:10.0.0.1"), ("11.1.2.3", "10.1.2.3:80", "aws.com")),
    Construct({"a|cidr": "2001:db8::/32"}, ("2001:db8::1", "2001:DB8:0::2"), ("2001:db9::1", "10.0.0.1")),
    Construct({"a|cidr": ["10.0.0.0/8", "192.168.1.1"]}, ("10.1.1.1", "192.168.1.1"), ("192.168.1.2",)),
    Construct({"a|cidr": "::ffff:10.0.0.0/104"}, ("10.1.2.3", "::ffff:10.0.0.1"), ("11.1.2.3", "::1")),
    Construct({"a|cidr": "::/0"}, ("::1", "2001:db8::1"), ("10.1.2.3", "::ffff:10.0.0.1")),
    Construct({"a|cidr": "0.0.0.0/0"}, ("1.2.3.4",), ("::1", "253.252.51.07", "1.2.3", 16909060)),
    Construct({"a|neq|cidr": "10.0.0.0/8"}, ("11.1.1.1",), ("10.1.1.1",), **NEGATED),
    # whether it is there
    Construct({"a|exists": True}, ("x", "", 0, False, {}), (), null=True, empty=True, odd=False),
    Construct({"a|exists": False}, (), ("x", "", 0, False, {}), absent=True, empty=False, listed=False),
    Construct({"a|neq|exists": True}, (), ("x", ""), absent=True, empty=False, listed=False),
    Construct({"a|neq": None}, ("x", "", 0), (), odd=False),
    # numbers
    Construct({"a|lt": 5}, (4, -7, "4.9", 4.999), (5, "5", 6, "four", "nan", True, "-inf"), odd=False),
    Construct({"a|lte": 5}, (5, "5", 4.5), (5.01, "x", None, []), odd=False),
    Construct({"a|gt": 5}, (6, "5.5", 1e300), (5, 4, "inf", "x"), odd=False),
    Construct({"a|gte": 2.5}, (2.5, "2.5", 3), (2.4, "", True), odd=False),
    Construct({"a|lt": 5}, ("-1.5e3", "+4", ".5", "4."), ("1_0", "\u0661", "0x1", "1e", "--1", "."), odd=False),
    Construct({"a|gt": 2**53}, (2**53 + 1, str(2**53 + 1), 2**63, "1e400"), (2**53, str(2**53), 2**53 - 1), odd=False),
    Construct({"a|lte": str(2**53)}, (2**53, str(2**53)), (2**53 + 1, str(2**53 + 1), f"{2**53}.1"), odd=False),
    Construct({"a|gte": 0.1}, (0.1, "0.1", "0.10", 1), ("0.09999999999999999999", 0), odd=False),
    Construct({"a|gt": 10**30}, (10**30 + 1, str(10**30 + 1)), (str(10**30), 5), odd=False),
    Construct({"a|gte": "5"}, (5, 6), (4, "x"), odd=False),
    Construct({"a|lt": [0, 2]}, (1, -1), (2,), odd=False),
    Construct({"a|gt|all": [0, 2]}, (3,), (1,), odd=False),
    # not equal
    Construct({"a|neq": 5}, (6, "x", ""), (5, "5"), **NEGATED),
    Construct({"a|neq": ["x", "y"]}, ("z",), ("x", "Y"), **NEGATED),
    Construct({"a|neq|all": ["*x*", "*y*"]}, ("x", "y"), ("xy",), **NEGATED),
    Construct({"a|contains|neq": "x"}, ("y",), ("axb",), **NEGATED),
    Construct({"a|neq|gt": 5}, (5, "many"), (6,), **NEGATED),
    # another field
    Construct({"a|fieldref": "b"}, ("me", "ME"), ("mee", "m"), beside={"b": "Me"}),
    Construct({"a|fieldref": "b"}, (5, "5"), (55,), beside={"b": 5}),
    Construct({"a|fieldref": "b"}, ("x", "y"), ("z",), beside={"b": ["x", "y"]}),
    Construct({"a|fieldref": ["b", "c"]}, ("x", "y"), ("z",), beside={"b": "x", "c": "y"}),
    Construct({"a|fieldref|all": ["b", "c"]}, ("x",), ("y",), beside={"b": "x", "c": ["x", "y"]}),
    Construct({"a|fieldref": "b"}, (), ("x", "", "*"), beside={"c": "x"}, listed=False),
    Construct({"a|fieldref": "b"}, ("x*",), ("xyz",), beside={"b": "x*"}),
    Construct({"a|fieldref|startswith": "b"}, ("me too", "me"), ("not me",), beside={"b": "Me"}),
    Construct({"a|fieldref|endswith": "b"}, ("not me",), ("me too",), beside={"b": "Me"}),
    Construct({"a|fieldref|contains": "b"}, ("not me too",), ("m e",), beside={"b": "Me"}),
    Construct({"a|fieldref|cased": "b"}, ("Me",), ("me",), beside={"b": "Me"}),
    Construct({"a|fieldref|neq": "b"}, ("you",), ("me",), beside={"b": "me"}, **NEGATED),
    # placeholders
    Construct({"a|expand": "%admins%"}, ("Alice", "ops-7"), ("bob", "%admins%")),
    Construct({"a|expand": r"\%plain%other%"}, ("%plainb",), (r"\%plainb", "%plain%other%", "plainb")),
    Construct({"a|expand": r"x\%%other%\\%other%"}, (r"x%b\b",), (r"x\%b\b", "x%b%other%")),
    Construct({"a|expand": ["%admins%", "bob"]}, ("alice", "bob"), ("eve",)),
    Construct({"a|contains|expand": "arn:%admins%:"}, ("x arn:ops-1: y",), ("arn:bob:",)),
    Construct({"a|expand|contains|all": ["%admins%", "d"]}, ("alice d", "ops- d"), ("alice", "d")),
    Construct({"a|expand|cased": "%admins%"}, ("alice",), ("Alice",)),
    Construct({"a|re|expand": "^%dots%$"}, ("a.b",), ("axb",)),
    Construct({"a|expand|re": "^%dots%$"}, ("a.b",), ("axb",)),
    Construct({"a|expand|cidr": "%net%"}, ("10.1.1.1", "2001:db8::9"), ("11.1.1.1",)),
    Construct({"a|expand|windash": "%flag%"}, (" -enc", " /enc"), (" enc",)),
    Construct({"a|expand|base64": "%other%"}, ("Yg==",), ("b", "JW90aGVyJQ==")),
    Construct({"a|expand|fieldref": "%other%"}, ("x",), ("y",), beside={"b": "x"}),
    Construct({"a|expand|gte": "%limit%"}, (5, 6), (4,), odd=False),
    Construct({"a|expand": "100%"}, ("100%",), ("100",)),
    # encodings
    Construct({"a|base64": "foo"}, ("Zm9v",), ("foo", "Zm9vYg==")),
    Construct({"a|base64": "é"}, ("w6k=",), ("é",)),
    Construct({"a|base64offset|contains": "foobar"}, ("Zm9vYmFy", "eGZvb2Jhcg==", "eHhmb29iYXJ5"), ("Zm9vYmF6",)),
    Construct({"a|wide|base64": "ab"}, ("YQBiAA==",), ("YWI=",)),
    Construct({"a|utf16le|base64": "é"}, ("6QA=",), ("w6k=",)),
    Construct({"a|utf16be|base64": "ab"}, ("AGEAYg==",), ("YQBiAA==",)),
    Construct({"a|utf16|base64": "ab"}, ("//5hAGIA",), ("YQBiAA==",)),
    Construct({"a|wide|base64offset|contains": "ping"}, ("cABpAG4AZwA=", "eHBpAG4AZwBwAGkAbgBnAA=="), ("cGluZw==",)),
    Construct({"a|wide": "ab"}, ("a\0b\0",), ("ab",)),
    # dashes of Windows
    Construct({"a|windash": " -enc"}, (" -enc", " /enc", " –enc", " —enc", " ―enc"), (" enc", " +enc", "x-enc")),
    Construct({"a|windash|contains": " /enc"}, ("x -enc y", "x ―ENC y"), ("x enc y",)),
    Construct({"a|windash|contains": " –a –b"}, ("x -a /b", "– /a ―b"), ("a b",)),
    Construct({"a|windash|endswith": "-a-b"}, ("x/a-b", "-a-b"), ("-a/b",)),
    # parts of a time, in UTC
    Construct({"a|minute": 20}, (WHEN, "2026-03-02T11:20:59"), ("2026-03-02T11:21:00Z", "20", "noon"), odd=False),
    Construct({"a|hour": 11}, (WHEN, "2026-03-02T13:20:05+02:00"), ("2026-03-02T11:20:05+02:00",), odd=False),
    Construct({"a|hour": [11, 12]}, (WHEN,), ("2026-03-02T10:20:05Z",), odd=False),
    Construct({"a|day": 2}, (WHEN,), ("2026-03-03T11:20:05Z",), odd=False),
    Construct({"a|week": 10}, (WHEN,), ("2026-03-09T11:20:05Z",), odd=False),
    Construct({"a|month": 3}, (WHEN,), ("2026-04-02T11:20:05Z",), odd=False),
    Construct({"a|year": 2026}, (WHEN, 1772450405, 1772450405000), ("2025-03-02T11:20:05Z",), odd=False),
    Construct({"a|hour|gte": 11}, (WHEN,), ("2026-03-02T10:59:59Z", "x"), odd=False),
    Construct({"a|hour|lt": 11}, ("2026-03-02T10:59:59Z",), (WHEN, "x"), odd=False),
    Construct({"a|day|lte": 2}, (WHEN,), ("2026-03-03T00:00:00Z",), odd=False),
    Construct({"a|minute|gt": 19}, (WHEN,), ("2026-03-02T11:19:59Z",), odd=False),
    Construct({"a|hour|neq": 11}, ("2026-03-02T10:59:59Z",), (WHEN,), **NEGATED),
)  # fmt: skip
on_every_road = pytest.mark.parametrize("road", ROADS.values(), ids=ROADS.keys())
of_every_construct = pytest.mark.parametrize("construct", CONSTRUCTS, ids=[one.name for one in CONSTRUCTS])


def cases(construct: Construct) -> Iterator[tuple[Any, bool]]:
    """Values of `a` with what the table says of them."""
    yield from ((value, True) for value in construct.takes)
    yield from ((value, False) for value in (*construct.leaves, *(ODD if construct.odd else ())))
    yield ABSENT, construct.absent
    yield [], construct.absent if construct.empty is None else construct.empty
    yield None, construct.null
    yield [None], construct.null
    yield from (([[value]], True) for value in construct.takes[:1])
    yield from (([*construct.leaves[:1], value], construct.listed) for value in construct.takes[:1] if construct.leaves)
    if construct.leaves and "|all" not in construct.name:  # `all` may be met by different elements
        yield [[value] for value in construct.leaves], False


@on_every_road
@of_every_construct
def test_it_holds_on_what_the_table_says_and_its_not_on_the_rest(road: Road, construct: Construct) -> None:
    table = list(cases(construct))
    events = [{**construct.beside, "z": "q", **({} if value is ABSENT else {"a": value})} for value, _ in table]
    detection = {"selection": construct.asks}
    holds = road({**detection, "condition": "selection"}, events, PLACEHOLDERS)
    assert list(zip(events, holds, strict=True)) == [(e, x) for e, (_, x) in zip(events, table, strict=True)]
    opposite = road({**detection, "condition": "not selection"}, events, PLACEHOLDERS)
    assert opposite == [not one for one in holds]


def test_every_modifier_is_in_the_table() -> None:
    used = {modifier for construct in CONSTRUCTS for key in construct.asks for modifier in key.split("|")[1:]}
    assert used == {*MODIFIERS, "all", "cased", "expand", "neq"}


SELECTIONS: Mapping[str, Any] = {
    "sel_a": {"a": "x"},
    "sel_b": {"b": "y"},
    "sel-c": {"c": ["z", None]},
    "maps": [{"a": "x", "b": "y"}, {"d": "w"}],
    "mixed": [{"a": "m"}, "needle"],
    "words": ["kiwano", 403],
    "both": {"|all": ["kiwano", "lychee"]},
    "_hidden": {"hidden": "h"},
}
CONDITIONS: list[tuple[Any, Mapping[str, Any], bool]] = [
    ("sel_a and sel_b", {"a": "x", "b": "y"}, True),
    ("sel_a and sel_b", {"a": "x"}, False),
    ("sel_a or sel_b", {"b": "y"}, True),
    ("sel_a or sel_b", {}, False),
    ("sel_a and not sel_b", {"a": "x"}, True),
    ("sel_a and not sel_b", {"a": "x", "b": "y"}, False),
    ("not sel_a", {"a": ["q", "x"]}, False),
    ("not not sel_a", {"a": "x"}, True),
    ("not (sel_a or sel_b)", {"c": "z"}, True),
    ("not (sel_a or sel_b)", {"b": "y"}, False),
    ("not (sel_a and sel_b)", {"a": "x"}, True),
    ("sel_a or sel_b and _hidden", {"a": "x"}, True),  # `and` binds closer than `or`
    ("(sel_a or sel_b) and _hidden", {"a": "x"}, False),
    ("not sel_a and sel_b", {"a": "x", "b": "y"}, False),  # `not` binds closest
    ("((sel_a) and (not (sel_b)))", {"a": "x"}, True),
    ("sel-c", {"a": "x"}, True),
    ("sel-c", {"c": "other"}, False),
    ("maps", {"d": "w"}, True),
    ("maps", {"a": "x", "b": "y"}, True),
    ("maps", {"a": "x"}, False),
    ("mixed", {"z": "a NEEDLE in hay"}, True),
    ("mixed", {"a": "m"}, True),
    ("mixed", {"needle": "name"}, False),
    ("words", {"z": {"deep": ["the Kiwano"]}}, True),
    ("words", {"z": 403}, True),
    ("words", {"z": 4031}, False),
    ("both", {"p": "kiwano", "q": ["x", "LYCHEE jam"]}, True),
    ("both", {"p": "kiwano"}, False),
    ("1 of sel_*", {"b": "y"}, True),
    ("1 of sel_*", {"c": "z"}, False),
    ("any of sel_*", {"b": "y"}, True),
    ("all of sel_*", {"b": "y"}, False),
    ("all of sel_*", {"a": "x", "b": "y"}, True),
    ("1 of sel*", {"c": "q"}, False),
    ("1 of sel-*", {"c": "z"}, True),
    ("all of sel*", {"a": "x", "b": "y", "c": "z"}, True),
    ("all of sel*", {"a": "x", "b": "y", "c": "q"}, False),
    ("1 of *_a", {"a": "x"}, True),
    ("1 of sel_a", {"a": "x"}, True),
    ("1 of _*", {"hidden": "h"}, True),
    ("not 1 of sel_*", {"c": "z"}, True),
    ("sel-c and not 1 of sel_*", {"a": "x", "c": "z"}, False),
    ("1 of them", {"c": "q", "hidden": "h"}, False),
    ("1 of them", {"c": "q", "a": "x"}, True),
    ("all of them", {"a": "x", "b": "y", "c": "z", "w": ["a needle", "kiwano", "lychee"]}, True),
    ("all of them", {"a": "x", "b": "y", "c": "z", "w": ["kiwano", "lychee"]}, False),
    (["sel_a", "sel_b and _hidden"], {"a": "x"}, True),
    (["sel_a", "sel_b and _hidden"], {"b": "y", "hidden": "h"}, True),
    (["sel_a", "sel_b and _hidden"], {"b": "y"}, False),
]


@on_every_road
@pytest.mark.parametrize(("condition", "event", "expected"), CONDITIONS)
def test_a_condition_joins_search_identifiers(
    road: Road, condition: Any, event: Mapping[str, Any], *, expected: bool
) -> None:
    assert road({**SELECTIONS, "condition": condition}, [event], {}) == [expected]


@on_every_road
def test_an_event_without_anything_in_it_meets_only_what_is_absent(road: Road) -> None:
    none: Placeholders = {}
    assert road({"s": {"a": None}, "condition": "s"}, [{}], none) == [True]
    assert road({"s": {"a": "*"}, "condition": "s"}, [{}], none) == [False]
    assert road({"s": ["word"], "condition": "s"}, [{}], none) == [False]
