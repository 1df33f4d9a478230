"""What a resource log record says in ECS, row by row of the field table."""

from typing import Any

import pytest

from ingest.formats.azure_platformlogs.classify import kinds_of
from ingest.formats.azure_platformlogs.format import FORMAT
from tests.ingest.formats.azure_records.conformity import changed, expected, get

NAME = "azure.platformlogs"


@pytest.mark.parametrize(
    ("members", "outcome"),
    [
        ({"resultType": "Success"}, "success"),
        ({"resultType": "Failed"}, "failure"),
        ({"properties": {"result": "Failure"}}, "failure"),
        ({"Status": "Succeeded"}, "success"),
        ({"statusCode": 404}, "failure"),
        ({"statusCode": "200"}, "success"),
        ({"properties": {"httpStatusCode": 401.0}}, "failure"),
        ({"properties": {"metricResponseType": "Success"}}, "success"),
        ({"resultType": "Other", "properties": {}}, "unknown"),
    ],
)
def test_the_outcome_is_what_any_of_its_words_says(members: dict[str, Any], outcome: str) -> None:
    bare = {"resultType": None, "resultSignature": None, "properties": {}, "identity": None}
    assert (
        FORMAT.normalise(changed(NAME, "secret_list_forbidden", **{**bare, **members}))["event"]["outcome"] == outcome
    )


@pytest.mark.parametrize(
    ("category", "operation", "kinds"),
    [
        ("auditevent", "secretget", ("configuration", ("access",))),
        ("auditevent", "secretset", ("configuration", ("change",))),
        ("auditevent", "keypurge", ("configuration", ("deletion",))),
        ("auditevent", "certificatecreate", ("configuration", ("creation",))),
        ("auditevent", "vaultpatch", ("configuration", ("change",))),
        ("storageread", "getblob", ("file", ("access",))),
        ("storagewrite", "putblob", ("file", ("creation",))),
        ("storagewrite", "deleteblob", ("file", ("deletion",))),
        ("storagewrite", "setblobmetadata", ("file", ("change",))),
        ("storagedelete", "undeletecontainer", ("file", ("deletion",))),
        ("", "deletefile", ("file", ("deletion",))),
        ("other", "microsoft.web/sites/write", ("configuration", ("change",))),
        ("other", "microsoft graph activity", ("api", ("info",))),
    ],
)
def test_category_and_type_follow_from_log_and_operation(
    category: str, operation: str, kinds: tuple[str, tuple[str, ...]]
) -> None:
    assert kinds_of(category, operation) == kinds


def test_a_line_of_a_cluster_is_the_message_or_is_parsed() -> None:
    assert expected(NAME, "cluster_component_line")["message"].startswith("I1122")
    parsed = get(expected(NAME, "cluster_guard_json_line"), "azure.platformlogs.properties.log")
    assert parsed == {"level": "info", "msg": "token checked"}


@pytest.mark.parametrize(
    ("case", "key"),
    [
        ("secret_read_event_hubs", "entra:000000b2-0000-4000-8000-0000000000b2"),
        ("secret_list_forbidden", "entra:000000b5-0000-4000-8000-0000000000b5"),
        ("blob_written_by_application", "entra:000000b5-0000-4000-8000-0000000000b5"),
        ("azure_diagnostics_row", "entra:mara@orchard.example"),
        ("graph_activity", "entra:000000b2-0000-4000-8000-0000000000b2"),
        ("blob_deleted_anonymously", None),
        ("storage_blob_logs_row", None),
    ],
)
def test_who_called_is_one_principal_across_logs(case: str, key: str | None) -> None:
    assert get(expected(NAME, case), "skytrail.principal.key") == key


def test_region_status_and_time_of_event_hubs_are_read() -> None:
    found = expected(NAME, "event_hubs_operation")
    assert found["@timestamp"] == "2026-11-22T14:07:32.000Z"
    assert get(found, "cloud.region") == "West Europe"
    assert get(found, "azure.platformlogs.status") == "Succeeded"
    assert found["event"]["action"] == "Retrieve Namespace"


def test_a_request_to_storage_has_its_address_port_and_uri_without_the_signature() -> None:
    found = expected(NAME, "blob_read_with_shared_signature")
    assert found["source"] == {"address": "198.51.100.77:51234", "ip": "198.51.100.77", "port": 51234}
    assert found["url"]["query"] == "sv=2024-11-04&sp=r&sig=<redacted>&se=2027-01-01"
    assert found["tls"] == {"version": "1.3", "version_protocol": "tls"}


@pytest.mark.parametrize("uri", ["http://[x", "x" * 9000, "", "no uri"])
def test_an_odd_uri_does_not_lose_the_event(uri: str) -> None:
    found = FORMAT.normalise(changed(NAME, "blob_deleted_anonymously", uri=uri))
    assert get(found, "url.original") == (uri if 0 < len(uri) < 9000 else None)
