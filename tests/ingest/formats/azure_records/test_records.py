"""How records of every channel are told apart and brought into one shape."""

import json

import pytest

from ingest.formats.azure_records.records import open_any, open_record
from ingest.formats.registry import format_named
from ingest.schema.errors import MalformedRecord
from tests.ingest.formats.azure_records.conformity import NAMES, cases, changed, inner, record

ACTIVITY = "azure.activitylogs"
SIGN_IN = "azure.signinlogs"


@pytest.mark.parametrize(("name", "case"), cases())
@pytest.mark.parametrize("other", NAMES)
def test_a_record_of_another_log_is_refused_with_the_name_of_its_format(name: str, case: str, other: str) -> None:
    if other == name:
        assert open_record(record(name, case), other).kind == name
        return
    for read in (format_named(other).identify, format_named(other).normalise, format_named(other).view):
        with pytest.raises(MalformedRecord, match=f"belongs to {name}"):
            read(record(name, case))


@pytest.mark.parametrize("category", ["kube-audit", "kube-audit-admin"])
def test_audit_of_a_cluster_belongs_to_kubernetes(category: str) -> None:
    event = {"category": category, "operationName": "x", "properties": {"log": "{}"}, "time": "2026-11-22T08:00:00Z"}
    with pytest.raises(MalformedRecord, match=r"belongs to kubernetes\.audit"):
        format_named("azure.platformlogs").normalise(json.dumps(event).encode())


@pytest.mark.parametrize(
    "text",
    [
        b'{"kind": 0}',
        b"null",
        b"[1, 2]",
        b"{}",
        b'{"eventName": "CreateUser", "eventSource": "iam.amazonaws.com", "eventTime": "2026-11-22T08:00:00Z"}',
        b'{"protoPayload": {"methodName": "v1.compute.instances.insert"}, "insertId": "a"}',
        b'{"tables": [{"name": "PrimaryResult", "columns": [], "rows": []}]}',
        b'{"time": "2026-11-22T08:00:00Z", "category": "Administrative"}',
    ],
)
def test_what_is_no_record_of_azure_is_refused_and_not_recognised(text: bytes) -> None:
    for name in NAMES:
        with pytest.raises(MalformedRecord, match=r"reading Azure record|reading JSON"):
            format_named(name).normalise(text)
        assert not format_named(name).recognise(text)


@pytest.mark.parametrize(("name", "case"), [(ACTIVITY, "elevate_access"), (SIGN_IN, "mfa_denied")])
def test_a_sample_that_ends_inside_its_first_record_is_recognised(name: str, case: str) -> None:
    line = json.dumps(json.loads(record(name, case))).encode()
    cut = b'{"records":[' + line[: line.index(b'"identity"')]
    assert [known for known in NAMES if format_named(known).recognise(cut)] == [name]


def test_one_event_hub_may_carry_several_logs() -> None:
    mixed = b'{"records":[' + record(SIGN_IN, "mfa_denied") + b"," + record(ACTIVITY, "elevate_access") + b"]}"
    first, second = format_named(SIGN_IN).split(mixed)
    assert open_any(first).kind == SIGN_IN
    assert open_any(second).kind == ACTIVITY
    assert format_named(SIGN_IN).recognise(mixed)
    assert not format_named(ACTIVITY).recognise(mixed)


def test_every_spelling_of_a_channel_gives_the_same_document() -> None:
    event = json.loads(changed(ACTIVITY, "elevate_access"))
    pascal = {name[:1].upper() + name[1:]: value for name, value in event.items()}
    lower = {name.lower(): value for name, value in event.items()}
    documents = [format_named(ACTIVITY).normalise(json.dumps(one).encode()) for one in (event, pascal, lower)]
    assert documents[0] == documents[1] == documents[2]


def test_properties_as_text_are_opened() -> None:
    event = json.loads(record(ACTIVITY, "elevate_access"))
    text = json.dumps({**event, "properties": json.dumps(event["properties"])}).encode()
    assert format_named(ACTIVITY).normalise(text) == format_named(ACTIVITY).normalise(
        record(ACTIVITY, "elevate_access")
    )


def test_empty_names_are_left_out() -> None:
    event = json.loads(record(ACTIVITY, "elevate_access"))
    odd = {"": "", **event, "properties": {**event["properties"], "": "x", " ": {"": ""}}}
    assert format_named(ACTIVITY).normalise(json.dumps(odd).encode()) == format_named(ACTIVITY).normalise(
        record(ACTIVITY, "elevate_access")
    )


def test_names_inside_claims_and_request_bodies_are_left_alone() -> None:
    claims = {"user_id": "1", "IpAddress": "2", "http://schemas.microsoft.com/identity/claims/tenantid": "3"}
    body = {"Properties": {"principal_id": "x"}}
    event = json.loads(changed(ACTIVITY, "elevate_access", identity={"claims": claims}))
    event["properties"]["requestbody"] = body
    lower = {name.lower(): value for name, value in event.items()}
    opened = open_any(json.dumps(lower).encode()).event
    assert opened["identity"]["claims"] == claims
    assert opened["properties"]["requestbody"] == body


@pytest.mark.parametrize(
    ("name", "case", "uid"),
    [
        (ACTIVITY, "role_assignment_event_hubs", "000000e2-0000-4000-8000-0000000000e2"),
        (ACTIVITY, "log_analytics_row", "000000e4-0000-4000-8000-0000000000e4"),
        (ACTIVITY, "sdk_snake_case", "000000e5-0000-4000-8000-0000000000e5"),
        (ACTIVITY, "list_keys_started", None),
        (SIGN_IN, "graph_sign_in", "00000056-0000-4000-8000-000000000056"),
        (SIGN_IN, "device_code_cut_down", None),
        ("azure.auditlogs", "pim_activation", "PIM_3"),
        ("azure.auditlogs", "invitation_failed_graph", "Invited Users_5"),
        ("azure.platformlogs", "secret_read_event_hubs", None),
    ],
)
def test_the_uid_is_the_one_id_that_is_unique(name: str, case: str, uid: str | None) -> None:
    reading = format_named(name).read(record(name, case))
    assert reading.identify() == uid
    assert reading.view().member == (uid or reading.normalise()["event"]["id"])
    if uid is None:
        assert reading.normalise()["event"]["id"].startswith("leaf:")


@pytest.mark.parametrize(
    ("text", "moment", "marks"),
    [
        ("2026-11-22T08:15:30.1239999Z", "2026-11-22T08:15:30.123Z", None),
        ("2026-11-22 08:15:30.5", "2026-11-22T08:15:30.500Z", ["no_zone"]),
        ("11/22/2026 8:15:30 AM +02:00", "2026-11-22T06:15:30.000Z", None),
        ("11/22/2026, 8:15:30.250 PM", "2026-11-22T20:15:30.250Z", ["no_zone"]),
    ],
)
def test_every_form_of_time_becomes_utc(text: str, moment: str, marks: list[str] | None) -> None:
    document = format_named(ACTIVITY).normalise(changed(ACTIVITY, "elevate_access", time=text))
    assert document["@timestamp"] == moment
    assert document["skytrail"].get("time", {}).get("marks") == marks


def test_a_missing_time_is_taken_from_elsewhere_and_marked() -> None:
    text = inner(SIGN_IN, "mfa_denied", createdDateTime="2026-11-22T07:00:00Z")
    document = format_named(SIGN_IN).normalise(json.dumps({**json.loads(text), "time": "soon"}).encode())
    assert document["@timestamp"] == "2026-11-22T07:00:00.000Z"
    assert document["skytrail"]["time"]["marks"] == ["unreadable_event_time", "taken from createdDateTime"]


def test_a_record_without_any_time_is_refused() -> None:
    with pytest.raises(MalformedRecord, match="no readable time"):
        format_named(ACTIVITY).normalise(changed(ACTIVITY, "elevate_access", time=None))
