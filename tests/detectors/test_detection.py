from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.detection import MAX_GROUP_KEY, Detection, decode, detect, encode, group_key
from detectors.sigma.engine import InterpretedEngine
from detectors.sigma.fields import Fields
from ingest.document import Identified, Receipt, complete
from ingest.formats.contract import View
from ingest.formats.registry import format_named
from ingest.schema.errors import UnsupportedEnvelope
from tests.detectors.examples import START, detection
from tests.detectors.shipped import shipped

RECORD = b"""{"eventVersion":"1.11","eventTime":"2026-03-02T11:20:05Z","eventSource":"cloudtrail.amazonaws.com",
"eventName":"StopLogging","awsRegion":"eu-central-1","sourceIPAddress":"198.51.100.23","userAgent":"aws-cli/2.17.4",
"eventID":"0d3b7a52-7f0e-4a4e-8a2c-2f2b1f6f9c01","recipientAccountId":"111122223333","eventCategory":"Management",
"requestParameters":{"name":"main"},"userIdentity":{"type":"IAMUser","principalId":"AIDAQ3EGRIUBXAMPLE21",
"arn":"arn:aws:iam::111122223333:user/mallory","accountId":"111122223333","userName":"mallory"}}"""


def events(*records: bytes) -> tuple[list[View], list[Identified]]:
    format_ = format_named("aws.cloudtrail")
    receipt = Receipt(namespace="acme", collector="c", received_at=START, locator="f", ordinal=0)
    identified = [complete(format_, record, receipt, START) for record in records]
    views = []
    for record, each in zip(records, identified, strict=True):
        view = format_.view(record)
        view.ecs = each.document
        views.append(view)
    return views, identified


def detections(*records: bytes) -> list[Detection]:
    book = shipped()
    views, identified = events(*records)
    return detect(
        InterpretedEngine(book.rules),
        views,
        identified,
        format_named("aws.cloudtrail").log_source,
        ruleset_version=book.version,
        index_of=lambda each: f"logs-of-{each.id}",
    )


def test_a_match_becomes_a_detection_with_all_an_alert_needs() -> None:
    other = RECORD.replace(b"StopLogging", b"DescribeTrails")
    found = detections(other, RECORD)
    assert [each.rule_id for each in found] == ["aws-trail-stopped"]
    one = found[0]
    _, (_, identified) = events(other, RECORD)
    assert one.event == (type(one.event))(f"logs-of-{identified.id}", identified.id, identified.leaf.hex())
    assert one.at == dt.datetime(2026, 3, 2, 11, 20, 5, tzinfo=dt.UTC)
    assert (one.namespace, one.format, one.window_seconds) == ("acme", "aws.cloudtrail", 3600)
    assert one.member == "0d3b7a52-7f0e-4a4e-8a2c-2f2b1f6f9c01"
    assert "mallory" in one.principal.display
    assert one.principal.key in one.group_key
    assert "mallory" in one.reason
    assert "main" in one.reason
    assert one.context["event"] == {
        "action": "StopLogging",
        "outcome": "success",
        "provider": "cloudtrail.amazonaws.com",
    }


def test_a_batch_survives_the_wire() -> None:
    batch = (*detections(RECORD), detection())
    assert decode(encode(batch)) == batch
    assert decode(encode([])) == ()


@pytest.mark.parametrize(
    "message", [None, b"", b"\x02\x90", b"\x01", b"\x01\xc1", b"\x01\x91\x80", b"\x01\x91\xa1\xff"]
)
def test_what_is_no_batch_is_refused(message: bytes | None) -> None:
    with pytest.raises(UnsupportedEnvelope, match="decoding detections"):
        decode(message)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tail: bytes) -> None:
    try:
        found = decode(b"\x01" + tail)
    except UnsupportedEnvelope:
        return
    assert all(isinstance(each, Detection) for each in found)


VALUE = st.none() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=3)


@given(VALUE, VALUE, VALUE, VALUE)
def test_different_values_never_share_a_group(a: object, b: object, c: object, d: object) -> None:
    def meaning(value: object) -> frozenset[object]:
        return frozenset(value) if isinstance(value, list) else frozenset(() if value is None else (value,))

    keys = [group_key(Fields(View({"x": x, "y": y}), {}), ("x", "y")) for x, y in ((a, b), (c, d))]
    assert (keys[0] == keys[1]) is ((meaning(a), meaning(b)) == (meaning(c), meaning(d)))


def test_a_long_group_key_is_cut_and_stays_distinct() -> None:
    first, second = (group_key(Fields(View({"x": "a" * 5000 + end}), {}), ("x",)) for end in "bc")
    assert first != second
    assert len(first) <= MAX_GROUP_KEY
