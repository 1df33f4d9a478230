"""Whatever the bytes, only refusals; whatever the types, a document that the index takes."""

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.formats.gcp_audit.format import FORMAT
from ingest.schema.errors import RejectedRecord
from tests.ingest.formats.conformity import Golden

GOLDEN = Golden(FORMAT)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**64), 10**300, 0, 7, 403])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["1.2.3.4:80", "::1", "999.1.1.1", "true", "7", "é" * 8_000, "é" * 40_000, "a\0b"])
    | st.sampled_from(["2026-02-30T00:00:00.1Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "{}"])
)
NAMES = st.text(max_size=4) | st.sampled_from(["", ".", " ", "a\0b", "a.b", "policy", "status", "code", "k" * 600])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
FRAGMENTS = st.lists(
    st.sampled_from([b"{", b"}", b"[", b"]", b",", b":", b'"entries"', b'"protoPayload"', b'"x"', b"1", b"null", b"\n"])
    | st.binary(max_size=3),
    max_size=30,
).map(b"".join)
RECORDS = [json.loads(GOLDEN.record(case)) for case in GOLDEN.cases()]
BOUNDED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _split(body: bytes) -> list[bytes]:
    records = []
    with contextlib.suppress(RejectedRecord):
        for one in FORMAT.split(body):
            records.append(one)  # noqa: PERF402 - what comes before a fault is kept
    return records


@BOUNDED
@given(st.binary(max_size=200) | FRAGMENTS | st.text(max_size=50).map(str.encode))
def test_arbitrary_bytes_are_refused_and_nothing_else(body: bytes) -> None:
    FORMAT.recognise(body)
    for text in [body, *_split(body)]:
        document = GOLDEN.read_all(text)
        assert document is None or GOLDEN.faults(document) == []


@BOUNDED
@given(st.sampled_from(RECORDS), JSON, st.data())
def test_a_part_of_any_other_type_never_raises_and_fits_the_index(record: Any, odd: Any, data: st.DataObject) -> None:
    mutated = copy.deepcopy(record)
    place: Any = mutated
    while isinstance(place, (dict, list)) and place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            place[key] = odd
            break
        place = place[key]
    document = GOLDEN.read_all(json.dumps(mutated).encode())
    assert document is None or GOLDEN.faults(document) == []


PARTS = """
    authenticationInfo authorizationInfo requestMetadata request response status metadata serviceData resourceLocation
    resourceName numResponseItems
""".split()  # noqa: SIM905 - a table of names reads better as one


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("odd", ["...", 7, True, None, [], [[]], {}, {"a": {"b": []}}, 10**30])
def test_a_part_of_another_type_does_not_lose_the_record(part: str, odd: Any) -> None:
    record = json.loads(GOLDEN.record("iam_policy_set"))
    record["protoPayload"][part] = odd
    document = GOLDEN.read_all(json.dumps(record).encode())
    assert document is not None
    assert GOLDEN.faults(document) == []


@pytest.mark.parametrize(("depth", "mapped"), [(15, True), (150, True), (2_000, False), (100_000, False)])
def test_deep_nesting_is_mapped_or_refused(*, depth: int, mapped: bool) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    text = GOLDEN.record("iam_policy_set").replace(b'"serviceData"', b'"request":' + nested + b',"serviceData"', 1)
    text = text.replace(b'"request": {', b'"ignored": {', 1)
    document = GOLDEN.read_all(text)
    assert (document is not None) == mapped
    assert document is None or GOLDEN.faults(document) == []


@BOUNDED
@given(records=st.lists(st.sampled_from(RECORDS), min_size=1, max_size=5), as_lines=st.booleans())
def test_joining_split_records_loses_no_byte(*, records: list[Any], as_lines: bool) -> None:
    texts = [json.dumps(record).encode() for record in records]
    body = b"\r\n".join(texts) if as_lines else b"[" + b" ,\n".join(texts) + b"]\n"
    assert b"".join(FORMAT.split(body)) == b"".join(texts)
