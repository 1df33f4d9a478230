"""A document that is cut while it is read gives the records of the whole document, and says where it breaks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.formats.registry import format_named
from ingest.parsing.json_slices import split_objects
from ingest.schema.errors import MalformedBody
from skytrail.scan.bodies import bodies, inflated, keys_of
from tests.skytrail.scan.test_bodies import SIZES, chunked

KEYS = ("Records", "items")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["},{", '"},{"a":1', "]}", "\\"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "Records"]), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "Records"]), VALUES, max_size=4)
RECORDS = st.lists(OBJECTS | st.just({"a": [{"a": 1}, {"a": 2}]}) | VALUES, max_size=12)
WRAPPERS = st.dictionaries(st.sampled_from(["Records", "items", "owner", "a"]), RECORDS | VALUES, max_size=4)
WRITINGS = st.sampled_from([{"separators": (",", ":")}, {}, {"indent": 1}, {"indent": 2, "ensure_ascii": False}])


def documents() -> st.SearchStrategy[bytes]:
    def written(value: Any, form: dict[str, Any], around: tuple[str, str]) -> bytes:
        return (around[0] + json.dumps(value, **form) + around[1]).encode("utf-8", "surrogatepass")

    blanks = st.tuples(st.sampled_from(["", " ", "\n", "\ufeff"]), st.sampled_from(["", "\n", " \r\n"]))
    return st.builds(written, RECORDS | WRAPPERS, WRITINGS, blanks)


def listed_in(document: bytes) -> list[Any]:
    """What stands in lists under the keys of wrappers."""
    outer = json.loads(document.decode("utf-8-sig", "surrogatepass"))
    lists = [outer.get(key) for key in KEYS] if isinstance(outer, dict) else []
    return [each for found in lists if isinstance(found, list) for each in found]


def take_into(found: list[bytes], cut: Iterable[bytes], listed: Sequence[Any] = ()) -> None:
    """Take the records; what stands beside them in a wrapper that is not cut is told, and of no concern here."""
    for body in cut:
        try:
            for record in split_objects(body, KEYS, lambda value: json.loads(value) in listed):
                found.append(record)  # noqa: PERF402 - what comes before a fault is kept
        except MalformedBody as fault:
            if "no wrapper has" not in str(fault):
                raise


def taken(data: bytes, sizes: list[int], size: int, listed: Sequence[Any] = ()) -> tuple[list[bytes], bool]:
    """Records of the bodies that a stream of bytes is cut into, and whether a fault was told."""
    found: list[bytes] = []
    try:
        take_into(found, bodies(chunked(data, sizes), size=size, list_keys=lambda _head: KEYS), listed)
    except MalformedBody:
        return found, True
    return found, False


def whole(data: bytes, listed: Sequence[Any] = ()) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    try:
        take_into(found, [data], listed)
    except MalformedBody:
        return found, True
    return found, False


@settings(max_examples=100, deadline=None)
@given(documents(), SIZES, st.integers(1, 60))
@example(b'{"Records":[{"a":"},{"},{"a":[{"a":1},{"a":2}]},{"a":3}],"items":[1,"x",null]}', [7], 10)
def test_the_records_are_those_of_the_whole_document_exactly(data: bytes, sizes: list[int], size: int) -> None:
    listed = listed_in(data)
    assert taken(data, sizes, size, listed) == whole(data, listed)


@settings(max_examples=50, deadline=None)
@given(st.lists(RECORDS, min_size=2, max_size=4), st.sampled_from([None, 1]), SIZES, st.integers(1, 60))
def test_documents_one_after_another_give_the_records_of_each(
    several: list[list[Any]], indent: int | None, sizes: list[int], size: int
) -> None:
    parts = [json.dumps({"Records": records}, indent=indent).encode() for records in several]
    assert taken(b"\n".join(parts), sizes, size) == ([each for part in parts for each in whole(part)[0]], False)


@settings(max_examples=60, deadline=None)
@given(RECORDS, SIZES, st.integers(1, 60), st.data())
def test_a_document_that_is_cut_off_gives_every_complete_record_and_is_told(
    records: list[Any], sizes: list[int], size: int, data: st.DataObject
) -> None:
    document = json.dumps({"Records": records}).encode()
    cut = document[: data.draw(st.integers(2, len(document) - 1))]
    found, told = taken(cut, sizes, size)
    assert told
    assert found == whole(cut)[0]


@pytest.mark.parametrize("size", [10, 1000])
def test_a_fault_is_told_with_its_place_in_the_input(size: int) -> None:
    records = [b'{"n":%d}' % number for number in range(50)]
    document = b'{"Records":[' + b",".join(records) + b',{"n" 50},{"n":51}]}'
    found: list[bytes] = []
    with pytest.raises(MalformedBody, match="a colon is expected") as told:
        take_into(found, bodies(chunked(document, [16]), size=size, list_keys=lambda _head: KEYS))
    assert found == records
    assert told.value.where == f"byte {document.index(b' 50}') + 1}"


@pytest.mark.parametrize("rest", [b"smuggled", b"\n \nsmuggled"])
def test_what_follows_a_document_and_is_none_is_told_with_its_place(rest: bytes) -> None:
    document = b'{"Records":[' + b",".join([b'{"n":1}'] * 50) + b"]}"
    found: list[bytes] = []
    with pytest.raises(MalformedBody, match="no JSON value begins here") as told:
        take_into(found, bodies(chunked(document + rest, [16]), size=40, list_keys=lambda _head: KEYS))
    assert len(found) == 50
    assert told.value.where == f"byte {len(document) + rest.index(b'smuggled')}"


def test_of_damaged_gzip_the_records_before_are_given_and_the_damage_is_told() -> None:
    def damaged() -> Any:
        yield b'{"Records":[{"n":1},{"n":2},{"n'
        raise MalformedBody("inflating gzip: it is cut off after 30 inflated bytes")

    found: list[bytes] = []
    with pytest.raises(MalformedBody, match="cut off after 30"):
        take_into(found, bodies(damaged(), size=10, list_keys=lambda _head: KEYS))
    assert found == [b'{"n":1}', b'{"n":2}']


def test_no_body_is_much_larger_than_asked_whatever_the_size_of_the_document() -> None:
    records = [json.dumps({"a": "x" * 90, "b": [{"a": 1}, {"a": 2}]}).encode() for _ in range(2000)]
    document = b'{"Records": [\n' + b",\n".join(records) + b"\n]}\n"
    cut = list(bodies(chunked(document, [512]), size=4096, list_keys=lambda _head: KEYS))
    assert max(map(len, cut)) < 6000
    assert [record for body in cut for record in split_objects(body, KEYS)] == records


def test_a_record_beyond_the_limit_is_told_and_those_before_it_are_given() -> None:
    document = b'{"Records":[{"n":1},{"n":"' + b"x" * 5000
    found: list[bytes] = []
    with pytest.raises(MalformedBody, match="without a place to cut"):
        take_into(found, bodies(chunked(document, [100]), size=10, limit=1000, list_keys=lambda _head: KEYS))
    assert found == [b'{"n":1}']


def test_the_keys_of_a_document_are_those_of_its_format() -> None:
    trail = b'{"Records":[{"eventVersion":"1.1","eventSource":"s3.amazonaws.com","eventName":"GetObject"}]}'
    assert keys_of(None)(trail) == format_named("aws.cloudtrail").list_keys
    assert keys_of("kubernetes.audit")(trail) == format_named("kubernetes.audit").list_keys
    assert keys_of(None)(b"{}") == ()


def test_what_a_document_says_of_all_its_records_stays_with_the_first_of_them() -> None:
    document = b'{"owner":"1","Records":[' + b",".join([b'{"n":1}'] * 20) + b"]}"
    first, *others = bodies(chunked(document, [32]), size=40, list_keys=lambda _head: KEYS)
    assert first.startswith(b'{"owner":"1","Records":[')
    assert all(other.startswith(b"[") for other in others)


def test_text_that_is_no_json_passes_as_it_is() -> None:
    data = b"2 123456789012 eni-1 " * 100
    assert list(bodies(inflated([data]), size=10)) == [data]
