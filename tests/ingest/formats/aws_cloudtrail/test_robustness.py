"""Whatever the bytes, only refusals; whatever the types, a document that the index takes."""

import contextlib
import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.formats.aws_cloudtrail.format import FORMAT
from ingest.schema.errors import RejectedRecord
from tests.ingest.formats.aws_cloudtrail.conformity import cases, faults, raw
from tests.ingest.formats.aws_cloudtrail.public_samples import stratus_events

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**64), 10**300, 0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["1.2.3.4:80", "::1", "999.1.1.1", "true", "arn:aws:iam::1:user/x", "i-01234567", "x" * 40_000])
    | st.sampled_from(["2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z", "Oct 2, 2019 11:12:29 PM", "ConsoleLogin"])
)
NAMES = st.text(max_size=4) | st.sampled_from(
    ["userName", "ARN", "arn", "accountId", "type", ".", "", "a\0b", "message"]
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
TOP_NAMES = st.sampled_from(
    """
    eventName eventSource eventID eventTime userIdentity requestParameters responseElements additionalEventData
    sourceIPAddress userAgent readOnly resources tlsDetails insightDetails digestEndTime digestS3Object logFiles
    recipientAccountId awsRegion errorCode detail detail-type CloudTrailEvent message timestamp eventname USERIDENTITY
    """.split()  # noqa: SIM905 - a table of names reads better as one
)
FRAGMENTS = st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b",", b":", b'"Records"', b'"eventName"', b'"eventTime"', b'"x"', b"1", b"null", b"\n"]
    )
    | st.binary(max_size=3),
    max_size=30,
).map(b"".join)
EVENTS = [json.loads(raw(case).decode("utf-8", "replace")) for case in cases()] + stratus_events()
BOUNDED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _read_all(record: bytes) -> dict[str, Any] | None:
    """Identify, view and normalise; the document, or None when one of them refused."""
    try:
        FORMAT.identify(record)
        FORMAT.view(record)
        return FORMAT.normalise(record)
    except RejectedRecord:
        return None


def _split(body: bytes) -> list[bytes]:
    records = []
    with contextlib.suppress(RejectedRecord):
        for record in FORMAT.split(body):
            records.append(record)  # noqa: PERF402 - what comes before a fault is kept
    return records


@BOUNDED
@given(st.binary(max_size=200) | FRAGMENTS | st.text(max_size=50).map(str.encode))
def test_arbitrary_bytes_are_refused_and_nothing_else(body: bytes) -> None:
    FORMAT.recognise(body)
    for record in [body, *_split(body)]:
        document = _read_all(record)
        assert document is None or faults(document) == []


@BOUNDED
@given(st.dictionaries(TOP_NAMES, JSON, max_size=8))
def test_any_object_with_our_names_is_refused_or_fits_the_index(event: dict[str, Any]) -> None:
    document = _read_all(json.dumps(event).encode())
    assert document is None or faults(document) == []


@BOUNDED
@given(st.sampled_from(EVENTS), JSON, st.data())
def test_a_field_of_any_other_type_never_loses_the_event(event: dict[str, Any], odd: Any, data: st.DataObject) -> None:
    mutated = copy.deepcopy(event)
    place: Any = mutated
    path = []
    while isinstance(place, (dict, list)) and place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        path.append(key)
        if not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            place[key] = odd
            break
        place = place[key]
    document = _read_all(json.dumps(mutated).encode())
    # Only the time and what holds the event itself can cost the event.
    if document is None:
        assert {"eventTime", "eventtime", "timestamp", "digestEndTime", "CloudTrailEvent", "detail", "message"} & {
            *path[:2]
        }
    else:
        assert faults(document) == []


@BOUNDED
@given(st.lists(st.dictionaries(NAMES, JSON, max_size=3), max_size=5), st.sampled_from([b"", b" ", b"\n\t"]))
def test_splitting_loses_no_byte_of_a_record(events: list[dict[str, Any]], blank: bytes) -> None:
    records = [json.dumps(event).encode() for event in events]
    for opening, closing in ((b'{"Records":[', b"]}"), (b"[", b"]"), (b'{"logEvents":[', b'],"owner":"x"}')):
        body = opening + (blank + b"," + blank).join(records) + closing
        # Without events, what says more than an answer that found nothing is a record itself: nothing is passed over.
        whole = not records and b"owner" in closing
        assert list(FORMAT.split(body)) == ([body] if whole else records)


def test_the_corpus_of_mutations_is_there() -> None:
    assert len(EVENTS) >= len(cases()) > 0
