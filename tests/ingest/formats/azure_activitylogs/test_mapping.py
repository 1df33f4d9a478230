"""What an Activity event says in ECS, row by row of the field table."""

import json
from typing import Any

import pytest

from ingest.formats.azure_activitylogs.format import FORMAT
from tests.ingest.formats.azure_records.conformity import changed, expected, get, inner

NAME = "azure.activitylogs"
SCHEMA = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"


def document(case: str = "elevate_access", **members: Any) -> dict[str, Any]:
    return FORMAT.normalise(changed(NAME, case, **members))


@pytest.mark.parametrize(
    ("result_type", "properties", "outcome"),
    [
        ("Success", {}, "success"),
        ("FAILURE", {}, "failure"),
        ("Succeeded", {}, "success"),
        ("Failed", {}, "failure"),
        ("Start", {}, None),
        ("Accept", {}, None),
        ("Started", {}, None),
        ("Accepted", {}, None),
        ("Active", {"result": "Failure"}, "failure"),
        ("Active", {"result": "unknown"}, "unknown"),
        (None, {}, None),
    ],
)
def test_progress_is_no_outcome(result_type: str | None, properties: dict[str, str], outcome: str | None) -> None:
    found = document(resultType=result_type, properties=properties)
    assert found["event"].get("outcome") == outcome


@pytest.mark.parametrize(
    ("category", "operation", "kinds"),
    [
        ("Write", "MICROSOFT.WEB/SITES/WRITE", ("configuration", ["change"])),
        ("Administrative", "MICROSOFT.WEB/SITES/DELETE", ("configuration", ["deletion"])),
        ("Administrative", "Microsoft.Web/sites/read", ("configuration", ["access"])),
        ("Action", "Microsoft.Web/sites/restart/action", ("configuration", ["change"])),
        ("Administrative", "Microsoft.Authorization/roleAssignments/delete", ("iam", ["admin", "deletion"])),
        ("Administrative", "MICROSOFT.AUTHORIZATION/ROLEDEFINITIONS/WRITE", ("iam", ["admin", "change"])),
        ("ServiceHealth", "Microsoft.ServiceHealth/incident", ("configuration", ["info"])),
    ],
)
def test_category_and_type_follow_from_the_operation(
    category: str, operation: str, kinds: tuple[str, list[str]]
) -> None:
    event = document(category=category, operationName=operation)["event"]
    assert (event["category"], event["type"]) == ([kinds[0]], kinds[1])
    assert event["action"] == operation


@pytest.mark.parametrize("signature", ["403", "Forbidden", "Failed.Forbidden", "AuthorizationFailed"])
def test_a_refused_right_is_found_with_one_query(signature: str) -> None:
    assert document(resultType="Failure", resultSignature=signature)["event"]["type"][-1] == "denied"
    assert "denied" not in document(resultType="Success", resultSignature=signature)["event"]["type"]


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({f"{SCHEMA}/name": "a@b.example"}, {"name": "a", "domain": "b.example", "email": "a@b.example"}),
        ({f"{SCHEMA}/name": "live.com#a@b.example"}, {"name": "a", "domain": "b.example", "email": "a@b.example"}),
        ({f"{SCHEMA}/upn": "a@b.example"}, {"name": "a", "domain": "b.example", "email": "a@b.example"}),
        ({"name": "a@b.example"}, {"name": "a", "domain": "b.example", "email": "a@b.example"}),
        ({f"{SCHEMA}/name": "robot"}, {"name": "robot"}),
        (
            {f"{SCHEMA}/emailaddress": "x@y", f"{SCHEMA}/givenname": "Mara", f"{SCHEMA}/surname": "Quince"},
            {"name": "x", "domain": "y", "email": "x@y", "full_name": "Mara Quince"},
        ),
    ],
)
def test_the_name_in_the_claims_is_split_at_the_domain(claims: dict[str, str], user: dict[str, str]) -> None:
    assert document(identity={"claims": claims})["user"] == user


@pytest.mark.parametrize(
    ("resource_id", "fields"),
    [
        ("/subscriptions/S/resourceGroups/g/providers/M.A/b/c", {"group": "g", "provider": "M.A/b", "name": "c"}),
        ("SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/M.A/B/C/D/E", {"group": "G", "provider": "M.A/B/D", "name": "E"}),
        ("/subscriptions/S", {}),
        ("/subscriptions/S/providers/Microsoft.A", {"provider": "Microsoft.A"}),
        ("/providers/M.Management/groups/m", {"provider": "M.Management/groups", "name": "m"}),
        ("//", {}),
        ("text", {}),
    ],
)  # fmt: skip
def test_a_resource_id_is_taken_apart_whatever_its_case(resource_id: str, fields: dict[str, str]) -> None:
    found = document(resourceId=resource_id)
    assert found["azure"]["resource"] == {"id": resource_id, **fields}
    assert get(found, "azure.subscription_id") == ("S" if "ubscriptions" in resource_id.lower() else None)
    assert get(found, "cloud.account.id") == ("s" if "ubscriptions" in resource_id.lower() else None)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("198.51.100.4", {"address": "198.51.100.4", "ip": "198.51.100.4"}),
        ("198.51.100.4:443", {"address": "198.51.100.4:443", "ip": "198.51.100.4", "port": 443}),
        ("[2001:db8::1]:443", {"address": "[2001:db8::1]:443", "ip": "2001:db8::1", "port": 443}),
        ("198.51.100.4:99999", {"address": "198.51.100.4:99999", "ip": "198.51.100.4"}),
        ("253.252.51.07", {"address": "253.252.51.07"}),
        ("<redacted>", {"address": "<redacted>"}),
    ],
)
def test_only_a_real_address_is_an_ip(address: str, source: dict[str, Any]) -> None:
    found = document(callerIpAddress=address)
    assert found["source"] == source
    assert get(found, "client.ip") == source.get("ip")
    assert get(found, "related.ip") == ([source["ip"]] if "ip" in source else None)


@pytest.mark.parametrize(
    ("milliseconds", "duration"), [(7, 7_000_000), ("412", 412_000_000), ("soon", None), (-1, None), (2**62, None)]
)
def test_a_duration_is_in_nanoseconds(milliseconds: Any, duration: int | None) -> None:
    assert document(durationMs=milliseconds)["event"].get("duration") == duration


@pytest.mark.parametrize(("level", "word"), [("1", "Critical"), (2, "Error"), ("5", "Verbose"), ("Warning", "Warning")])
def test_a_level_is_a_word(level: Any, word: str) -> None:
    assert document(level=level)["log"]["level"] == word


def test_message_and_status_of_the_properties_have_names_of_their_own() -> None:
    properties = {"statusMessage": "no", "statusCode": "Conflict", "serviceRequestId": "r", "policies": "[]"}
    found = document(properties=json.dumps(properties))
    assert found["message"] == "no"
    kept = found["azure"]["activitylogs"]["properties"]
    assert kept == {"status_code": "Conflict", "service_request_id": "r", "policies": "[]"}
    assert found["azure"]["activitylogs"]["event_category"] == "Policy"


def test_whom_a_role_was_given_is_the_target() -> None:
    found = expected(NAME, "role_assignment_event_hubs")
    assert get(found, "user.target.id") == "00000099-0000-4000-8000-000000000099"
    assert "00000099-0000-4000-8000-000000000099" in found["related"]["entity"]


def test_the_id_of_an_event_on_the_top_level_counts_as_well() -> None:
    text = inner(NAME, "elevate_access", eventDataId=None)
    assert FORMAT.identify(text) is None
    assert FORMAT.identify(text[:-1] + b', "eventDataId": "e"}') == "e"


def test_the_name_in_the_claims_is_the_caller_that_tables_have() -> None:
    assert FORMAT.view(changed(NAME, "elevate_access")).vendor["caller"] == "live.com#guest@pears.example"
    assert FORMAT.view(changed(NAME, "forbidden_rest_api")).vendor["caller"] == "tom@orchard.example"
