"""What operators are told to do about AWS's refusals."""

from __future__ import annotations

import pytest
from botocore import exceptions as sdk

from ingest.schema.errors import SourceRefused, SourceUnavailable
from ingest.transports.aws.advice import explain


def answer(code: str, message: str = "", status: int = 400) -> sdk.ClientError:
    return sdk.ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject"
    )


def denied(action: str, why: str) -> sdk.ClientError:
    message = f"User: arn:aws:iam::1:role/x is not authorized to perform: {action} on resource: arn:aws:x because {why}"
    return answer("AccessDenied", message, 403)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            denied("sqs:ReceiveMessage", "no identity-based policy allows it"),
            "allow sqs:ReceiveMessage on arn:aws:x",
        ),
        (denied("kms:Decrypt", "no identity-based policy allows it"), "in the policy of the key as well"),
        (denied("s3:GetObject", "an explicit deny in a resource-based policy"), "denies s3:GetObject explicitly"),
        (denied("s3:GetObject", "an explicit deny in a service control policy"), "ask its administrator"),
        (denied("sts:AssumeRole", "no identity-based policy allows it"), "external_id"),
        (answer("AccessDenied", "Access Denied", 403), "without s3:ListBucket S3 answers the same"),
        (answer("NoSuchKey", status=404), "find out who removed it"),
        (answer("NoSuchBucket", status=404), "bucket's name"),
        (answer("InvalidObjectState", status=403), "restore it"),
        (answer("QueueDoesNotExist"), "correct queue_url"),
        (answer("ResourceNotFoundException"), "stream's name"),
        (answer("KMS.DisabledException"), "enable the key"),
        (answer("ExpiredToken"), "renew the credentials"),
        (answer("SignatureDoesNotMatch", status=403), "secret does not belong"),
        (answer("RequestTimeTooSkewed", status=403), "clock of this machine"),
        (answer("PermanentRedirect", status=301), "set region"),
        (sdk.NoCredentialsError(), "give credentials as for any AWS tool"),
        (sdk.NoRegionError(), "set region"),
        (sdk.ParamValidationError(report="x"), "correct the settings"),
        (answer("SomethingNew", "of next year"), "check the credentials and permissions"),
    ],
    ids=lambda value: (
        getattr(value, "response", {}).get("Error", {}).get("Code") if hasattr(value, "response") else None
    ),
)
def test_a_refusal_says_what_to_mend(error: Exception, advice: str) -> None:
    told = explain(error, "calling s3 get_object", "trail/1.json")
    assert isinstance(told, SourceRefused)
    assert advice in told.mend
    assert told.where == "trail/1.json"


@pytest.mark.parametrize(
    "error",
    [
        answer("SlowDown", status=503),
        answer("Throttling"),
        answer("InternalError", status=500),
        answer("SomethingNew", status=502),
        answer("SomethingNew", status=429),
        answer("KMS.ThrottlingException"),
        answer("ProvisionedThroughputExceededException"),
        sdk.EndpointConnectionError(endpoint_url="https://x"),
        sdk.ReadTimeoutError(endpoint_url="https://x"),
        sdk.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        ConnectionResetError("reset"),
    ],
    ids=str,
)
def test_what_may_pass_is_retried(error: Exception) -> None:
    assert isinstance(explain(error, "calling", "x"), SourceUnavailable)
