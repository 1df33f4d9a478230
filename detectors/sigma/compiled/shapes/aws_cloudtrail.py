"""Regular CloudTrail records: an event that no channel has wrapped, with AWS's spelling and types of names.

Digest files, Insight events and anything with a name that AWS does not document are irregular. What is said of the ECS
document here must be what `ingest/formats/aws_cloudtrail/` writes; tests compare them on every golden event.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from detectors.sigma.compiled.plain_times import PlainTimes
from detectors.sigma.compiled.shape import Getter, Kind, Names, Shape, Values
from ingest.formats.aws_cloudtrail.classify import is_denied, kinds_of
from ingest.formats.aws_cloudtrail.when import iso_time
from ingest.parsing.addresses import ip_of

_TEXTS = """
    apiVersion awsAccountId awsRegion errorCode errorMessage eventCategory eventID eventSource eventTime eventType
    eventVersion recipientAccountId requestID sharedEventID sourceIPAddress userAgent vpcEndpointAccountId vpcEndpointId
"""
_FLAGS = "managementEvent readOnly"
_TOP = """
    eventVersion userIdentity eventTime eventSource eventName awsRegion sourceIPAddress userAgent errorCode errorMessage
    requestParameters responseElements additionalEventData requestID eventID readOnly resources eventType apiVersion
    managementEvent recipientAccountId sharedEventID vpcEndpointId vpcEndpointAccountId serviceEventDetails
    eventCategory tlsDetails sessionCredentialFromConsole edgeDeviceDetails addendum awsAccountId eventContext
"""
_IDENTITY = """
    type principalId arn accountId accessKeyId userName sessionContext invokedBy identityProvider credentialId
    inScopeOf onBehalfOf userId
"""
_IDENTITY_BODIES = "inScopeOf onBehalfOf"
_SESSION = "sessionIssuer webIdFederationData attributes sourceIdentity ec2RoleDelivery assumedRoot"
_SESSION_TEXTS = "sourceIdentity ec2RoleDelivery"
_ISSUER = "type principalId arn accountId userName"
_LONGEST_NAME = 128  # characters that decide on the kind of an event, as in the format's mapping
_LOGIN = "ConsoleLogin"

_NAMES: Names = {
    **dict.fromkeys(_TOP.split(), Kind.BODY),
    **dict.fromkeys(_TEXTS.split(), Kind.TEXT),
    **dict.fromkeys(_FLAGS.split(), Kind.FLAG),
    "eventName": Kind.NAME,
    "userIdentity": {
        **dict.fromkeys(_IDENTITY.split(), Kind.TEXT),
        **dict.fromkeys(_IDENTITY_BODIES.split(), Kind.BODY),
        "sessionContext": {
            **dict.fromkeys(_SESSION.split(), Kind.BODY),
            **dict.fromkeys(_SESSION_TEXTS.split(), Kind.TEXT),
            "sessionIssuer": dict.fromkeys(_ISSUER.split(), Kind.TEXT),
        },
    },
}


def _key(event: Any) -> tuple[Any, ...]:
    return event.eventName, event.eventSource, event.errorCode, event.userIdentity.type, not event.errorMessage


def _implied(key: tuple[Any, ...]) -> Mapping[str, Values]:
    action, source, error, _, silent = key
    provider = source or "unknown"
    category, types = kinds_of(provider[:_LONGEST_NAME], action[:_LONGEST_NAME])
    found: dict[str, Values] = {
        "event.kind": ("event",),
        "event.action": (action,),
        "event.provider": (provider,),
        "event.category": category,
        "event.type": (*types, "denied") if is_denied(error) else types,
        "cloud.provider": ("aws",),
        "cloud.service.name": (source.removesuffix(".amazonaws.com"),) if source else (),
    }
    if action != _LOGIN:  # whose outcome stands in a body
        found["event.outcome"] = ("failure" if error or not silent else "success",)
    return found


def _text(name: str) -> Getter:
    return lambda event: (getattr(event, name),) if getattr(event, name) else ()


def _source_ip(event: Any) -> Values:
    ip = ip_of(event.sourceIPAddress) if event.sourceIPAddress else None
    return (ip,) if ip else ()


def _user_name(event: Any) -> Values | None:
    """The user's own name; that of a role's session stands in a body."""
    name = event.userIdentity.userName
    return (name,) if name else None


def _user_id(event: Any) -> Values | None:
    principal = event.userIdentity.principalId
    return (principal,) if principal else None


def _principal(event: Any) -> Values | None:
    identity = event.userIdentity
    if identity.type == "Root" and (identity.accountId or identity.principalId):
        return (f"aws:{identity.accountId or identity.principalId}:root",)
    return (f"aws:{identity.principalId}",) if identity.principalId else None


_DERIVED: Mapping[str, Callable[[Any], Values | None]] = {
    "source.address": _text("sourceIPAddress"),
    "source.ip": _source_ip,
    "user_agent.original": _text("userAgent"),
    "cloud.region": _text("awsRegion"),
    "user.name": _user_name,
    "user.id": _user_id,
    "skytrail.principal.key": _principal,
}

SHAPE = Shape(
    format="aws.cloudtrail",
    names=_NAMES,
    key=_key,
    key_source=("eventName", "eventSource", "errorCode", "userIdentity.type", "errorMessage"),
    key_fields={"eventName": 0, "eventSource": 1, "errorCode": 2, "userIdentity.type": 3},
    implied=_implied,
    time="eventTime",
    times=PlainTimes(lambda text: iso_time(text) is not None, decimals=0),
    few=("readOnly", "managementEvent", "eventCategory", "eventType"),
    derived=MappingProxyType(_DERIVED),
)
