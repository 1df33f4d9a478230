"""CloudTrail records to measure detection with: the demo's days, amplified to a larger company.

Three in ten events get another reading call, so that some hundred kinds of call go by; the callers become two hundred
with their own addresses and clients, few of them busy, as everywhere; one event in twenty-five becomes a call that
rules look for. Generated, not recorded, and said so in the results; the quality of detection is not measured here.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from skytrail.bench.detect_rules import event_name
from skytrail.bench.samples import everyday
from skytrail.demo.delivery import CLOUDTRAIL

ATTACK_LIKE: Final = 0.04
"""Share of events with a call that changes something; what else a day holds is mostly reading."""

_WANTED: Final = """
    cloudtrail:StopLogging cloudtrail:DeleteTrail cloudtrail:UpdateTrail cloudtrail:PutEventSelectors
    iam:CreateAccessKey iam:CreateUser iam:CreateLoginProfile iam:UpdateLoginProfile iam:AttachUserPolicy
    iam:AttachRolePolicy iam:PutUserPolicy iam:CreatePolicyVersion iam:UpdateAssumeRolePolicy iam:DeactivateMFADevice
    iam:CreateSAMLProvider iam:ListUsers guardduty:DeleteDetector guardduty:CreateIPSet guardduty:UpdateDetector
    config:StopConfigurationRecorder config:DeleteDeliveryChannel ec2:GetPasswordData ec2:ModifyImageAttribute
    ec2:ModifySnapshotAttribute ec2:AuthorizeSecurityGroupIngress ec2:DeleteFlowLogs ec2:CreateKeyPair ec2:RunInstances
    ec2:DisableEbsEncryptionByDefault ec2:EnableSerialConsoleAccess ec2:CreateInstanceExportTask
    ec2:ModifyInstanceAttribute ec2:CreateNetworkAclEntry s3:PutBucketPolicy s3:PutBucketAcl s3:DeleteBucket
    s3:PutBucketLifecycle s3:PutBucketVersioning s3:DeleteBucketPublicAccessBlock secretsmanager:GetSecretValue
    secretsmanager:BatchGetSecretValue ssm:SendCommand ssm:StartSession kms:ScheduleKeyDeletion kms:DisableKey
    lambda:AddPermission20150331v2 lambda:UpdateFunctionConfiguration20150331v2 rds:ModifyDBInstance
    rds:ModifyDBSnapshotAttribute organizations:LeaveOrganization route53:DisableDomainTransferLock
    securityhub:UpdateFindings ses:DeleteIdentity logs:DeleteLogGroup eks:DeleteCluster ecs:RegisterTaskDefinition
    elasticfilesystem:DeleteMountTarget sts:GetSessionToken signin:ConsoleLogin
""".split()  # noqa: SIM905 - a list of words is read better than one of quoted words
_CALLERS: Final = 200
_ACCOUNTS: Final = 60
_AGENTS: Final = 185
_READING: Final = 300
_READ_SHARE: Final = 0.3
_CLIENTS: Final = (
    "aws-cli/2.{n}.1 md/awscrt#0.2{n}.6 ua/2.1 os/linux#6.1.{n} md/arch#x86_64 lang/python#3.12.{n}",
    "Boto3/1.40.{n} md/Botocore#1.40.{n} ua/2.1 os/linux#6.1.153 md/arch#arm64 lang/python#3.11.11",
    "aws-sdk-go-v2/1.{n}.2 ua/2.1 os/linux lang/go#1.25.1 md/GOOS#linux md/GOARCH#arm64",
    "APN/1.0 HashiCorp/1.0 Terraform/1.{n}.4 (+https://www.terraform.io) aws-sdk-go-v2/1.39.2",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1{n}.0.0.0 Safari/537.36",
)
_BUSY: Final = 1.1
"""Exponent of Zipf's law: the second caller makes half as many calls as the first, the third a third."""


def mixed(count: int, *, seed: int, end: dt.datetime) -> list[bytes]:
    """Different records in the order of their time.

    Args:
        count: How many.
        seed: Another seed gives other records.
        end: When the first of the days ends that they tell of.
    """
    rng = random.Random(f"mix/{seed}")  # noqa: S311 - reproducible, not secret
    company = _Company(rng)
    return [company.amplified(record) for record in everyday(CLOUDTRAIL, count, seed=seed, end=end)]


def attack_like(records: Sequence[bytes]) -> list[bytes]:
    """The records, every one of them made a call that rules look for."""
    rng, changed = random.Random("attacks"), []  # noqa: S311 - reproducible, not secret
    for record in records:
        event = orjson.loads(record)
        _make_attack_like(event, rng)
        changed.append(orjson.dumps(event))
    return changed


class _Company:
    """Two hundred callers in sixty accounts, and what they call."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        accounts = [f"{rng.randrange(10**11, 10**12)}" for _ in range(_ACCOUNTS)]
        agents = [rng.choice(_CLIENTS).format(n=number % 40 + 10) for number in range(_AGENTS)]
        self._callers = [_Caller.drawn(rng, number, accounts, agents) for number in range(_CALLERS)]
        self._caller_weights = _zipf(_CALLERS)
        self._readings = [_reading(rng) for _ in range(_READING)]
        self._reading_weights = _zipf(_READING)

    def amplified(self, record: bytes) -> bytes:
        """The record of another caller, and of another call when it is its turn."""
        rng, event = self._rng, orjson.loads(record)
        (caller,) = rng.choices(self._callers, cum_weights=self._caller_weights)
        event["userIdentity"] = caller.identity(event["userIdentity"])
        event["recipientAccountId"] = caller.account
        event["sourceIPAddress"] = rng.choice(caller.addresses)
        event["userAgent"] = rng.choice(caller.agents)
        draw = rng.random()
        if draw < ATTACK_LIKE:
            _make_attack_like(event, rng)
        elif draw < ATTACK_LIKE + _READ_SHARE:
            (call,) = rng.choices(self._readings, cum_weights=self._reading_weights)
            event["eventSource"], event["eventName"] = call
            event["readOnly"] = True
        return orjson.dumps(event)


@dataclass(frozen=True, slots=True)
class _Caller:
    """Somebody or something that calls."""

    account: str
    name: str
    addresses: tuple[str, ...]
    agents: tuple[str, ...]

    @classmethod
    def drawn(cls, rng: random.Random, number: int, accounts: Sequence[str], agents: Sequence[str]) -> _Caller:
        """A caller of his own."""
        addresses = (f"198.51.{rng.randrange(256)}.{rng.randrange(1, 255)}" for _ in range(rng.choice((1, 1, 2, 4))))
        clients = rng.sample(agents, rng.choice((1, 1, 2)))
        return cls(rng.choice(accounts), f"caller-{number}", tuple(addresses), tuple(clients))

    def identity(self, given: dict[str, Any]) -> dict[str, Any]:
        """The given `userIdentity` with this caller in it; session names and key ids stay those of the event."""
        found = {**given, "accountId": self.account}
        arn = given.get("arn")
        if isinstance(arn, str):
            *beginning, _, kind_and_name = arn.split(":", 5)
            kind, *_, session = kind_and_name.split("/")
            role = f"/{self.name}-role/{session}" if kind == "assumed-role" else f"/{self.name}"
            found["arn"] = ":".join((*beginning, self.account, kind + role))
        if "userName" in given:
            found["userName"] = self.name
        return found


def _zipf(count: int) -> list[float]:
    """Cumulated weights."""
    return list(itertools.accumulate(1 / rank**_BUSY for rank in range(1, count + 1)))


def _reading(rng: random.Random) -> tuple[str, str]:
    source, name = event_name(rng)
    thing = name.lstrip(string.ascii_uppercase).lstrip(string.ascii_lowercase)
    return source, f"{rng.choice(('Describe', 'List', 'Get'))}{thing}s"


def _make_attack_like(event: dict[str, Any], rng: random.Random) -> None:
    if rng.random() < 0.7:  # noqa: PLR2004 - most are calls that exist
        service, name = rng.choice(_WANTED).split(":")
        event["eventSource"], event["eventName"] = f"{service}.amazonaws.com", name
    else:
        event["eventSource"], event["eventName"] = event_name(rng)
    event["readOnly"] = False
    event["requestParameters"] = {"name": f"thing-{rng.getrandbits(32):x}", "status": "Enabled", "force": True}
    if rng.random() < 0.3:  # noqa: PLR2004 - a good part is refused
        event["errorCode"], event["errorMessage"] = "AccessDenied", "User is not authorized to perform this action"
