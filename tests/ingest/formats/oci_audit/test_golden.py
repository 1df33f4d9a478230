"""Every golden pair: the document is the expected one, and one that the index takes."""

import json

import pytest

from ingest.formats.oci_audit.format import FORMAT
from ingest.formats.registry import all_formats
from ingest.schema.fields import paths
from tests.ingest.formats.conformity import TYPES, Golden, get

GOLDEN = Golden(FORMAT)


def test_there_is_a_pair_for_every_shape_and_trap() -> None:
    assert len(GOLDEN.cases()) >= 14
    assert {get(GOLDEN.expected(case), "oci.audit.schema_version") for case in GOLDEN.cases()} == {"1", "2"}


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
    for secret in ("HIDE-ME", "eyJhbGciOi"):
        assert secret not in told


@pytest.mark.parametrize(
    "query",
    [
        ("instance_read", "cloud.instance.id", "ocid1.instance.oc1.eu-frankfurt-1.aaaaweb1"),
        ("instance_read", "cloud.region", "eu-frankfurt-1"),
        ("instance_read", "skytrail.session.key", "20:3b:97:13"),
        ("policy_created", "event.type", ["admin", "creation"]),
        ("policy_created", "cloud.account.id", "ocid1.tenancy.oc1..aaaaorchard"),
        ("api_key_uploaded", "skytrail.session.key", "csid1234"),
        ("forbidden", "event.type", ["deletion", "denied"]),
        ("forbidden", "source.ip", "2001:db8::9"),
        ("absent_404", "event.type", ["access"]),
        ("absent_404", "error.code", "NotAuthorizedOrNotFound"),
        ("sign_in", "event.category", ["authentication"]),
        ("sign_in", "user.email", "otto@orchard.example"),
        ("instance_principal", "skytrail.principal.type", "instance"),
        ("through_logging", "event.id", "0c9d-1"),
        ("printed_by_the_command_line", "oci.audit.compartment_name", "shop"),
        ("version_1_without_event_time", "skytrail.time.marks", ["missing_event_time", "taken from response time"]),
    ],
)
def test_fields_that_rules_and_people_query_are_there(query: tuple[str, str, object]) -> None:
    case, path, value = query
    assert get(GOLDEN.expected(case), path) == value
