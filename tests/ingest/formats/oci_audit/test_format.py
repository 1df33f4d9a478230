"""Identity, shapes and refusals."""

import json
from typing import Any

import pytest

from ingest.formats.aws_cloudtrail.format import FORMAT as CLOUDTRAIL
from ingest.formats.oci_audit.format import FORMAT
from ingest.schema.errors import MalformedRecord
from tests.ingest.formats.conformity import Golden, get

GOLDEN = Golden(FORMAT)


def changed(case: str, path: str, value: Any) -> bytes:
    """A golden record with another value under a dotted path."""
    record = json.loads(GOLDEN.record(case))
    *parents, last = path.split(".")
    node = record
    for name in parents:
        node = node[name]
    node[last] = value
    return json.dumps(record).encode()


def test_the_uid_is_the_event_id_and_without_one_the_leaf_stands_for_it() -> None:
    assert FORMAT.identify(GOLDEN.record("instance_read")) == "6f1c-01"
    nameless = changed("instance_read", "eventId", None)
    assert FORMAT.identify(nameless) is None
    assert FORMAT.normalise(nameless)["event"]["id"].startswith("leaf:")
    assert FORMAT.view(nameless).member.startswith("leaf:")


def test_begin_and_end_of_an_operation_are_one_member() -> None:
    begin = GOLDEN.record("instance_launch_begin")
    end = changed("instance_launch_begin", "eventType", "com.oraclecloud.ComputeApi.LaunchInstance.end")
    assert FORMAT.view(begin).member == FORMAT.view(end).member
    assert FORMAT.view(begin).member != FORMAT.view(GOLDEN.record("instance_terminate_end")).member
    assert FORMAT.view(GOLDEN.record("instance_read")).member == "6f1c-01"


def test_rules_see_both_versions_in_one_shape() -> None:
    for case in ("instance_read", "version_1"):
        vendor = FORMAT.view(GOLDEN.record(case)).vendor
        assert get(vendor, "data.eventName") == "GetInstance"
        assert get(vendor, "data.identity.principalName") == "maria@orchard.example"
        assert get(vendor, "data.response.status") == "200"
    for alias, value in (
        ("eventSource", "ComputeApi"),
        ("requestAction", "GET"),
        ("userName", "maria@orchard.example"),
    ):
        assert get(FORMAT.view(GOLDEN.record("version_1")).vendor, FORMAT.aliases[alias]) == value


def test_the_content_alone_gives_what_the_record_of_the_logging_service_gives() -> None:
    record = json.loads(GOLDEN.record("through_logging"))
    assert FORMAT.normalise(json.dumps(record["logContent"]).encode()) == GOLDEN.expected("through_logging")


def test_a_result_of_the_search_gives_what_the_record_of_the_logging_service_gives() -> None:
    found = {"data": {"datetime": 1795334499686, **json.loads(GOLDEN.record("through_logging"))}}
    body = json.dumps({"results": [found, found], "summary": {"resultCount": 2}}).encode()
    assert FORMAT.recognise(body)
    assert [FORMAT.normalise(one) for one in FORMAT.split(body)] == [GOLDEN.expected("through_logging")] * 2


def test_names_with_hyphens_give_what_the_documented_names_give() -> None:
    document = FORMAT.normalise(GOLDEN.record("printed_by_the_command_line"))
    assert get(document, "user.name") == "maria@orchard.example"
    assert get(document, "oci.audit.identity.auth_type") == "natv"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("200", "success"),
        ("204", "success"),
        (302, "success"),
        ("404", "failure"),
        ("500", "failure"),
        (None, "unknown"),
    ],
)
def test_the_outcome_follows_the_status(status: Any, outcome: str) -> None:
    document = FORMAT.normalise(changed("instance_read", "data.response.status", status))
    assert document["event"]["outcome"] == outcome


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (b'{"eventName": "ConsoleLogin", "eventSource": "signin.amazonaws.com", "eventID": "1"}', "names of version 1"),
        (b'{"eventType": "com.oraclecloud.vcn.flowlogs.DataEvent", "data": {"action": "ACCEPT"}}', "neither what"),
        (b'{"eventType": "com.example.order", "data": {"eventName": "x"}}', "neither what"),
        (b"{}", "names of version 1"),
    ],
)
def test_what_is_no_audit_event_is_refused_by_name(record: bytes, why: str) -> None:
    for read in (FORMAT.identify, FORMAT.view, FORMAT.normalise):
        with pytest.raises(MalformedRecord, match=why):
            read(record)
    assert not FORMAT.recognise(record)


def test_version_1_which_names_source_and_event_as_cloudtrail_does_is_not_taken_for_it() -> None:
    assert not CLOUDTRAIL.recognise(GOLDEN.body("version_1"))


def test_an_event_without_any_time_is_refused() -> None:
    record = json.loads(changed("instance_read", "eventTime", "redacted"))
    record["data"]["response"]["responseTime"] = None
    with pytest.raises(MalformedRecord, match="no readable time; it says 'redacted'"):
        FORMAT.normalise(json.dumps(record).encode())


def test_a_sample_cut_inside_its_first_record_is_recognised() -> None:
    assert FORMAT.recognise(b'[{"eventType": "com.oraclecloud.ComputeApi.GetInstance", "data": {"iden')


@pytest.mark.parametrize(
    "header", ["Authorization", "authorization", "opc-obo-token", "Cookie", "X-Auth-Token", "opc-principal"]
)
def test_credentials_in_headers_are_taken_out_however_many(header: str) -> None:
    record = changed("instance_read", "data.request.headers", {header: ["HIDE-1", "HIDE-2"], "Accept": ["stays"]})
    reading = FORMAT.read(record)
    assert b"HIDE" not in reading.shown
    headers = get(reading.normalise(), "oci.audit.request.headers")
    assert headers == {header: ["<redacted>"], "Accept": ["stays"]}
