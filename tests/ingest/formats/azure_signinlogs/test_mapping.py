"""What a sign-in says in ECS, row by row of the field table."""

import json
from typing import Any

import pytest

from ingest.formats.azure_signinlogs.format import FORMAT
from tests.ingest.formats.azure_records.conformity import changed, expected, get, inner

NAME = "azure.signinlogs"


@pytest.mark.parametrize(
    ("status", "result_type", "outcome"),
    [
        ({"errorCode": 0}, "0", "success"),
        ({"errorCode": "0"}, "Failure", "success"),
        ({"errorCode": 50126}, "0", "failure"),
        (json.dumps({"errorCode": 50126}), None, "failure"),
        (None, None, "success"),
        (None, 0, "success"),
        ({"failureReason": "x"}, "50126", "failure"),
        (None, "Failure", "failure"),
        (None, "interrupted", "success"),
    ],
)
def test_the_error_code_decides_else_the_result(status: Any, result_type: Any, outcome: str) -> None:
    event = json.loads(inner(NAME, "guest_over_ropc", status=status))
    event["resultType"] = result_type
    assert FORMAT.normalise(json.dumps(event).encode())["event"]["outcome"] == outcome


@pytest.mark.parametrize("case", ["interactive_event_hubs", "managed_identity", "graph_sign_in", "lower_case"])
def test_every_kind_is_an_authentication(case: str) -> None:
    event = expected(NAME, case)["event"]
    assert (event["category"], event["type"], event["action"]) == (["authentication"], ["info"], "Sign-in activity")


def test_the_reason_and_its_details_are_the_message() -> None:
    message = (
        "Authentication failed during strong authentication request. (MFA denied; user declined the authentication)"
    )
    assert expected(NAME, "mfa_denied")["message"] == message
    assert expected(NAME, "service_principal_failure")["message"] == "Invalid client secret is provided."


def test_place_and_names_are_where_stock_dashboards_look() -> None:
    found = expected(NAME, "interactive_event_hubs")
    point = {"lat": 45.75, "lon": 4.85}
    assert found["geo"] == {"country_iso_code": "FR", "city_name": "Lyon", "country_name": "Rhone", "location": point}
    assert found["source"]["geo"]["region_name"] == "Rhone"
    assert found["user"]["name"] == "mara"
    assert found["user"]["domain"] == "orchard.example"
    assert found["user"]["full_name"] == "Mara Quince"
    assert get(found, "azure.signinlogs.properties.created_at") == "2026-11-22T08:00:01.7654321+00:00"


def test_pairs_of_processing_details_become_an_object_without_dots_in_names() -> None:
    details = get(
        expected(NAME, "interactive_event_hubs"), "azure.signinlogs.properties.authentication_processing_details"
    )
    assert details == {"Legacy TLS (TLS 1_0, 1_1, 3DES)": "False", "Is CAE Token": "False"}


def test_a_text_in_place_of_an_object_is_left_out_of_the_field_that_others_share() -> None:
    found = FORMAT.normalise(inner(NAME, "guest_over_ropc", location="FR", deviceDetail="none", mfaDetail=7))
    kept = found["azure"]["signinlogs"]["properties"]
    assert kept.keys().isdisjoint({"location", "device_detail", "mfa_detail"})


def test_an_application_stands_for_itself() -> None:
    found = expected(NAME, "service_principal_failure")
    assert found["user"] == {"name": "harvest-robot", "id": "000000b5-0000-4000-8000-0000000000b5"}
    assert found["skytrail"]["principal"]["type"] == "service_principal"
    assert expected(NAME, "managed_identity")["skytrail"]["principal"]["type"] == "managed_identity"


@pytest.mark.parametrize(
    ("types", "category"),
    [
        (["nonInteractiveUser"], "NonInteractiveUserSignInLogs"),
        (["servicePrincipal"], "ServicePrincipalSignInLogs"),
        (["managedIdentity"], "ManagedIdentitySignInLogs"),
        (["interactiveUser"], "SignInLogs"),
        ([None, {}], "SignInLogs"),
    ],
)
def test_a_sign_in_of_graph_gets_the_category_of_its_kind(types: list[Any], category: str) -> None:
    event = json.loads(changed(NAME, "guest_over_ropc"))["properties"]
    found = FORMAT.normalise(json.dumps({**event, "signInEventTypes": types}).encode())
    assert get(found, "azure.signinlogs.category") == category


def test_the_portal_shows_rules_what_their_authors_saw() -> None:
    portal = FORMAT.view(changed(NAME, "mfa_denied")).vendor["portal"]
    assert portal["status"][0] == "Failure"
    assert "MFA denied; user declined the authentication" in portal["status"]
    assert portal["networks"] == "[]"
    assert FORMAT.view(changed(NAME, "device_code_cut_down")).vendor["portal"]["message"] == ["device Code"]
