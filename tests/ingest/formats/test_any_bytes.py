"""Every format: whatever the bytes, only refusals; whatever the types, documents that the index takes."""

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.formats.registry import all_formats
from ingest.schema.errors import RejectedRecord
from tests.ingest.formats.conformity import Golden

GOLDEN = {name: Golden(format_) for name, format_ in all_formats().items()}
ODD_TEXTS = [
    *("", "-", "1.2.3.4:80", "::1", "999.1.1.1", "true", "7", "é" * 8_000, "é" * 40_000, "a\0b", "{}", "[1]", "null"),
    *("2026-02-30T00:00:00.1Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", '{"a": {"b": [1, {"c": null}]}}'),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**64), 10**300, 0, 10**17])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(ODD_TEXTS)
)
NAMES = st.text(max_size=4) | st.sampled_from(["", ".", " ", "a\0b", "a.b", "k" * 600, "id", "type", "name", "value"])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
PARTS = [b"{", b"}", b"[", b"]", b",", b":", b'"Records"', b'"logEvents"', b'"message"', b'"x"', b"1", b"null", b"\n"]
FRAGMENTS = st.lists(st.sampled_from(PARTS) | st.binary(max_size=3), max_size=30).map(b"".join)
BOUNDED = settings(max_examples=40)
every_format = pytest.mark.parametrize("name", GOLDEN)


def _records(golden: Golden) -> list[bytes]:
    return [record for case in golden.cases() for record in golden.records(case)]


def _is_object(record: bytes) -> bool:
    return record.startswith(b"{")


def _object_in(text: Any) -> Any:
    """The JSON object that stands in a text; None where there is none, though the text may begin like one."""
    if not isinstance(text, str) or not text.startswith("{"):
        return None
    with contextlib.suppress(json.JSONDecodeError):
        return json.loads(text)
    return None


def _mutated(place: Any, odd: Any, data: st.DataObject) -> None:
    """Put something odd anywhere into an object, also into JSON that stands in a text."""
    while isinstance(place, (dict, list)) and place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = _object_in(place[key])
        if inner and data.draw(st.booleans()):
            _mutated(inner, odd, data)
            place[key] = json.dumps(inner)
            break
        if not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            place[key] = odd
            break
        place = place[key]


@every_format
@BOUNDED
@given(st.binary(max_size=200) | FRAGMENTS | st.text(max_size=50).map(str.encode))
def test_arbitrary_bytes_are_refused_and_nothing_else(name: str, body: bytes) -> None:
    golden = GOLDEN[name]
    golden.format.recognise(body)
    reader = golden.format.within(golden.format.context(body))
    records = [body]
    with contextlib.suppress(RejectedRecord):
        for record in golden.format.split(body):
            records.append(record)  # noqa: PERF402 - what comes before a fault is kept
    for record in records:
        document = golden.read_all(record, reader)
        assert document is None or golden.faults(_complete(golden, document)) == []


@every_format
@BOUNDED
@given(JSON, st.data())
def test_a_part_of_any_other_type_never_raises_and_fits_the_index(name: str, odd: Any, data: st.DataObject) -> None:
    golden = GOLDEN[name]
    record = data.draw(st.sampled_from([one for one in _records(golden) if _is_object(one)]))
    mutated = copy.deepcopy(json.loads(record.decode("utf-8", "replace")))
    _mutated(mutated, odd, data)
    document = golden.read_all(json.dumps(mutated).encode(), golden.format)
    assert document is None or golden.faults(_complete(golden, document)) == []


@every_format
@BOUNDED
@given(st.data())
def test_a_word_of_any_other_kind_never_raises_and_fits_the_index(name: str, data: st.DataObject) -> None:
    golden = GOLDEN[name]
    case = data.draw(st.sampled_from(golden.cases()))
    words = data.draw(st.sampled_from(golden.records(case))).split(b" ")
    words[data.draw(st.integers(0, len(words) - 1))] = data.draw(st.sampled_from(ODD_TEXTS)).encode()
    document = golden.read_all(b" ".join(words), golden.reader(case))
    assert document is None or golden.faults(_complete(golden, document)) == []


@every_format
def test_a_body_cut_anywhere_gives_records_before_the_cut_or_a_refusal(name: str) -> None:
    golden = GOLDEN[name]
    for case in golden.cases()[:5]:
        body = golden.body(case)
        for end in range(0, len(body), max(1, len(body) // 20)):
            golden.format.recognise(body[:end])
            golden.format.context(body[:end])
            with contextlib.suppress(RejectedRecord):
                assert all(record in body for record in golden.format.split(body[:end]))


def _complete(golden: Golden, document: dict[str, Any]) -> dict[str, Any]:
    """With what the pipeline adds where a format leaves it out."""
    names = {"module": golden.format.name.partition(".")[0], "dataset": golden.format.dataset}
    return {**document, "event": {**names, **document["event"]}}
