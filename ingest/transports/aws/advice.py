"""From the SDK's exceptions to our errors: what AWS refused, and what the operator should do about it. Pure.

An answer of AWS carries a code and, for a denied call, a sentence that names the action, the resource and the kind of
policy that denied it. The advice is made of them.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from __future__ import annotations

import re
from http import HTTPStatus

from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from ingest.schema.errors import SkytrailError, SourceRefused, SourceUnavailable

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_BUSY = frozenset(
    {
        "BandwidthLimitExceeded",
        "InternalError",
        "InternalFailure",
        "KMSThrottlingException",
        "KMS.ThrottlingException",
        "LimitExceededException",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_DENIED = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "KMS.AccessDeniedException",
        "KMSAccessDeniedException",
        "UnauthorizedOperation",
    }
)
_ADVICE = {
    "AuthorizationHeaderMalformed": "set region to that of the bucket",
    "AWS.SimpleQueueService.NonExistentQueue": "correct queue_url; `aws sqs get-queue-url --queue-name NAME` tells it",
    "IllegalLocationConstraintException": "set region to that of the bucket",
    "InvalidAccessKeyId": "this access key does not exist (any more): give the collector another one",
    "InvalidClientTokenId": "this access key does not exist (any more): give the collector another one",
    "InvalidObjectState": "the object lies in an archive class: restore it, and collect before the lifecycle moves it",
    "InvalidSignatureException": "the secret does not belong to the access key: correct both",
    "KMS.DisabledException": "enable the key again",
    "KMS.InvalidStateException": "cancel the key's deletion, or enable it",
    "KMS.NotFoundException": "the key is gone: what it encrypted can't be read by anybody",
    "KMSDisabledException": "enable the key again",
    "KMSInvalidStateException": "cancel the key's deletion, or enable it",
    "KMSNotFoundException": "the key is gone: what it encrypted can't be read by anybody",
    "KMSOptInRequired": "the account has no access to KMS: subscribe it",
    "NoSuchBucket": "correct the bucket's name; was it deleted?",
    "NoSuchKey": "find out who removed it (a lifecycle rule? someone?); restore it from a copy or an older version",
    "NoSuchVersion": "find out who removed this version; restore it from a copy",
    "OptInRequired": "enable the region or service for this account",
    "PermanentRedirect": "set region to that of the bucket",
    "PreconditionFailed": "someone wrote the object anew while it was read: it is read from its start next time",
    "QueueDoesNotExist": "correct queue_url; `aws sqs get-queue-url --queue-name NAME` tells it",
    "RequestTimeTooSkewed": "set the clock of this machine: it is more than 15 minutes off",
    "ResourceNotFoundException": "correct the stream's name and the region; is it in this account?",
    "SignatureDoesNotMatch": "the secret does not belong to the access key: correct both",
    "UnrecognizedClientException": "this access key does not exist (any more): give the collector another one",
}
_AWAY = (
    sdk.EndpointConnectionError,
    sdk.HTTPClientError,
    sdk.IncompleteReadError,
    sdk.MetadataRetrievalError,
    sdk.ResponseStreamingError,
    ResponseParserError,
    OSError,
)
_DENIED_ACTION = re.compile(r"to perform: (?P<action>[\w:*-]+)(?: on resource: (?P<resource>\S+))?")
_ROLE = "`skytrail onboard aws` prints a role that may do all this and nothing else"


def code_of(error: Exception) -> str:
    """AWS's code of an answer; "" when the call got none."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, sdk.ClientError) else ""


def explain(error: Exception, what: str, where: str) -> SkytrailError:
    """Our error for an exception of the SDK.

    Args:
        error: What the SDK, or reading an answer's body, raised.
        what: What was being done, as a gerund phrase.
        where: Queue, object or stream.

    Returns:
        `SourceUnavailable` when the same call may succeed later, else `SourceRefused` with what to mend.
    """
    code = code_of(error)
    if isinstance(error, sdk.ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        message = str(error.response.get("Error", {}).get("Message", "")).rstrip(".")
        told = f"{what}: {code}: {message}" if message and message != code else f"{what}: {code}"
        if code in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            return SourceUnavailable(told, where=where)
        if code in EXPIRED:
            return SourceRefused(told, where=where, mend="renew the credentials: they are looked for anew at each call")
        mend = _denied(message) if code in _DENIED else _ADVICE.get(code, "")
        return SourceRefused(told, where=where, mend=mend)
    if isinstance(error, _AWAY):
        return SourceUnavailable(f"{what}: {error}", where=where)
    return SourceRefused(f"{what}: {error}", where=where, mend=_local(error))


def _denied(message: str) -> str:
    found = _DENIED_ACTION.search(message)
    action = found["action"] if found else ""
    resource = (found["resource"] if found else "") or "the resource"
    if "service control policy" in message:
        return f"a service control policy of the organisation denies {action or 'it'}: ask its administrator"
    if "explicit deny" in message:
        return f"a policy denies {action or 'it'} explicitly: take the statement away, or except this identity from it"
    if action.startswith("kms:"):
        return f"allow {action} on {resource} to this identity, in the policy of the key as well; {_ROLE}"
    if action.startswith("sts:"):
        return "the role's trust policy must name this identity, and external_id must be the word that it asks for"
    if action:
        return f"allow {action} on {resource} to this identity; {_ROLE}"
    return (
        "allow this identity to read it (s3:GetObject, s3:GetObjectVersion and kms:Decrypt on its key); without "
        f"s3:ListBucket S3 answers the same for an object that is missing; {_ROLE}"
    )


def _local(error: Exception) -> str:
    match error:
        case sdk.NoCredentialsError() | sdk.PartialCredentialsError():
            return "give credentials as for any AWS tool: environment, ~/.aws, web identity, or a role of the machine"
        case sdk.NoRegionError():
            return "set region"
        case sdk.CredentialRetrievalError() | sdk.TokenRetrievalError() | sdk.UnauthorizedSSOTokenError():
            return "log in again, or mend what provides the credentials"
        case _:
            return "correct the settings of this collector"
