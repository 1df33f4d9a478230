"""Rows of the reference, written by hand against the golden records: each source value lands where it must."""

import json
from typing import Any

import pytest

from ingest.formats.aws_cloudtrail.format import FORMAT
from ingest.schema.errors import MalformedRecord
from tests.ingest.formats.aws_cloudtrail.conformity import get, raw

VENDOR = "aws.cloudtrail"
IDENTITY = "aws.cloudtrail.user_identity"
ISSUER = f"{IDENTITY}.session_context.session_issuer"

ROWS: list[tuple[str, str, Any]] = [
    ("assume_role_of_another_account", "@timestamp", "2026-11-22T09:15:04.000Z"),
    ("assume_role_of_another_account", f"{VENDOR}.event_version", "1.11"),
    ("assume_role_of_another_account", f"{VENDOR}.event_category", "Management"),
    ("assume_role_of_another_account", f"{VENDOR}.event_type", "AwsApiCall"),
    ("assume_role_of_another_account", f"{IDENTITY}.type", "AssumedRole"),
    ("assume_role_of_another_account", f"{IDENTITY}.arn", "arn:aws:sts::111122223333:assumed-role/deployer/ci-4711"),
    ("assume_role_of_another_account", f"{IDENTITY}.access_key_id", "ASIAEXAMPLEDEPLOY001"),
    ("assume_role_of_another_account", f"{IDENTITY}.session_context.mfa_authenticated", "false"),
    ("assume_role_of_another_account", f"{IDENTITY}.session_context.creation_date", "2026-11-22T08:58:11.000Z"),
    ("assume_role_of_another_account", f"{ISSUER}.type", "Role"),
    ("assume_role_of_another_account", f"{ISSUER}.principal_id", "AROAEXAMPLEDEPLOYER01"),
    ("assume_role_of_another_account", f"{ISSUER}.arn", "arn:aws:iam::111122223333:role/deployer"),
    ("assume_role_of_another_account", f"{ISSUER}.account_id", "111122223333"),
    ("assume_role_of_another_account", "user.name", "deployer"),
    ("assume_role_of_another_account", "user.id", "AROAEXAMPLEDEPLOYER01:ci-4711"),
    ("assume_role_of_another_account", "user.effective.id", "AROAEXAMPLEREADER0001:nightly-audit"),
    ("assume_role_of_another_account", "user.effective.name", "reader"),
    ("assume_role_of_another_account", "cloud.account.id", "111122223333"),
    ("assume_role_of_another_account", "cloud.target.account.id", "444455556666"),
    ("assume_role_of_another_account", "cloud.region", "us-east-1"),
    ("assume_role_of_another_account", "cloud.provider", "aws"),
    ("assume_role_of_another_account", "event.provider", "sts.amazonaws.com"),
    ("assume_role_of_another_account", "event.action", "AssumeRole"),
    ("assume_role_of_another_account", "event.kind", "event"),
    ("assume_role_of_another_account", "event.category", ["authentication"]),
    ("assume_role_of_another_account", "event.type", ["info"]),
    ("assume_role_of_another_account", "event.outcome", "success"),
    ("assume_role_of_another_account", "event.id", "5a0b1c2d-0000-4000-8000-000000000004"),
    ("assume_role_of_another_account", f"{VENDOR}.request_id", "7d1f0c6e-0000-4000-8000-000000000004"),
    ("assume_role_of_another_account", "source.address", "2001:db8::17"),
    ("assume_role_of_another_account", "source.ip", "2001:db8::17"),
    ("assume_role_of_another_account", "user_agent.name", "Boto3"),
    ("assume_role_of_another_account", "user_agent.version", "1.40.61"),
    ("assume_role_of_another_account", "tls.version", "1.3"),
    ("assume_role_of_another_account", "tls.version_protocol", "tls"),
    ("assume_role_of_another_account", "tls.cipher", "TLS_AES_128_GCM_SHA256"),
    ("assume_role_of_another_account", "tls.client.server_name", "iam.amazonaws.com"),
    ("assume_role_of_another_account", "skytrail.principal.key", "aws:AROAEXAMPLEDEPLOYER01:ci-4711"),
    ("assume_role_of_another_account", "skytrail.principal.type", "role"),
    ("assume_role_of_another_account", "skytrail.session.key", "ASIAEXAMPLEDEPLOY001"),
    (
        "assume_role_of_another_account",
        f"{VENDOR}.resources",
        [
            {
                "arn": "arn:aws:iam::444455556666:role/audit/reader",
                "account_id": "444455556666",
                "type": "AWS::IAM::Role",
            }
        ],
    ),
    ("assume_role_of_another_account", "related.user", ["alice", "ci-4711", "deployer", "nightly-audit", "reader"]),
    ("assume_role_denied", "user.effective", None),
    ("assume_role_denied", "event.type", ["info", "denied"]),
    ("assume_role_with_saml", "event.type", ["start"]),
    ("assume_role_with_saml", "event.category", ["authentication"]),
    ("assume_role_with_saml", "user.name", "bob@example.com"),
    ("assume_role_with_saml", "user.effective.name", "sso-developer"),
    ("assume_role_with_saml", "cloud.account.id", "111122223333"),
    ("console_login_ok", "event.outcome", "success"),
    ("console_login_ok", f"{VENDOR}.console_login.additional_eventdata.mfa_used", True),
    ("console_login_ok", f"{VENDOR}.console_login.additional_eventdata.mobile_version", False),
    ("console_login_ok", "user_agent.os.name", "macOS"),
    ("console_login_failed", "event.outcome", "failure"),
    ("console_login_failed", f"{VENDOR}.error_message", "Failed authentication"),
    ("console_login_error_message_only", "event.outcome", "failure"),
    ("create_user", "event.category", ["iam"]),
    ("create_user", "event.type", ["user", "creation"]),
    ("create_user", "user.target.name", "backup-svc"),
    ("create_user", "user.target.id", "AIDAEXAMPLEBACKUP0001"),
    ("create_user", f"{VENDOR}.request_parameters", "{userName=backup-svc, path=/svc/}"),
    ("create_user", f"{VENDOR}.flattened.request_parameters", {"userName": "backup-svc", "path": "/svc/"}),
    ("create_user", f"{VENDOR}.session_credential_from_console", "true"),
    ("create_user", f"{VENDOR}.management_event", "true"),
    ("create_user", f"{VENDOR}.read_only", False),
    ("create_user", "related.user", ["alice", "backup-svc"]),
    ("update_user_gives_a_new_name", "user.changes.name", "backup-service"),
    ("update_user_gives_a_new_name", "related.user", ["alice", "backup-service", "backup-svc"]),
    ("add_user_to_group", "group.name", "admins"),
    ("create_group", "group.id", "AGPAEXAMPLEAUDITORS01"),
    ("attach_role_policy", "event.type", ["admin", "change"]),
    ("attach_role_policy", "user_agent.name", "Terraform"),
    ("put_bucket_policy_with_object", f"{VENDOR}.vpc_endpoint_id", "vpce-0a1b2c3d4e5f60718"),
    ("run_instances_with_odd_types", f"{VENDOR}.api_version", "20161115"),
    ("run_instances_with_odd_types", f"{VENDOR}.recipient_account_id", "111122223333"),
    ("run_instances_with_odd_types", f"{VENDOR}.flattened.request_parameters.count", "123456789012345678901234567890"),
    ("run_instances_with_odd_types", "related.ip", ["10.20.30.40", "198.51.100.7"]),
    ("run_instances_with_odd_types", "related.hosts", ["i-0123456789abcdef0"]),
    ("run_instances_with_odd_types", "host.id", "i-0123456789abcdef0"),
    ("run_instances_with_odd_types", "event.type", ["creation"]),
    ("s3_data_event_of_aws_internal", "source.address", "AWS Internal"),
    ("s3_data_event_of_aws_internal", "source.ip", None),
    ("s3_data_event_of_aws_internal", f"{IDENTITY}.invoked_by", "AWS Internal"),
    ("s3_data_event_of_aws_internal", f"{VENDOR}.event_category", "Data"),
    ("access_denied", f"{VENDOR}.error_code", "Client.UnauthorizedOperation"),
    ("access_denied", "event.outcome", "failure"),
    ("access_denied", "event.type", ["access", "denied"]),
    ("failed_for_another_reason", "event.outcome", "failure"),
    ("failed_for_another_reason", "event.type", ["change"]),
    ("aws_service_as_caller", "cloud.account.id", "111122223333"),
    ("aws_service_as_caller", "skytrail.principal.key", "aws:service:dynamodb.amazonaws.com"),
    ("aws_service_as_caller", f"{VENDOR}.shared_event_id", "c0ffee00-0000-4000-8000-000000000020"),
    (
        "aws_service_as_caller",
        "related.entity",
        ["arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
    ),
    (
        "service_event_without_request",
        f"{VENDOR}.service_event_details",
        "{keyId=1234abcd-12ab-34cd-56ef-1234567890ab, rotationType=AUTOMATIC, keyOrigin=AWS_KMS}",
    ),
    ("root", "skytrail.principal.key", "aws:111122223333:root"),
    ("root", "user.name", "root"),
    ("call_from_another_account", "cloud.account.id", "444455556666"),
    ("call_from_another_account", "cloud.target.account.id", "111122223333"),
    ("identity_center_user", "skytrail.principal.key", "aws:identity-center:94e8f4c8-1111-2222-3333-444455556666"),
    ("insight", f"{VENDOR}.flattened.insight_details.eventName", "CreateUser"),
    ("insight", "event.action", "AwsCloudTrailInsight"),
    ("insight", "cloud.account.id", "111122223333"),
    ("digest", "@timestamp", "2026-11-22T09:00:00.000Z"),
    ("digest", "cloud.account.id", "111122223333"),
    ("digest", f"{VENDOR}.flattened.digest.start_time", "2026-11-22T08:00:00Z"),
    ("digest", f"{VENDOR}.flattened.digest.signature_algorithm", "SHA256withRSA"),
    ("digest", "file.hash", None),
    ("network_activity_denied_by_endpoint_policy", "event.type", ["change", "denied"]),
    ("lookup_events_element", "event.action", "DeleteAccessKey"),
    ("lookup_events_element", "skytrail.time", None),
    ("eventbridge_element", "@timestamp", "2026-11-22T09:15:04.000Z"),
    ("log_group_element", "@timestamp", "2026-11-22T09:15:05.123Z"),
    ("log_group_element", "skytrail.time.marks", ["missing_event_time", "taken from wrapper timestamp", "epoch"]),
    ("all_lower_case_export", "event.action", "AssumeRole"),
    ("all_lower_case_export", "user.effective.name", "reader"),
    ("all_lower_case_export", "@timestamp", "2026-11-22T09:15:04.380Z"),
    ("all_lower_case_export", "skytrail.time.marks", ["no_zone"]),
    ("all_lower_case_export", f"{VENDOR}.read_only", True),
    ("duplicate_keys_the_last_wins", "event.action", "DeleteUser"),
    ("duplicate_keys_the_last_wins", "user.target.name", "dave"),
    ("not_an_address", "source.address", "253.252.51.07"),
    ("not_an_address", "source.ip", None),
    ("not_an_address", "related.ip", ["203.0.113.80", "203.0.113.81"]),
    ("policy_too_long_for_a_term", f"{VENDOR}.flattened", None),
    ("text_too_long_in_bytes_only", f"{VENDOR}.flattened", None),
    ("body_nested_deeper_than_flattened_allows", f"{VENDOR}.flattened", None),
    ("read_only_as_text", f"{VENDOR}.read_only", True),
    ("read_only_as_text", "@timestamp", "2026-11-22T07:15:04.999Z"),
    ("request_parameters_as_text", f"{VENDOR}.request_parameters", "fields @timestamp"),
    ("request_parameters_as_text", f"{VENDOR}.flattened", None),
    ("request_parameters_as_text", "user_agent.name", "aws-cli"),
    ("renamed_event_time", "skytrail.time.marks", ["missing_event_time", "taken from timestamp", "no_zone"]),
    ("without_event_id", "user", None),
    ("broken_unicode", f"{VENDOR}.request_parameters", "{userName=eve, tags=[{key=k, value=\ufffd bad \ufffd byte}]}"),
]


@pytest.mark.parametrize(("case", "path", "value"), ROWS, ids=[f"{case}-{path}" for case, path, _ in ROWS])
def test_a_value_lands_where_the_reference_puts_it(case: str, path: str, value: Any) -> None:
    assert get(FORMAT.normalise(raw(case)), path) == value


def test_long_bodies_keep_their_text_whole() -> None:
    text = get(FORMAT.normalise(raw("policy_too_long_for_a_term")), f"{VENDOR}.request_parameters")
    assert len(text) > 32_766
    assert text.endswith("setAsDefault=true}")


@pytest.mark.parametrize(
    "entity",
    [
        "arn:aws:iam::444455556666:role/audit/reader",  # roleArn, resources
        "arn:aws:sts::444455556666:assumed-role/reader/nightly-audit",  # assumedRoleUser.arn
        "nightly-audit",  # roleSessionName
        "alice",  # sourceIdentity
        "ASIAEXAMPLEREADER0001",  # the new session's key
        "ASIAEXAMPLEDEPLOY001",  # the caller's key
        "AROAEXAMPLEDEPLOYER01:ci-4711",  # principalId
        "deployer",  # sessionIssuer.userName
    ],
)
def test_responders_can_pivot_on_every_id_of_an_assumed_role(entity: str) -> None:
    assert entity in get(FORMAT.normalise(raw("assume_role_of_another_account")), "related.entity")


def _event(**fields: Any) -> bytes:
    base = {"eventTime": "2026-11-22T09:15:04Z", "eventName": "GetUser", "eventSource": "iam.amazonaws.com"}
    return json.dumps(base | fields).encode()


@pytest.mark.parametrize("time", ["2026-02-30T00:00:00Z", "redacted", {"a": 1}, [1], True, 1e300])
def test_an_impossible_time_is_refused_by_name(time: Any) -> None:
    with pytest.raises(MalformedRecord, match="eventTime"):
        FORMAT.normalise(_event(eventTime=time, time="2026-11-22T09:15:04Z"))


def test_an_event_without_any_time_is_refused() -> None:
    with pytest.raises(MalformedRecord, match="no other time"):
        FORMAT.normalise(_event(eventTime=None))


@pytest.mark.parametrize(
    ("error", "types"),
    [
        ("AccessDenied", ["access", "denied"]),
        ("AccessDeniedException", ["access", "denied"]),
        ("UnauthorizedOperation", ["access", "denied"]),
        ("403", ["access", "denied"]),
        ("Throttling", ["access"]),
    ],
)
def test_who_lacked_the_right_is_marked_denied(error: str, types: list[str]) -> None:
    document = FORMAT.normalise(_event(eventName="GetItem", eventSource="dynamodb.amazonaws.com", errorCode=error))
    assert document["event"]["type"] == types
    assert document["event"]["outcome"] == "failure"


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("GetSecretValue", (["api"], ["access"])),
        ("LookupEvents", (["api"], ["access"])),
        ("RunTask", (["api"], ["creation"])),
        ("TerminateInstances", (["api"], ["deletion"])),
        ("ModifyImageAttribute", (["api"], ["change"])),
        ("StopLogging", (["api"], ["info"])),
        ("DeleteRolePolicy", (["iam"], ["admin", "deletion"])),
        ("ListRoles", (["iam"], ["admin", "info"])),
        ("AddRoleToInstanceProfile", (["iam"], ["admin", "info"])),
        ("DeleteBucket", (["file"], ["deletion"])),
        ("CreateKeyPair", (["iam"], ["admin", "creation"])),
        ("GetSessionToken", (["authentication"], ["start"])),
    ],
)
def test_a_call_has_the_category_and_type_of_its_name(name: str, kinds: tuple[list[str], list[str]]) -> None:
    event = FORMAT.normalise(_event(eventName=name))["event"]
    assert (event["category"], event["type"]) == kinds


def test_identity_center_is_identity_management() -> None:
    event = FORMAT.normalise(_event(eventName="CreateToken", eventSource="sso.amazonaws.com"))["event"]
    assert (event["category"], event["type"]) == (["iam"], ["admin", "creation"])


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("true", True), ("False", False), ("maybe", None), (1, None), ([], None)]
)
def test_read_only_is_boolean_or_absent(value: Any, expected: Any) -> None:
    assert get(FORMAT.normalise(_event(readOnly=value)), f"{VENDOR}.read_only") is expected


def test_an_account_that_became_a_number_gets_its_zeros_back() -> None:
    document = FORMAT.normalise(_event(userIdentity={"type": "IAMUser", "accountId": 12345678901}))
    assert document["cloud"]["account"]["id"] == "012345678901"
