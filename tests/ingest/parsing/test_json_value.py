"""One JSON value, read the same way whichever reader had to read it."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsing.json_careful import MAX_DEPTH, JsonFault, read_json
from ingest.parsing.json_value import json_text, parse_object
from ingest.schema.errors import MalformedRecord

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
BROKEN = st.binary(max_size=40) | st.lists(
    st.sampled_from(
        [
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b'"',
            b'"a"',
            b"\\",
            b"\\ud800",
            b"1",
            b"-",
            b"0",
            b".",
            b"e9",
            b"true",
            b" ",
        ]
    ),
    max_size=20,
).map(b"".join)


@settings(deadline=None)
@given(JSON)
def test_every_value_is_read_back_by_both_readers(value: Any) -> None:
    for ascii_only in (True, False):
        text = json.dumps({"v": value}, ensure_ascii=ascii_only).encode()
        assert parse_object(text) == {"v": value}
        assert read_json(text) == {"v": value}


@settings(max_examples=400, deadline=None)
@given(BROKEN)
def test_both_readers_accept_the_same_texts(text: bytes) -> None:
    try:
        plain = orjson.loads(text)
    except orjson.JSONDecodeError:
        return  # the careful reader alone decides
    assert read_json(text) == plain


@settings(max_examples=400, deadline=None)
@given(BROKEN)
def test_arbitrary_bytes_are_read_or_refused_and_what_is_read_can_be_encoded(text: bytes) -> None:
    try:
        value = parse_object(b'{"a":' + text + b"}")
    except MalformedRecord:
        return
    json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"kind": 0}', {"kind": 0}),
        (b"\xef\xbb\xbf {} \n", {}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": 1, "b": 123456789012345678901234567890, "a": 2}', {"a": 2, "b": 123456789012345678901234567890}),
        (b'{"a": 18446744073709551615}', {"a": 18446744073709551615}),
        (b'{"a": 18446744073709551616}', {"a": 18446744073709551616}),
        (b'{"a": -9223372036854775809}', {"a": -9223372036854775809}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        (b'{"a": "\\ud800!"}', {"a": "\ufffd!"}),
        (b'{"\\udfff": "\\ud83d\\ude00"}', {"\ufffd": "\U0001f600"}),
        (b'{"a": "\\u0000"}', {"a": "\0"}),
        (b'{"a": -0}', {"a": 0}),
        (b'{"a": 1e2}', {"a": 100.0}),
    ],
)
def test_odd_but_readable_objects(text: bytes, value: dict[str, Any]) -> None:
    assert parse_object(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "ends too early"),
        (b"   ", "ends too early"),
        (b"null", "an object is expected, found null"),
        (b"[{}]", "an object is expected, found list"),
        (b'"{}"', "an object is expected, found str"),
        (b"{} {}", "something follows"),
        (b"{'a': 1}", "a key in quotes"),
        (b'{"a" 1}', "a colon"),
        (b'{"a": 1 "b": 2}', "a comma or }"),
        (b'{"a": [1 2]}', "a comma or ]"),
        (b'{"a": 1,}', "a key in quotes"),
        (b'{"a": [1,]}', "a value is expected"),
        (b'{"a": NaN}', "a value is expected"),
        (b'{"a": -Infinity}', "a comma or }|a value is expected"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": 01}', "a comma or }"),
        (b'{"a": truth}', "a value is expected"),
        (b'{"a": "x', "unterminated string"),
        (b'{"a": "\n"}', "control character"),
        (b'{"a": "\\x"}', "escape"),
        (b'{"a": ' + b"9" * 4301 + b"}", "4300 digits"),
        (b"\x1f\x8b\x08\x00", "a value is expected"),
    ],
)
def test_what_is_no_object_is_refused_with_the_reason(text: bytes, why: str) -> None:
    with pytest.raises(MalformedRecord, match=why) as refused:
        parse_object(text, "message")
    assert refused.value.where == "message"


def test_the_longest_integer_survives() -> None:
    assert parse_object(b'{"a": ' + b"9" * 4300 + b"}")["a"] == 10**4300 - 1


@pytest.mark.parametrize("inner", [b"1", b"123456789012345678901234567890"])
@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
def test_nesting_has_one_limit_for_both_readers(inner: bytes, opening: bytes, closing: bytes) -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' + opening * (depth - 1) + inner + closing * (depth - 1) + b"}"

    assert parse_object(nested(MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 1024, 1025, 2_000, 1_000_000):
        with pytest.raises(MalformedRecord, match="nested deeper than 1000"):
            parse_object(nested(depth))


def test_many_shallow_containers_are_not_deep() -> None:
    assert len(parse_object(b'{"a":[' + b"{}," * 5_000 + b"{}]}")["a"]) == 5_001


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1]}', {"a": [1]}),
        ('"x"', "x"),
        ("7", 7),
        ("null", None),
        ("[aws-sdk-java/2.0]", None),
        ("{'single': 'quotes'}", None),
        ("", None),
        ("NaN", None),
        ("[" * 5_000, None),
        ('"\ud800"', "?"),
    ],
)
def test_a_text_that_may_be_json_gives_its_value_or_nothing(text: str, value: Any) -> None:
    assert json_text(text) == value


def test_the_careful_reader_names_the_place() -> None:
    with pytest.raises(JsonFault, match=r"a comma or \] is expected \(character 8\)"):
        read_json(b'{"a":[1 2]}')
