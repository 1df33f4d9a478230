"""Every golden pair of Azure's logs: the document is the expected one, and one that the index takes."""

import json

import pytest

from ingest.formats.registry import all_formats, format_named
from ingest.schema.fields import paths
from tests.ingest.formats.azure_records.conformity import NAMES, body, cases, expected, faults, get, record

PAIRS = cases()


@pytest.mark.parametrize("name", NAMES)
def test_there_is_a_pair_for_every_channel_and_trap(name: str) -> None:
    assert len([case for pair, case in PAIRS if pair == name]) >= 11


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_the_document_is_the_expected_one(name: str, case: str) -> None:
    assert format_named(name).normalise(record(name, case)) == expected(name, case)


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_the_document_fits_the_index(name: str, case: str) -> None:
    format_ = format_named(name)
    assert faults(format_, expected(name, case)) == []


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_the_body_is_recognised_by_its_format_alone(name: str, case: str) -> None:
    for sample in (body(name, case), record(name, case), b'{"records": [' + record(name, case) + b"]}"):
        assert [known for known, format_ in all_formats().items() if format_.recognise(sample)] == [name]


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_no_secret_of_a_case_reaches_its_document_or_its_original(name: str, case: str) -> None:
    reading = format_named(name).read(record(name, case))
    told = json.dumps(reading.normalise()) + json.dumps(reading.view().vendor) + reading.shown.decode()
    for secret in ("aB%2Bc", "pl\\", "um\\"):
        assert secret not in told


@pytest.mark.parametrize(
    ("name", "case", "path", "value"),
    [
        ("activitylogs", "list_keys_started", "azure.resource.authorization_rule", "ROOTMANAGESHAREDACCESSKEY"),
        ("activitylogs", "role_assignment_event_hubs", ".identity.authorization.evidence.role", "Owner"),
        ("auditlogs", "pim_activation", ".properties.target_resources.0.display_name", "Security Administrator"),
        ("auditlogs", "pim_activation", ".properties.initiated_by.user.userPrincipalName", "mara@orchard.example"),
        ("signinlogs", "mfa_denied", ".properties.status.error_code", 500121),
        ("signinlogs", "guest_over_ropc", ".properties.authentication_protocol", "ropc"),
        ("signinlogs", "log_analytics_row", ".properties.risk_level_during_signin", "medium"),
        ("platformlogs", "secret_read_event_hubs", ".operation_name", "SecretGet"),
    ],
)
def test_fields_that_stock_rules_query_are_there(name: str, case: str, path: str, value: object) -> None:
    whole = f"azure.{name}{path}" if path.startswith(".") else path
    assert get(expected(f"azure.{name}", case), whole) == value


def test_modified_properties_are_keyed_by_position() -> None:
    document = expected("azure.auditlogs", "member_added_to_role_event_hubs")
    assert "azure.auditlogs.properties.target_resources.0.modified_properties.1.new_value" in paths(document)
