"""Records of a body: exact slices, in order, none lost, neighbours of a fault unharmed."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsing import json_slices
from ingest.parsing.json_scan import scan_value, skip_blank
from ingest.parsing.json_slices import split_objects
from ingest.schema.errors import MalformedBody

KEYS = ("items", "Records")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=15,
)
OBJECT = st.dictionaries(st.text(max_size=4), JSON, max_size=4)
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b'"items"',
            b'"a"',
            b'"',
            b"\\",
            b"1",
            b"null",
            b"tru",
            b" ",
            b"\n",
            b"\r\n",
        ]
    )
    | st.binary(max_size=3),
    max_size=40,
).map(b"".join)


def split(body: bytes) -> tuple[list[bytes], MalformedBody | None]:
    """The records, and the fault that ended the body."""
    records = []
    try:
        for record in split_objects(body, KEYS):
            records.append(record)  # noqa: PERF402 - what comes before a fault is kept
    except MalformedBody as fault:
        return records, fault
    return records, None


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (b"", []),
        (b" \r\n\t\n", []),
        (b"\xef\xbb\xbf", []),
        (b'\xef\xbb\xbf{"a":1}\n', [b'{"a":1}']),
        (b'{"Records":[]}', []),
        (b'{"Records":[{"a" : 1}, null ,3,"x",[{}]]}', [b'{"a" : 1}', b"null", b"3", b'"x"', b"[{}]"]),
        (b'{"kind":"EventList","items":[{"a":1},{"b":2}],"metadata":{}}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{\n  "items" : [\n    {"a":\n1},\n    {"b":2}\n  ]\n}', [b'{"a":\n1}', b'{"b":2}']),
        (b'[ {"a":1} ,{"b":2}]', [b'{"a":1}', b'{"b":2}']),
        (b'[\n{"a":1},\n{"b":2}\n]\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\n\n{"b":2}\r\n  \r\n{"c":3}', [b'{"a":1}', b'{"b":2}', b'{"c":3}']),
        (b'{"items":[{"a":1}]}\n{"b":2}\n{ "items": [{"c":3}] }\n', [b'{"a":1}', b'{"b":2}', b'{"c":3}']),
        (b'{\n "a": {},\n "b": [1]\n}\n', [b'{\n "a": {},\n "b": [1]\n}']),
        (b'{"a":1}{"b":2} [3,4]', [b'{"a":1}', b'{"b":2}', b"3", b"4"]),
        (b'{\n"a":1}\n{\n"b":2}', [b'{\n"a":1}', b'{\n"b":2}']),
        (b'{"x":{"items":[1]}}', [b'{"x":{"items":[1]}}']),
        (b'{"items":null}', [b'{"items":null}']),
        (b'{"items":{"a":[1]}}', [b'{"items":{"a":[1]}}']),
        (b'{"a":"\x0b\x0c\xc2\x85\xe2\x80\xa8"}\n{"b":1}', [b'{"a":"\x0b\x0c\xc2\x85\xe2\x80\xa8"}', b'{"b":1}']),
        (b'{"a":"\\"}{[\\\\"}\n{"b":1}', [b'{"a":"\\"}{[\\\\"}', b'{"b":1}']),
        (b"null", [b"null"]),
        (b'[{"a":"\\ud800"},{"b":"\xff"}]', [b'{"a":"\\ud800"}', b'{"b":"\xff"}']),
    ],
)
def test_every_form_of_body_gives_its_exact_records(body: bytes, records: list[bytes]) -> None:
    assert split(body) == (records, None)


def test_lists_under_one_key_twice_and_under_two_keys_are_all_taken() -> None:
    body = b'{"items":[{"a":1}],"items":[{"b":2}],"Records":[{"c":3}]}'
    assert split(body) == ([b'{"a":1}', b'{"b":2}', b'{"c":3}'], None)


def test_a_record_that_is_no_json_inside_is_delivered_for_others_to_judge() -> None:
    assert split(b'[{"a":NaN},{"b":tru},{"c":1}]') == ([b'{"a":NaN}', b'{"b":tru}', b'{"c":1}'], None)


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (b'{"a":1}\n{"b":\n{"c":3}\n', [b'{"a":1}', b'{"b":', b'{"c":3}']),
        (b'{"a":1}\n{"b":"x\n{"c":3}\n', [b'{"a":1}', b'{"b":"x', b'{"c":3}']),
        (b'{"a":1}\n{"b":[1,{"x":\r\n{"c":3}\n', [b'{"a":1}', b'{"b":[1,{"x":', b'{"c":3}']),
        (b'{"a":1}\nx":2}}\n{"c":3}\n', [b'{"a":1}', b'x":2}}', b'{"c":3}']),
        (b'{"a":1}\nplain words\n{"c":3}', [b'{"a":1}', b"plain words", b'{"c":3}']),
        (b'{"a":1} rest\n{"c":3}', [b'{"a":1}', b"rest", b'{"c":3}']),
        (b'{"a":1}\n{"c"', [b'{"a":1}', b'{"c"']),
        (b'{"b":\n{"c":3}\n', [b'{"b":', b'{"c":3}']),
        (b'bad\nworse\n{"c":3}\n', [b"bad", b"worse", b'{"c":3}']),
        (b'{"a":1}\n{"items":[{"b":2},{"x"\n{"c":3}', [b'{"a":1}', b'{"items":[{"b":2},{"x"', b'{"c":3}']),
        (b'{"a":1}\n[\n{"b":2}\n]\n{"c":3}', [b'{"a":1}', b'{"b":2}', b'{"c":3}']),
    ],
)
def test_a_broken_line_is_delivered_alone_and_its_neighbours_are_unharmed(body: bytes, records: list[bytes]) -> None:
    assert split(body) == (records, None)


@pytest.mark.parametrize(
    ("body", "records", "place", "why"),
    [
        (b'{"items":[{"a":1},{"b":]}', [b'{"a":1}'], 23, "a value is expected"),
        (b'{"items":[{"a":1} {"b":2}]}', [b'{"a":1}'], 18, "a comma or ] is expected"),
        (b'{"items":[{"a":1},{"b":2}', [b'{"a":1}', b'{"b":2}'], 25, "the text ends inside a value"),
        (b'\xef\xbb\xbf[{"a":1},{"b"', [b'{"a":1}'], 16, "the text ends inside a value"),
        (b'[\n{"a":1},\n{"b":2},\n{"c"', [b'{"a":1}', b'{"b":2}'], 24, "the text ends inside a value"),
        (b'[{"a":1},{"b":2]]', [b'{"a":1}'], 15, "a comma or } is expected"),
        (b'{"a":1}x', [b'{"a":1}'], 7, "no JSON value begins here"),
        (b"hello\nworld", [], 0, "no JSON value begins here"),
        (b"\xff\xfe{\0}\0", [], 0, "no JSON value begins here"),
        (b'{"a"', [], 4, "the text ends inside a value"),
        (b"{1:2}", [], 1, "a key in quotes is expected"),
        (b'{"a" 1}', [], 5, "a colon is expected"),
    ],
)
def test_records_before_a_fault_come_first_and_the_fault_names_its_byte(
    body: bytes, records: list[bytes], place: int, why: str
) -> None:
    found, fault = split(body)
    assert found == records
    assert fault is not None
    assert (fault.where, why in fault.what) == (f"byte {place}", True)


@pytest.mark.parametrize("depth", [2_000, 1_000_000])
def test_hostile_nesting_is_one_record_and_its_neighbour_is_another(depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    assert split(b'{"items":[' + deep + b',{"b":1}]}') == ([deep, b'{"b":1}'], None)
    assert split(deep + b'\n{"b":1}\n') == ([deep, b'{"b":1}'], None)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b"[\n" * 200_000,
        b'{"a":1}\n' + b"[\n" * 200_000,
        b'{"a":1}\n' + b"[\n" * 100_000 + b"x",
        b'{"a":\n' * 100_000,
        b'"' * 200_000,
        b'{"a":"' + b"\\n" * 500_000 + b'"}x',
        b"1 " * 100_000 + b"x",
        b'{"a":1} ' * 50_000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_the_work_stays_linear_in_the_size_of_the_body(body: bytes) -> None:
    started = time.process_time()
    split(body[: len(body) // 4])
    quarter = time.process_time() - started
    started = time.process_time()
    split(body)
    assert time.process_time() - started < 12 * quarter + 0.5


@settings(max_examples=300, deadline=None)
@given(FRAGMENTS | st.binary(max_size=80))
def test_slices_of_arbitrary_bytes_are_in_order_and_do_not_overlap(body: bytes) -> None:
    at = 0
    for record in split(body)[0]:
        found = body.find(record, at)
        assert found >= at
        assert record.strip(b" \t\r\n") == record != b""
        at = found + len(record)


@settings(max_examples=200, deadline=None)
@given(st.lists(OBJECT, max_size=5), st.sampled_from(["lines", "array", "wrapper", "pretty", "joined"]), st.booleans())
def test_joining_the_records_loses_no_byte(values: list[dict[str, Any]], form: str, spaced: bool) -> None:  # noqa: FBT001
    separators = (", ", ": ") if spaced else (",", ":")
    texts = [json.dumps({"x": value}, separators=separators, ensure_ascii=spaced).encode() for value in values]
    body = {
        "lines": b"\r\n".join(texts) + b"\n",
        "array": b"[" + b" ,\n".join(texts) + b"]",
        "wrapper": b'{"kind":"List","items":[' + b",".join(texts) + b"]}",
        "pretty": b'{\n "items": [\n  ' + b",\n  ".join(texts) + b"\n ]\n}\n",
        "joined": b"".join(texts),
    }[form]
    assert split(body) == (texts, None)


@settings(max_examples=200, deadline=None)
@given(JSON, st.sampled_from([None, 1]))
def test_the_fast_way_and_the_scanner_agree(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent, separators=(",", ":") if indent is None else None).encode()
    plain = json_slices._plain(text, KEYS)
    scan = scan_value(text, 0, len(text), frozenset(key.encode() for key in KEYS))
    assert scan.fault == ""
    assert skip_blank(text, scan.end) == len(text)
    if plain is not None and b"\\" not in text:
        lines = json_slices._Lines(text, KEYS, lambda _value: False)
        assert plain == list(lines._values(0, len(text)))


def test_a_slice_is_a_copy_and_keeps_no_body_alive() -> None:
    (record,) = split_objects(bytearray(b'{"items":[{"a":1}]}'), KEYS)
    assert type(record) is bytes


@pytest.mark.parametrize(
    "value",
    [
        b'{"request":{"Records":[{"a":1},{"b":2}]},"id":"1"}',
        b'{"text":"\\"Records\\":[1,2]"}',
        b'{"Rec\\u006frds":[{"a":1}]}',
        b'{"Records":"none"}',
        b'{"Records":{"0":[1]}}',
    ],
)
def test_what_only_looks_like_a_list_of_records_is_one_record(value: bytes) -> None:
    assert list(split_objects(value, ("Records", "items"))) == [value]
    assert list(split_objects(value + b"\n" + value, ("Records", "items"))) == [value, value]


@pytest.mark.parametrize(
    "value",
    [
        b'{"items":[],"auditID":"1"}',
        b'{"auditID":"1","items":[]}',
        b'{"items":[],"Records":[],"a":{}}',
        b'{"items":{"a":1},"Records":[]}',
        b'{"items":[],"metadata":{"a":1}}',
        b'{"items":[],"items":[],"a":1}',
    ],
)
@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("beside", [b"", b'{"b":2}\n'])
def test_an_object_whose_lists_are_empty_and_that_says_something_else_does_not_vanish(
    value: bytes,
    spaced: bool,  # noqa: FBT001
    beside: bytes,
) -> None:
    value = value.replace(b",", b" ,\n ") if spaced else value
    assert list(split_objects(beside + value + b"\n" + beside, KEYS)) == [
        *([beside.strip()] if beside else []),
        value,
        *([beside.strip()] if beside else []),
    ]


@pytest.mark.parametrize(
    "value",
    [
        b'{"items":[]}',
        b'{"items":[],"Records":[]}',
        b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[]}',
        b'{"items":[],"NextToken":"n"}',
        b"[]",
        b"{}\n[ ]",
    ],
)
@pytest.mark.parametrize("spaced", [False, True])
def test_an_answer_that_found_nothing_has_no_record(value: bytes, spaced: bool) -> None:  # noqa: FBT001
    value = value.replace(b",", b" ,\n ").replace(b"[]", b"[ ]") if spaced else value
    assert [each for each in split_objects(value, KEYS) if each != b"{}"] == []


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize(
    ("value", "records", "left"),
    [
        (b'{"items":[{"a":1},{"a":2}],"odd":3}', [b'{"a":1}', b'{"a":2}'], "'odd'"),
        (b'{"b":1,"items":[{"c":1}],"Records":[{"a":2}]}', [b'{"c":1}', b'{"a":2}'], "'b'"),
        (b'{"items":[{"b":1}],"Records":{"x":1}}', [b'{"items":[{"b":1}],"Records":{"x":1}}'], ""),
        (b'{"a":1,"items":[{"a":2}]}', [b'{"a":1,"items":[{"a":2}]}'], ""),
        (b'{"items":["x","y"],"b":1}', [b'{"items":["x","y"],"b":1}'], ""),
        (b'{"kind":"EventList","metadata":{"k":1},"items":[{"a":1}],"nextToken":"t"}', [b'{"a":1}'], ""),
    ],
)
def test_what_stands_beside_a_list_of_records_is_never_left_behind_unseen(
    value: bytes,
    records: list[bytes],
    left: str,
    spaced: bool,  # noqa: FBT001
) -> None:
    if spaced:
        value = value.replace(b'"items":', b'"items": ')
        records = [each.replace(b'"items":', b'"items": ') for each in records]

    def claims(candidate: bytes) -> bool:
        return "a" in json.loads(candidate)

    found: list[bytes] = []
    told = ""
    try:
        for record in split_objects(value + b'\n{"a":9}', KEYS, claims):
            found.append(record)  # noqa: PERF402 - what comes before a fault is kept
    except MalformedBody as fault:
        told = str(fault)
    assert found == [*records, b'{"a":9}']
    assert (left in told) if left else not told


@given(st.dictionaries(st.text(max_size=4) | st.sampled_from(KEYS), JSON, max_size=4), st.booleans())
def test_each_member_of_an_object_is_in_a_record_or_told(
    value: dict[str, Any],
    indented: bool,  # noqa: FBT001
) -> None:
    text = json.dumps(value, indent=1 if indented else None, separators=(",", ":")).encode()
    records, fault = split(text)
    lists = [key for key in value if key in KEYS and isinstance(value[key], list)]
    if records != [text] and any(value[key] for key in lists):
        assert fault is not None or set(lists) == set(value)
