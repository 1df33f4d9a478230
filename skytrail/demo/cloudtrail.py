"""CloudTrail events in the shape and order in which AWS writes them.

Format: CloudTrail record contents, eventVersion 1.11
        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from skytrail.demo.clock import Clock
from skytrail.demo.company import GLOBAL_REGION, REGION, Account, Person
from skytrail.demo.identifiers import Identifiers

SDK: Final = "aws-sdk-go-v2/1.39.2 ua/2.1 os/linux lang/go#1.25.1 md/GOOS#linux md/GOARCH#arm64"
BOTO: Final = "Boto3/1.40.55 md/Botocore#1.40.55 ua/2.1 os/linux#6.1.153 md/arch#x86_64 lang/python#3.12.11"
CLI: Final = "aws-cli/2.31.13 md/awscrt#0.27.6 ua/2.1 os/macos#25.0.0 md/arch#arm64 lang/python#3.13.7 md/command#"
TERRAFORM: Final = "APN/1.0 HashiCorp/1.0 Terraform/1.13.4 (+https://www.terraform.io) aws-sdk-go-v2/1.39.2"
_GLOBAL: Final = frozenset({"iam.amazonaws.com", "signin.amazonaws.com", "organizations.amazonaws.com"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, from where, with what.

    Attributes:
        identity: The record's `userIdentity`.
        account: The account whose trail gets the event.
        agent: User agent; for a service the service itself.
        console: Whether the credentials come from a console session.
    """

    identity: dict[str, Any]
    account: Account
    address: str
    agent: str
    console: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """What is called.

    Attributes:
        service: Event source without `.amazonaws.com`.
        error: Error code and message of a refused call.
        data: Whether it is a data event.
        resources: Pairs of ARN and type.
    """

    service: str
    name: str
    read_only: bool = True
    parameters: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    error: tuple[str, str] | None = None
    data: bool = False
    resources: tuple[tuple[str, str], ...] = ()
    additional: dict[str, Any] | None = None
    kind: str = "AwsApiCall"
    region: str = REGION


@dataclass(frozen=True, slots=True)
class Event:
    """A generated event.

    Attributes:
        at: Second of the day.
        account: Number of the account whose trail delivers it.
        region: Region whose log file holds it.
        record: The vendor's event.
    """

    at: float
    account: str
    region: str
    record: dict[str, Any]


class Trail:
    """Writes calls as CloudTrail events."""

    def __init__(self, ids: Identifiers, clock: Clock) -> None:
        self.ids = ids
        self.clock = clock

    def event(self, at: float, caller: Caller, call: Call) -> Event:
        """The event of a call made at that second."""
        source = f"{call.service}.amazonaws.com"
        region = GLOBAL_REGION if source in _GLOBAL else call.region
        record: dict[str, Any] = {
            "eventVersion": "1.11",
            "userIdentity": caller.identity,
            "eventTime": self.clock.seconds(at),
            "eventSource": source,
            "eventName": call.name,
            "awsRegion": region,
            "sourceIPAddress": caller.address,
            "userAgent": caller.agent,
        }
        if call.error:
            record["errorCode"], record["errorMessage"] = call.error
        record["requestParameters"] = call.parameters
        record["responseElements"] = call.response
        if call.additional is not None:
            record["additionalEventData"] = call.additional
        record["requestID"] = self.ids.s3_request() if call.service == "s3" else self.ids.uuid()
        record["eventID"] = self.ids.uuid()
        record["readOnly"] = call.read_only
        if call.resources:
            record["resources"] = [
                {"accountId": caller.account.number, "type": kind, "ARN": arn} for arn, kind in call.resources
            ]
        record["eventType"] = call.kind
        record["managementEvent"] = not call.data
        record["recipientAccountId"] = caller.account.number
        record["eventCategory"] = "Data" if call.data else "Management"
        if "invokedBy" not in caller.identity:
            record["tlsDetails"] = _tls(source, region)
        if caller.console:
            record["sessionCredentialFromConsole"] = "true"
        return Event(at, caller.account.number, region, record)


def _tls(source: str, region: str) -> dict[str, str]:
    host = {"iam.amazonaws.com": "iam.amazonaws.com", "signin.amazonaws.com": f"{region}.signin.aws.amazon.com"}
    return {
        "tlsVersion": "TLSv1.3",
        "cipherSuite": "TLS_AES_128_GCM_SHA256",
        "clientProvidedHostHeader": host.get(source, f"{source.partition('.')[0]}.{region}.amazonaws.com"),
    }


def iam_user(account: Account, person: Person, key: str | None) -> dict[str, Any]:
    """`userIdentity` of an IAM user, with a long-term key unless `key` is None."""
    identity = {
        "type": "IAMUser",
        "principalId": person.principal,
        "arn": f"arn:aws:iam::{account.number}:user/{person.user}",
        "accountId": account.number,
    }
    if key:
        identity["accessKeyId"] = key
    return {**identity, "userName": person.user}


def console_user(account: Account, person: Person, key: str, signed_in: str) -> dict[str, Any]:
    """`userIdentity` of an IAM user in a console session that began with a second factor at `signed_in`."""
    identity = iam_user(account, person, key)
    return {**identity, "sessionContext": {"attributes": {"creationDate": signed_in, "mfaAuthenticated": "true"}}}


@dataclass(frozen=True, slots=True)
class Role:
    """An IAM role."""

    account: Account
    name: str
    principal: str

    @property
    def arn(self) -> str:
        """The role's ARN; service-linked roles have a path that tests need not know."""
        return f"arn:aws:iam::{self.account.number}:role/{self.name}"


@dataclass(frozen=True, slots=True)
class Session:
    """Temporary credentials of a role.

    Attributes:
        issued: When they were issued, as CloudTrail writes it.
        delivery: `ec2RoleDelivery` for credentials of a machine's metadata service, else empty.
    """

    role: Role
    name: str
    key: str
    issued: str
    mfa: bool = False
    delivery: str = ""
    invoked_by: str = ""

    @property
    def arn(self) -> str:
        """ARN of the session."""
        return f"arn:aws:sts::{self.role.account.number}:assumed-role/{self.role.name}/{self.name}"

    def identity(self) -> dict[str, Any]:
        """`userIdentity` of calls made with these credentials."""
        context: dict[str, Any] = {
            "sessionIssuer": {
                "type": "Role",
                "principalId": self.role.principal,
                "arn": self.role.arn,
                "accountId": self.role.account.number,
                "userName": self.role.name,
            },
            "attributes": {"creationDate": self.issued, "mfaAuthenticated": "true" if self.mfa else "false"},
        }
        if self.delivery:
            context["ec2RoleDelivery"] = self.delivery
        identity: dict[str, Any] = {
            "type": "AssumedRole",
            "principalId": f"{self.role.principal}:{self.name}",
            "arn": self.arn,
            "accountId": self.role.account.number,
            "accessKeyId": self.key,
            "sessionContext": context,
        }
        if self.invoked_by:
            identity["invokedBy"] = self.invoked_by
        return identity


def service_caller(service: str, account: Account) -> Caller:
    """An AWS service that acts by itself."""
    host = f"{service}.amazonaws.com"
    return Caller({"type": "AWSService", "invokedBy": host}, account, host, host)
