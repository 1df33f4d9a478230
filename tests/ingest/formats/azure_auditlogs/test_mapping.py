"""What a directory audit event says in ECS, row by row of the field table."""

from typing import Any

import pytest

from ingest.formats.azure_auditlogs.classify import kinds_of
from ingest.formats.azure_auditlogs.format import FORMAT
from tests.ingest.formats.azure_records.conformity import changed, expected, get, inner

NAME = "azure.auditlogs"


@pytest.mark.parametrize(
    ("result", "outcome"),
    [("success", "success"), ("FAILURE", "failure"), ("timeout", "unknown"), (None, "unknown"), (7, "unknown")],
)
def test_an_absent_result_is_no_failure(result: Any, outcome: str) -> None:
    assert FORMAT.normalise(inner(NAME, "device_deleted", result=result))["event"]["outcome"] == outcome


@pytest.mark.parametrize(
    ("category", "operation_type", "operation", "kinds"),
    [
        ("UserManagement", "Add", "Add user", ("iam", ("user", "creation"))),
        ("GroupManagement", "Delete", "Delete group", ("iam", ("group", "deletion"))),
        ("RoleManagement", "Assign", "Add member to role", ("iam", ("admin", "change"))),
        ("ApplicationManagement", "Update", "Update application", ("iam", ("admin", "change"))),
        ("Policy", "", "Delete conditional access policy", ("iam", ("admin", "deletion"))),
        ("UserManagement", "Other", "Reset user password", ("iam", ("user", "change"))),
        ("DirectoryManagement", "", "Set Company Information", ("configuration", ("change",))),
        ("KeyManagement", "Other", "Read BitLocker key", ("configuration", ("info",))),
    ],
)
def test_category_and_type_say_what_was_done_to_whom(
    category: str, operation_type: str, operation: str, kinds: tuple[str, tuple[str, ...]]
) -> None:
    assert kinds_of(category, operation_type, operation) == kinds


def test_names_are_in_snake_case_but_those_of_the_initiator() -> None:
    kept = expected(NAME, "pim_activation")["azure"]["auditlogs"]["properties"]
    assert kept["initiated_by"]["user"]["userPrincipalName"] == "mara@orchard.example"
    assert kept["logged_by_service"] == "PIM"
    assert kept["activity_datetime"] == kept["activity_date_time"]
    assert kept["target_resources"]["1"]["user_principal_name"] == "tom@orchard.example"


def test_texts_within_texts_stay_as_they_are() -> None:
    path = "azure.auditlogs.properties.target_resources.0.modified_properties.0.new_value"
    assert get(expected(NAME, "consent_to_application"), path) == '"False"'


@pytest.mark.parametrize(
    ("case", "key", "kind"),
    [
        ("pim_activation", "entra:000000b2-0000-4000-8000-0000000000b2", "user"),
        ("application_secret_added", "entra:000000b5-0000-4000-8000-0000000000b5", "service_principal"),
        ("cut_down_without_envelope_category", "entra:mara@orchard.example", "user"),
    ],
)
def test_who_did_it_is_one_principal_across_logs(case: str, key: str, kind: str) -> None:
    principal = expected(NAME, case)["skytrail"]["principal"]
    assert (principal["key"], principal["type"]) == (key, kind)


def test_users_groups_and_devices_acted_on_are_found() -> None:
    found = expected(NAME, "lower_case")
    assert found["user"]["target"] == {"id": "000000b7-0000-4000-8000-0000000000b7", "name": "tom@orchard.example"}
    assert found["group"] == {"id": "00000020-0000-4000-8000-000000000020", "name": "press-crew"}
    assert expected(NAME, "device_deleted")["related"]["hosts"] == ["MARA-LAPTOP"]


def test_the_address_comes_from_the_caller_the_initiator_or_the_details() -> None:
    assert get(expected(NAME, "pim_activation"), "source.ip") == "203.0.113.9"
    bare = inner(NAME, "pim_activation", initiatedBy={"app": {"displayName": "MS-PIM"}})
    assert get(FORMAT.normalise(bare), "source.ip") == "198.51.100.40"


def test_the_portal_shows_rules_what_their_authors_saw() -> None:
    vendor = FORMAT.view(changed(NAME, "guest_becomes_member")).vendor
    assert vendor["category"] == ["AuditLogs", "UserManagement"]
    assert (
        '"displayName":"UserType","oldValue":"[\\"Guest\\"]","newValue":"[\\"Member\\"]"' in vendor["portal"]["message"]
    )
    consent = FORMAT.view(changed(NAME, "consent_to_application")).vendor["portal"]
    assert consent["modified"]["ConsentContext.IsAdminConsent"] == "False"
    assert consent["types"] == ["ServicePrincipal", "Service Principal"]
