"""Whatever the bytes, only refusals; whatever the types, a document that the index takes."""

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.formats.kubernetes_audit.format import FORMAT
from ingest.formats.kubernetes_audit.redaction import redact
from ingest.schema.errors import RejectedRecord
from tests.ingest.formats.kubernetes_audit.conformity import cases, faults, record, shared_lines

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**64), 10**300, 0, 403])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["1.2.3.4:80", "::1", "999.1.1.1", "true", "arn:aws:iam::1:user/x", "403", "é" * 40_000])
    | st.sampled_from(["2026-02-30T00:00:00.000000Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "{}"])
)
NAMES = st.text(max_size=4) | st.sampled_from(["", ".", " ", "a\0b", "a.b", "arn", "spec", "username", "k" * 600])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
TOP_NAMES = st.sampled_from(
    """
    auditID stage verb requestURI user impersonatedUser sourceIPs userAgent objectRef responseStatus requestObject
    responseObject annotations stageTimestamp requestReceivedTimestamp timestamp message log properties protoPayload
    labels operation resource kind apiVersion
    """.split()  # noqa: SIM905 - a table of names reads better as one
)
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
            b'"auditID"',
            b'"stageTimestamp"',
            b'"x"',
            b"1",
            b"null",
            b"\n",
        ]
    )
    | st.binary(max_size=3),
    max_size=30,
).map(b"".join)
REAL = [
    json.loads(line)["items"][index]
    for line in shared_lines("kubernetes_webhook/batches.ndjson.gz")
    for index in (0, -1)
]
EVENTS = [*(json.loads(record(case)) for case in cases()), *REAL]
OBJECTS = [event for event in EVENTS if isinstance(event, dict)]
BOUNDED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _read_all(text: bytes) -> dict[str, Any] | None:
    """Identify, view, redact and normalise; the document, or None when one of them refused."""
    redact(text)
    try:
        FORMAT.identify(text)
        FORMAT.view(text)
        return FORMAT.normalise(text)
    except RejectedRecord:
        return None


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
        document = _read_all(text)
        assert document is None or faults(document) == []


@BOUNDED
@given(st.dictionaries(TOP_NAMES, JSON, max_size=10))
def test_any_object_with_the_names_of_an_event_is_refused_or_fits_the_index(event: dict[str, Any]) -> None:
    document = _read_all(json.dumps(event).encode())
    assert document is None or faults(document) == []


@BOUNDED
@given(st.sampled_from(EVENTS), JSON, st.data())
def test_a_part_of_any_other_type_never_raises_and_fits_the_index(event: Any, odd: Any, data: st.DataObject) -> None:
    mutated = copy.deepcopy(event)
    place: Any = mutated
    while isinstance(place, (dict, list)) and place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            place[key] = odd
            break
        place = place[key]
    document = _read_all(json.dumps(mutated).encode())
    assert document is None or faults(document) == []


@pytest.mark.parametrize("part", ["user", "objectRef", "responseStatus", "requestObject", "annotations", "sourceIPs"])
@pytest.mark.parametrize("odd", ["text", 7, True, None, [], [[]], {}, {"a": {"b": []}}, 10**30])
def test_a_part_of_another_type_does_not_lose_the_event(part: str, odd: Any) -> None:
    event = json.loads(record("forbidden_403"))
    document = _read_all(json.dumps({**event, part: odd}).encode())
    assert document is not None
    assert faults(document) == []


@pytest.mark.parametrize("depth", [900, 2_000, 100_000])
def test_deep_nesting_is_mapped_or_refused(depth: int) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    text = (
        b'{"auditID":"a","verb":"get","stageTimestamp":"2026-11-22T08:01:39Z","requestObject":{"token":'
        + nested
        + b"}}"
    )
    document = _read_all(text)
    assert (document is not None) == (depth < 1000)
    assert _split(b'{"items":[' + text + b"," + text + b"]}") == [text, text]


@BOUNDED
@given(events=st.lists(st.sampled_from(OBJECTS), min_size=1, max_size=5), as_lines=st.booleans())
def test_joining_split_records_loses_no_byte(*, events: list[Any], as_lines: bool) -> None:
    texts = [json.dumps(event).encode() for event in events]
    body = b"\r\n".join(texts) if as_lines else b'{"kind":"EventList","items":[' + b" ,\n".join(texts) + b"]}\n"
    assert b"".join(FORMAT.split(body)) == b"".join(texts)
