"""From the bytes of a record to a CloudTrail event, whatever the channel wrapped around it.

A record is the exact slice of what the channel delivered, so a wrapper stays part of it (its bytes are evidence) and is
opened here:

* lookup-events: ``{"EventId": …, "CloudTrailEvent": "<event as JSON text>"}``;
* EventBridge: ``{"detail-type": "AWS API Call via CloudTrail", "detail": {event}, …}``;
* CloudWatch Logs: an element of ``logEvents``, ``{"id": …, "timestamp": ms, "message": "<event as JSON text>"}``. What
  the subscription says beside its `logEvents` (owner, log group, stream) is not part of the record and is lost.

Names that a channel wrote in another case (`eventname`, `requestId`) get the vendor's spelling back, so that mapping
and rules see one event however it came.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.formats.aws_cloudtrail.values import NOTHING, mapping_of
from ingest.parsing.json_value import parse_object
from ingest.schema.errors import MalformedRecord

LIST_KEYS = ("Records", "records", "Events", "events", "logEvents")
"""Keys whose array holds the records: log files, lookup-events, CloudWatch Logs subscriptions and their read API."""

_MOST_WRAPPERS = 3  # an EventBridge event sent on to a log group is wrapped twice

_TOP_NAMES = """
    additionalEventData addendum apiVersion awsAccountId awsRegion edgeDeviceDetails errorCode errorMessage
    eventCategory eventContext eventID eventName eventSource eventTime eventType eventVersion insightDetails
    managementEvent readOnly recipientAccountId requestID requestParameters resources responseElements
    serviceEventDetails sessionCredentialFromConsole sharedEventID sourceIPAddress tlsDetails userAgent userIdentity
    vpcEndpointAccountId vpcEndpointId
    digestEndTime digestPublicKeyFingerprint digestS3Bucket digestS3Object digestSignatureAlgorithm digestStartTime
    logFiles newestEventTime oldestEventTime previousDigestHashAlgorithm previousDigestHashValue previousDigestS3Bucket
    previousDigestS3Object previousDigestSignature
"""
_IDENTITY_NAMES = """
    accessKeyId accountId arn credentialId identityProvider inScopeOf invokedBy onBehalfOf principalId sessionContext
    type userId userName
"""
_DEEPER_NAMES = """
    assumedRoleId assumedRoleUser attributes bucketName cipherSuite clientProvidedHostHeader ConsoleLogin creationDate
    ec2RoleDelivery federatedProvider groupId groupName hashValue identityStoreArn instanceId LoginTo mfaAuthenticated
    MFAUsed MobileVersion newUserName policyArn roleArn roleName roleSessionName sessionIssuer sourceIdentity tlsVersion
    webIdFederationData
"""
_TOP = frozenset(_TOP_NAMES.split())
_IDENTITY = frozenset(_IDENTITY_NAMES.split())
_SPELLING = {name.lower(): name for name in (*_TOP, *_IDENTITY, *_DEEPER_NAMES.split())}

_TELLING = frozenset(
    {"eventName", "eventSource", "eventID", "eventTime", "insightDetails", "digestS3Object", "digestEndTime"}
)


_DEEPEST = 200  # levels; CloudTrail nests below 30, and what follows walks bodies with the interpreter's stack


class Opened(NamedTuple):
    """An event and the wrapper it came in.

    Attributes:
        event: The CloudTrail event with the vendor's spelling of names.
        wrapper: The innermost wrapper, empty when there was none.
    """

    event: dict[str, Any]
    wrapper: Mapping[str, Any]


def open_record(record: bytes) -> Opened:
    """Parse a record and take the event out of its wrappers.

    Raises:
        MalformedRecord: Not a JSON object, nested too deep, a wrapper without an event, or an object without any of
            CloudTrail's names.
    """
    event = parse_object(record, deepest=_DEEPEST)
    wrapper: Mapping[str, Any] = NOTHING
    if "eventName" not in event:
        for _ in range(_MOST_WRAPPERS):
            inner = _wrapped(event)
            if inner is None:
                break
            event, wrapper = inner, event
    if not event.keys() <= _TOP or not mapping_of(event.get("userIdentity")).keys() <= _IDENTITY:
        event = _respelled(event)
    if "eventName" not in event and _TELLING.isdisjoint(event):
        raise MalformedRecord(
            "reading CloudTrail event: it has none of eventName, eventSource, eventID, eventTime, insightDetails, "
            "nor a digest's names",
            mend="find out what else writes to this source, or choose another --format",
        )
    return Opened(event, wrapper)


def _wrapped(outer: Mapping[str, Any]) -> dict[str, Any] | None:
    """The object one wrapper deeper, or None when `outer` is no wrapper that we know."""
    text = outer.get("CloudTrailEvent")
    if isinstance(text, str):
        return parse_object(text.encode("utf-8", "replace"), "CloudTrailEvent", deepest=_DEEPEST)
    detail = outer.get("detail")
    if isinstance(detail, dict) and ("detail-type" in outer or "source" in outer):
        return detail
    message = outer.get("message")
    if isinstance(message, str) and "timestamp" in outer:
        return parse_object(message.encode("utf-8", "replace"), "message", deepest=_DEEPEST)
    return None


def _respelled(event: dict[str, Any]) -> dict[str, Any]:
    """Give names their spelling back; in bodies only when the channel changed the case of everything."""
    shouted = any(name not in _TOP and _SPELLING.get(name.lower()) in _TOP for name in event)
    found = _renamed(event)
    if shouted:
        return {name: _renamed_deep(value) for name, value in found.items()}
    identity = found.get("userIdentity")
    if isinstance(identity, dict):
        found["userIdentity"] = _renamed(identity)
    return found


def _renamed(names: dict[str, Any]) -> dict[str, Any]:
    """Known names in the vendor's spelling; a name that is there in both spellings keeps the vendor's value."""
    found: dict[str, Any] = {}
    for name, value in names.items():
        proper = _SPELLING.get(name.lower(), name)
        found[name if proper != name and proper in names else proper] = value
    return found


def _renamed_deep(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _renamed_deep(item) for name, item in _renamed(value).items()}
    if isinstance(value, list):
        return [_renamed_deep(item) for item in value]
    return value
