"""Whatever the bytes, only refusals; whatever the types, a document that the index takes."""

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.formats.azure_records.spelling import SIGN_IN, TOP_NAMES
from ingest.formats.registry import format_named
from ingest.schema.errors import RejectedRecord
from tests.ingest.formats.azure_records.conformity import NAMES, cases, faults, record

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**64), 10**300, 0, 403])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["1.2.3.4:80", "[::1]:99999", "999.1.1.1", "true", "a@b", "live.com#a@b", "é" * 8000, "x" * 40_000]
    )
    | st.sampled_from(["2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00", "http://[x", "{}", "[", '{"a":{"b":1}}'])
)
NAMED = st.text(max_size=4) | st.sampled_from(["", ".", " ", "a\0b", "a.b", "key", "value", "user", "id", "k" * 600])
JSON = st.recursive(
    SCALARS, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(NAMED, inside, max_size=3), max_leaves=12
)
TOP = st.sampled_from([*sorted(TOP_NAMES), "Level", "authorization", "claims", "eventDataId", "timeGenerated", "type"])
INNER = st.sampled_from(
    [*SIGN_IN.split(), "status", "location", "loggedByService", "initiatedBy", "targetResources", "log", "tlsVersion"]
)
RECORDS = [(name, json.loads(record(name, case))) for name, case in cases()]
BOUNDED = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _read_all(name: str, text: bytes) -> dict[str, Any] | None:
    """Recognise, identify, view and normalise; the document, or None when one of them refused."""
    format_ = format_named(name)
    format_.recognise(text)
    try:
        format_.identify(text)
        json.dumps(dict(format_.view(text).vendor))
        return format_.normalise(text)
    except RejectedRecord:
        return None


def _split(body: bytes) -> list[bytes]:
    records = []
    with contextlib.suppress(RejectedRecord):
        for one in format_named("azure.signinlogs").split(body):
            records.append(one)  # noqa: PERF402 - what comes before a fault is kept
    return records


@BOUNDED
@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode), st.sampled_from(NAMES))
def test_arbitrary_bytes_are_refused_and_nothing_else(body: bytes, name: str) -> None:
    for text in [body, *_split(body)]:
        assert _read_all(name, text) is None


@BOUNDED
@given(st.sampled_from(RECORDS), st.dictionaries(TOP, JSON, max_size=6), st.dictionaries(INNER, JSON, max_size=8))
def test_any_members_are_refused_or_fit_the_index(
    case: tuple[str, dict[str, Any]], above: dict[str, Any], inside: dict[str, Any]
) -> None:
    name, event = case
    kept = {key: event[key] for key in ("category", "time", "operationName", "resourceId") if key in event}
    document = _read_all(name, json.dumps({"properties": inside, **kept, **above}).encode())
    assert document is None or faults(format_named(name), document) == []


@BOUNDED
@given(st.sampled_from(RECORDS), JSON, st.data())
def test_a_part_of_any_other_type_never_raises_and_fits_the_index(
    case: tuple[str, dict[str, Any]], odd: Any, data: st.DataObject
) -> None:
    name, event = case
    mutated = copy.deepcopy(event)
    place: Any = mutated
    while isinstance(place, (dict, list)) and place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            place[key] = odd
            break
        place = place[key]
    document = _read_all(name, json.dumps(mutated).encode())
    assert document is None or faults(format_named(name), document) == []


@pytest.mark.parametrize("part", ["identity", "location", "level", "durationMs", "callerIpAddress", "resultType"])
@pytest.mark.parametrize("odd", ["text", 7, True, None, [], [[]], {}, {"a": {"b": []}}, 10**30, 1e300])
@pytest.mark.parametrize(("name", "event"), RECORDS[::7])
def test_a_part_of_another_type_does_not_lose_the_event(name: str, event: dict[str, Any], part: str, odd: Any) -> None:
    document = _read_all(name, json.dumps({**event, part: odd}).encode())
    assert document is not None
    assert faults(format_named(name), document) == []


@pytest.mark.parametrize("depth", [30, 150, 900, 100_000])
def test_deep_nesting_is_mapped_or_refused(depth: int) -> None:
    nested = b'{"password":"x","a":' * depth + b"1" + b"}" * depth
    text = (
        b'{"time":"2026-11-22T08:00:00Z","category":"Administrative","operationName":"A/b/write","properties":{"x":'
        + nested
        + b"}}"
    )
    document = _read_all("azure.activitylogs", text)
    assert (document is not None) == (depth < 200)
    assert document is None or faults(format_named("azure.activitylogs"), document) == []


@BOUNDED
@given(events=st.lists(st.sampled_from(RECORDS), min_size=1, max_size=5), as_lines=st.booleans())
def test_joining_split_records_loses_no_byte(*, events: list[tuple[str, Any]], as_lines: bool) -> None:
    texts = [json.dumps(event).encode() for _, event in events]
    body = b"\r\n".join(texts) if as_lines else b'{"records":[' + b" ,\n".join(texts) + b"]}\n"
    assert _split(body) == texts


@pytest.mark.parametrize("depth", [150, 900, 3_000])
def test_deep_nesting_inside_a_text_does_no_harm(depth: int) -> None:
    text = '{"a":' * depth + "[]" + "}" * depth
    for name, event in RECORDS[::5]:
        for part in ("deviceDetail", "initiatedBy", "log", "requestbody", "authenticationProcessingDetails"):
            mutated = {**event, "properties": {**event["properties"], part: text}} if "properties" in event else event
            document = _read_all(name, json.dumps(mutated).encode())
            assert document is not None
            assert faults(format_named(name), document) == []
