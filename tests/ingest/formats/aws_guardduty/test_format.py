"""Identity of updates, refusals, the same finding through every channel, and the public cases."""

import json

import pytest

from ingest.formats.aws_guardduty.format import FORMAT
from ingest.schema.errors import MalformedRecord
from tests.ingest.formats.conformity import Golden, get, other_cases

GOLDEN = Golden(FORMAT)


def test_an_update_of_a_finding_is_a_record_of_its_own_and_counts_as_the_same_alert() -> None:
    first, update = GOLDEN.record("event_of_eventbridge"), GOLDEN.record("update_of_a_finding")
    assert FORMAT.identify(first) != FORMAT.identify(update)
    assert FORMAT.view(first).member == FORMAT.view(update).member


def test_a_finding_has_one_document_and_one_view_through_every_channel() -> None:
    exported = GOLDEN.records("lines_of_an_export")[1]
    bridged = GOLDEN.record("event_of_eventbridge")
    grouped = GOLDEN.records("subscription_of_a_log_group")[0]
    assert FORMAT.normalise(exported) == FORMAT.normalise(bridged) == FORMAT.normalise(grouped)
    assert FORMAT.view(exported).vendor == FORMAT.view(bridged).vendor == FORMAT.view(grouped).vendor


def test_names_as_sdks_write_them_are_those_of_the_api_and_names_that_are_values_stay() -> None:
    view = FORMAT.view(GOLDEN.record("findings_as_the_cli_writes_them")).vendor
    assert view["resource"]["accessKeyDetails"]["userName"] == "deploy"
    call = view["service"]["action"]["awsApiCallAction"]
    assert call["affectedResources"] == {"AWS::S3::Bucket": "shop-invoices"}
    assert call["remoteIpDetails"]["ipAddressV4"] == "203.0.113.77"


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0.5, 21), (3.9, 21), (4.0, 47), (6.9, 47), (7, 73), (8.9, 73), (9.0, 99), (10, 99), (11, None), ("high", None)],
)
def test_severities_become_those_of_kibana(number: object, expected: int | None) -> None:
    finding = {**json.loads(GOLDEN.body("event_of_eventbridge"))["detail"], "severity": number}
    assert get(FORMAT.normalise(json.dumps(finding).encode()), "event.severity") == expected


@pytest.mark.parametrize(
    "record",
    [
        {"detail-type": "AWS API Call via CloudTrail", "detail": {"eventName": "x"}},
        {"id": "x", "type": "no colon", "severity": 1},
        {"id": "x", "type": "A:B/C"},
        {"eventName": "ListBuckets", "eventSource": "s3.amazonaws.com"},
    ],
)
def test_what_is_no_finding_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(MalformedRecord, match="reading GuardDuty finding"):
        FORMAT.read(json.dumps(record).encode())


@pytest.mark.parametrize("case", other_cases("aws.guardduty"), ids=lambda case: case["id"])
def test_public_cases_normalise(case: dict[str, object]) -> None:
    document = FORMAT.normalise(json.dumps(case["event"]).encode())
    assert document["aws"]["guardduty"]["type"] == "PrivilegeEscalation:IAMUser/AdministrativePermissions"
    assert get(document, "aws.guardduty.severity.code") == 8.0
