"""Every golden pair: the document is the expected one, and one that the index takes."""

import json

import pytest

from ingest.formats.gcp_audit.format import FORMAT
from ingest.formats.registry import all_formats
from ingest.schema.fields import paths
from tests.ingest.formats.conformity import TYPES, Golden, get

GOLDEN = Golden(FORMAT)


def test_there_is_a_pair_for_every_log_and_trap() -> None:
    assert len(GOLDEN.cases()) >= 16
    streams = {GOLDEN.expected(case)["event"]["provider"] for case in GOLDEN.cases()}
    assert streams == {"activity", "data_access", "system_event", "policy"}


@pytest.mark.parametrize("case", GOLDEN.cases())
def test_the_document_is_the_expected_one(case: str) -> None:
    assert FORMAT.normalise(GOLDEN.record(case)) == GOLDEN.expected(case)


@pytest.mark.parametrize("case", GOLDEN.cases())
def test_the_document_fits_the_index(case: str) -> None:
    document = FORMAT.normalise(GOLDEN.record(case))
    assert GOLDEN.faults(document) == []
    assert [path for path in paths(document) if not GOLDEN.registry.allows(path)] == []


@pytest.mark.parametrize("case", GOLDEN.cases())
def test_category_and_type_are_pairs_that_ecs_expects(case: str) -> None:
    event = GOLDEN.expected(case)["event"]
    allowed = set.union(*(TYPES[category] for category in event["category"]))
    # `denied` is ours on every category: who was refused what must be found with one query
    assert set(event["type"]) - {"denied"} <= allowed


@pytest.mark.parametrize("case", GOLDEN.cases())
def test_the_body_is_recognised_by_this_format_alone(case: str) -> None:
    assert [name for name, one in all_formats().items() if one.recognise(GOLDEN.body(case))] == [FORMAT.name]
    assert FORMAT.recognise(GOLDEN.record(case))


@pytest.mark.parametrize("case", GOLDEN.cases())
def test_no_secret_of_a_case_reaches_its_document_or_its_original(case: str) -> None:
    told = json.dumps(FORMAT.normalise(GOLDEN.record(case))) + FORMAT.read(GOLDEN.record(case)).shown.decode()
    for secret in ("HIDE-ME", "SElERS1NRQ", "AIzaSy", "eyJ0eXBlIjoic2VydmljZV9hY2NvdW50Ii"):
        assert secret not in told


@pytest.mark.parametrize(
    "query",
    [
        ("service_account_key_created", "event.action", "google.iam.admin.v1.CreateServiceAccountKey"),
        ("service_account_key_created", "client.user.email", "maria@orchard.example"),
        ("service_account_key_created", "user.target.email", "deploy@orchard-4711.iam.gserviceaccount.com"),
        ("token_of_another_account", "user.effective.email", "deploy@orchard-4711.iam.gserviceaccount.com"),
        ("organisation_sink_deleted", "organization.id", "123456789012"),
        ("organisation_sink_deleted", "gcp.audit.num_response_items", 1),
        ("gke_cluster_changed", "orchestrator.cluster.name", "shop"),
        ("firewall_insert_first", "gcp.audit.response.status_value", "RUNNING"),
        ("third_party_principal", "gcp.audit.request.policy_value", "inherited"),
        ("policy_denied", "error.code", "PERMISSION_DENIED"),
        ("instance_startup_script", "cloud.availability_zone", "europe-west3-b"),
        ("delegated_with_key", "skytrail.session.key", "0a1b2c3d"),
        ("token_of_another_account", "source", {"address": "gce-internal-ip"}),
    ],
)
def test_fields_that_rules_and_people_query_are_there(query: tuple[str, str, object]) -> None:
    case, path, value = query
    assert get(GOLDEN.expected(case), path) == value


def test_who_stood_behind_a_service_account_and_whose_rights_changed_are_related() -> None:
    assert "runner@orchard-4711.iam.gserviceaccount.com" in GOLDEN.expected("delegated_with_key")["related"]["user"]
    assert "otto@elsewhere.example" in GOLDEN.expected("iam_policy_set")["related"]["user"]
