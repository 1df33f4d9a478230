"""What a risk detection or a risky user says in ECS, and which rules see it."""

import json
from typing import Any

import pytest

from detectors.sigma.engine import applies
from ingest.formats.azure_identity_protection.format import FORMAT
from ingest.formats.contract import LogSource
from ingest.formats.registry import format_named
from tests.ingest.formats.azure_records.conformity import expected, get, inner, record

NAME = "azure.identity_protection"


def test_a_detection_whose_state_changes_is_a_new_record() -> None:
    first, later = (
        FORMAT.identify(record(NAME, case)) for case in ("unlikely_travel_event_hubs", "state_changed_by_admin")
    )
    assert first == "dddddddd01:2026-11-22T08:20:00.1234567Z"
    assert later == "dddddddd01:2026-11-22T09:20:00Z"


@pytest.mark.parametrize("case", ["risky_user", "graph_risky_user", "no_times_but_its_own"])
def test_the_id_of_a_user_is_no_id_of_a_record(case: str) -> None:
    assert FORMAT.identify(record(NAME, case)) is None


def test_a_risky_user_is_about_the_user() -> None:
    found = expected(NAME, "risky_user")
    assert found["user"]["id"] == "000000b2-0000-4000-8000-0000000000b2"
    assert (found["event"]["category"], found["event"]["type"]) == (["iam"], ["user", "info"])
    assert get(found, "azure.identityprotection.properties.is_guest") is False


@pytest.mark.parametrize(
    ("member", "value", "path", "kept"),
    [
        ("ipAddress", "unknown", "ip_address", None),
        ("ipAddress", "::ffff:203.0.113.9", "ip_address", "203.0.113.9"),
        ("detectedDateTime", "11/22/2026 8:00:00 AM", "detected_datetime", "2026-11-22T08:00:00.000Z"),
        ("detectedDateTime", 7, "detected_datetime", None),
        ("riskLevel", {"value": "high"}, "risk_level", None),
        ("additionalInfo", [{"Key": "a.b", "Value": "c"}, {"Key": ""}, 7], "additional_info", {"a_b": "c"}),
        ("location", "FR", "location", None),
        ("somethingNew", "x", "something_new", None),
    ],
)
def test_a_property_is_kept_only_in_the_type_of_its_field(member: str, value: Any, path: str, kept: Any) -> None:
    document = FORMAT.normalise(inner(NAME, "state_changed_by_admin", **{member: value}))
    assert get(document, f"azure.identityprotection.properties.{path}") == kept


def test_rules_for_risk_detections_and_for_role_alerts_see_it_and_no_others_do() -> None:
    seen = {
        service: applies(LogSource("azure", service), FORMAT.log_source)
        for service in ("riskdetection", "PIM", "signinlogs", "auditlogs", None)
    }
    assert seen == {"riskdetection": True, "PIM": True, "signinlogs": False, "auditlogs": False, None: True}
    assert not applies(LogSource("azure", "riskdetection"), format_named("azure.signinlogs").log_source)


def test_the_name_that_public_rules_use_leads_to_the_detection() -> None:
    vendor: Any = FORMAT.view(record(NAME, "unlikely_travel_event_hubs")).vendor
    for part in FORMAT.aliases["riskEventType"].split("."):
        vendor = vendor[part]
    assert vendor == "unlikelyTravel"


def test_a_time_of_its_own_serves_when_the_envelope_has_none() -> None:
    document = expected(NAME, "no_times_but_its_own")
    assert (
        document["@timestamp"]
        == json.loads(record(NAME, "no_times_but_its_own"))["properties"]["detectedDateTime"][:19] + ".100Z"
    )
