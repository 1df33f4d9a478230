"""What belongs to other formats, identity, and what rules see."""

import json

import pytest

from ingest.formats.aws_cloudwatch.format import FORMAT
from ingest.formats.registry import format_named
from ingest.schema.errors import MalformedRecord
from tests.ingest.formats.conformity import Golden

GOLDEN = Golden(FORMAT)
FLOW = "2 111122223333 eni-0a1b2c3d 203.0.113.77 10.20.1.15 51934 22 6 14 2310 1795334460 1795334519 REJECT OK"
TRAIL = '{"eventVersion": "1.11", "eventSource": "iam.amazonaws.com", "eventName": "CreateUser"}'
AUDIT = '{"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a", "stage": "ResponseComplete"}'


def _logged(message: str) -> bytes:
    return json.dumps({"id": "1", "timestamp": 1795334462117, "message": message}).encode()


def _bridged(kind: str) -> bytes:
    return json.dumps({"detail-type": kind, "source": "aws.x", "time": "2026-11-22T08:00:00Z", "detail": {}}).encode()


@pytest.mark.parametrize(
    ("record", "owner"),
    [
        (_logged(FLOW), "aws.vpcflow"),
        (_logged(TRAIL), "aws.cloudtrail"),
        (_logged(AUDIT), "kubernetes.audit"),
        (_bridged("AWS API Call via CloudTrail"), "aws.cloudtrail"),
        (_bridged("AWS Console Sign In via CloudTrail"), "aws.cloudtrail"),
        (_bridged("GuardDuty Finding"), "aws.guardduty"),
        (_logged(_bridged("GuardDuty Finding").decode()), "aws.guardduty"),
    ],
)
def test_a_record_of_another_format_is_refused_with_the_name_of_that_format(record: bytes, owner: str) -> None:
    assert owner != FORMAT.name
    assert not FORMAT.recognise(record)
    with pytest.raises(MalformedRecord, match=f"belongs to the format {owner}"):
        FORMAT.read(record)


@pytest.mark.parametrize("owner", ["aws.cloudtrail", "aws.guardduty", "aws.vpcflow", "kubernetes.audit"])
def test_the_check_of_a_destination_is_no_refusal_for_any_format_that_comes_through_log_groups(owner: str) -> None:
    (record,) = GOLDEN.records("check_of_the_destination")
    reading = format_named(owner).read(record)
    assert reading.normalise()["event"]["action"] == "ControlMessage"
    assert not reading.view().final


@pytest.mark.parametrize(
    ("case", "own_id"),
    [
        ("lines_of_a_function", "3896117420985741220001"),
        ("read_api_of_a_log_group", "389611742098574121"),
        ("notification_of_a_topic", "0b7c2f10-1d2e-4c3f-9a8b-5c6d7e8f9012"),
        ("notice_of_an_alarm", None),
    ],
)
def test_the_id_is_the_one_that_aws_gave(case: str, own_id: str | None) -> None:
    assert FORMAT.identify(GOLDEN.records(case)[0]) == own_id


def test_rules_see_the_json_of_a_message_and_where_it_was_logged() -> None:
    reader = GOLDEN.reader("json_of_an_application")
    vendor = reader.view(GOLDEN.records("json_of_an_application")[0]).vendor
    assert (vendor["user"], vendor["tries"], vendor["logGroup"]) == ("bob", 4, "/app/shop")


def test_only_an_alarm_that_is_on_is_an_alert() -> None:
    kinds = [
        GOLDEN.expected(case)["event"]["kind"]
        for case in ("alarm_of_eventbridge", "alarm_back_to_normal", "notice_of_an_alarm", "notification_of_a_topic")
    ]
    assert kinds == ["alert", "event", "alert", "event"]
