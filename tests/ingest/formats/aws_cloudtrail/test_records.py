"""Splitting bodies, opening wrappers, ids, views."""

import gzip
import json
from typing import Any

import pytest

from ingest.formats.aws_cloudtrail.format import FORMAT
from ingest.parsing.gzip_member import inflate
from ingest.schema.errors import MalformedBody, MalformedRecord
from tests.ingest.formats.aws_cloudtrail.conformity import cases, raw

FIRST = raw("create_user")
SECOND = raw("root")
FLAT = [json.dumps(json.loads(record)).encode() for record in (FIRST, SECOND)]


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (b"", []),
        (b" \n\t\r\n ", []),
        (b'{"Records":[]}', []),
        (FIRST, [FIRST]),
        (b'{"Records": [' + FIRST + b" ,\n " + SECOND + b"]}\n", [FIRST, SECOND]),
        (b"[" + FIRST + b"," + SECOND + b"]", [FIRST, SECOND]),
        (b"\n".join([*FLAT, b""]), FLAT),
        (FLAT[0] + b"\n\n" + FLAT[1], FLAT),
        (raw("digest"), [raw("digest")]),
        (raw("insight"), [raw("insight")]),
        (raw("eventbridge_element") + b"\n" + raw("eventbridge_element"), [raw("eventbridge_element")] * 2),
        (b"[" + raw("eventbridge_element") + b"]", [raw("eventbridge_element")]),
        (
            b'{"Events": [' + raw("lookup_events_element") + b'], "NextToken": "x"}',
            [raw("lookup_events_element")],
        ),
        (
            b'{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"trail","logEvents":['
            + raw("log_group_element")
            + b"]}",
            [raw("log_group_element")],
        ),
        (b'{"Records":[' + FLAT[0] + b']}\n{"Records":[' + FLAT[1] + b"]}\n", FLAT),
    ],
    ids=[
        "empty",
        "blank",
        "no records",
        "one event",
        "log file",
        "array",
        "one a line",
        "blank line",
        "digest",
        "insight",
        "EventBridge lines",
        "EventBridge array",
        "lookup-events",
        "log group",
        "log files one a line",
    ],
)
def test_a_body_gives_its_records_byte_for_byte(body: bytes, records: list[bytes]) -> None:
    assert list(FORMAT.split(body)) == records


def test_an_inflated_log_file_gives_its_records() -> None:
    body = gzip.compress(b'{"Records":[' + FIRST + b"]}")
    assert list(FORMAT.split(inflate(body, 1_000_000))) == [FIRST]


def test_records_before_a_fault_are_delivered() -> None:
    records = FORMAT.split(b'{"Records":[' + FIRST + b"," + SECOND[:50])
    assert next(records) == FIRST
    with pytest.raises(MalformedBody, match="byte"):
        next(records)


@pytest.mark.parametrize(
    "record", [b"null", b"[]", b"5", b"", b"{", b"\xff", b"{}", b'{"kind": 0}', b'{"message": "hi"}']
)
def test_what_is_no_event_is_refused_everywhere(record: bytes) -> None:
    for read in (FORMAT.identify, FORMAT.view, FORMAT.normalise):
        with pytest.raises(MalformedRecord):
            read(record)


def test_a_wrapper_whose_text_is_no_event_is_refused() -> None:
    other = b'{"id":"","timestamp":1,"message":"Checking health of destination"}'
    with pytest.raises(MalformedRecord, match="message"):
        FORMAT.normalise(other)


def test_an_event_of_another_product_on_the_same_bus_is_refused() -> None:
    finding = b'{"detail-type":"GuardDuty Finding","source":"aws.guardduty","detail":{"severity":8,"title":"x"}}'
    with pytest.raises(MalformedRecord, match="none of eventName"):
        FORMAT.normalise(finding)


def test_two_thousand_levels_are_refused_by_name() -> None:
    for levels in (150, 300, 900, 2000):
        record = b'{"eventName":"X","eventTime":"2026-11-22T09:15:04Z","requestParameters":' + b'{"a":' * levels
        record += b"1" + b"}" * levels + b"}"
        if levels < 200:
            assert FORMAT.normalise(record)["event"]["action"] == "X"
        else:
            with pytest.raises(MalformedRecord, match="nested deeper"):
                FORMAT.normalise(record)


@pytest.mark.parametrize("case", cases())
def test_the_id_is_the_events_own_however_it_was_wrapped(case: str) -> None:
    own = FORMAT.identify(raw(case))
    document = FORMAT.normalise(raw(case))
    if case in ("digest", "without_event_id"):
        assert own is None
        assert document["event"]["id"].startswith("leaf:")
    else:
        assert own == document["event"]["id"]
        assert own is not None
        assert own.startswith("5a0b1c2d-")


@pytest.mark.parametrize("event_id", ["", None, 5, {}, []])
def test_an_odd_id_is_no_id(event_id: Any) -> None:
    assert FORMAT.identify(json.dumps({"eventName": "X", "eventID": event_id}).encode()) is None


@pytest.mark.parametrize("case", cases())
def test_rules_see_the_event_without_its_wrapper(case: str) -> None:
    view = FORMAT.view(raw(case))
    assert view.final
    assert view.member == FORMAT.normalise(raw(case))["event"]["id"]
    assert "eventName" in view.vendor or case in ("digest", "insight")
    assert "CloudTrailEvent" not in view.vendor
    assert "detail-type" not in view.vendor


def test_rules_see_the_vendors_names_however_the_channel_spelt_them() -> None:
    vendor = FORMAT.view(raw("all_lower_case_export")).vendor
    assert vendor["userIdentity"]["sessionContext"]["sessionIssuer"]["userName"] == "deployer"
    assert vendor["requestParameters"]["roleArn"] == "arn:aws:iam::111122223333:role/reader"


def test_a_name_in_both_spellings_keeps_the_vendors() -> None:
    record = b'{"eventname":"Wrong","eventName":"Right","requestId":"r-1","eventTime":"2026-11-22T09:15:04Z"}'
    document = FORMAT.normalise(record)
    assert document["event"]["action"] == "Right"
    assert document["aws"]["cloudtrail"]["request_id"] == "r-1"


@pytest.mark.parametrize(
    "sample",
    [
        b"",
        b"hello",
        b"{}",
        b'{"Records":[]}',
        b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"auditID":"x","eventSource":"a.amazonaws.com"}]}',
        b'{"records":[{"operationName":"MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE","category":"Administrative"}]}',
        b'{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog"},"insertId":"x"}',
        b'{"eventName":{"value":"BeginRequest"},"eventDataId":"x","eventTimestamp":"2026-11-22T09:15:04Z"}',
    ],
)
def test_other_logs_are_not_recognised(sample: bytes) -> None:
    assert not FORMAT.recognise(sample)


def test_a_sample_cut_inside_its_first_record_is_recognised() -> None:
    assert FORMAT.recognise((b'{"Records":[' + FIRST)[:700])
