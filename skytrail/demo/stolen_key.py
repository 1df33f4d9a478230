"""A developer's long-term access key, leaked in a repository, is used at night from an address never seen before.

Who am I, what is there; a new administrator with a key and a password; a copy of a disk for a foreign account; secrets.
"""

from __future__ import annotations

import random
from typing import Any, Final

from skytrail.demo.clock import hour
from skytrail.demo.cloudtrail import Call, Caller, Event, Trail, iam_user
from skytrail.demo.company import Company
from skytrail.demo.story import Story

VICTIM: Final = "tomas.rivera"
INTRUDER: Final = "192.0.2.66"
FOREIGN_ACCOUNT: Final = "999900001111"
BACKDOOR: Final = "svc-backup-sync"
_AGENT: Final = "aws-cli/2.15.30 Python/3.11.8 Linux/6.6.15-amd64 exe/x86_64.kali.2024 prompt/off command/"
_ADMINISTRATOR: Final = "arn:aws:iam::aws:policy/AdministratorAccess"


def story(rng: random.Random, company: Company, trail: Trail) -> Story:
    """The events of the theft, about twenty minutes from twenty to three at night."""
    victim = company.person(VICTIM)
    at = hour(2, 41, 7)
    events: list[Event] = []
    stolen = iam_user(company.identity, victim, victim.key)
    calls = [*_looking(company), *_staying(company, trail, at), *_taking(company, trail)]
    for command, call in calls:
        caller = Caller(stolen, company.identity, INTRUDER, _AGENT + command)
        events.append(trail.event(at, caller, call))
        at += rng.uniform(4, 55)
    new_user = _backdoor_caller(company, events)
    for name in ("GetCallerIdentity", "GetSessionToken"):
        events.append(trail.event(at, new_user, Call("sts", name)))
        at += rng.uniform(5, 20)
    return Story(
        name="stolen-key",
        title="A leaked access key is used from a new address to make an administrator and to carry data away",
        principals=(VICTIM, BACKDOOR),
        cloudtrail=tuple(events),
    )


def _looking(company: Company) -> list[tuple[str, Call]]:
    """Who am I and what is there: several of these are refused."""
    number, me = company.identity.number, f"arn:aws:iam::{company.identity.number}:user/{VICTIM}"

    def refused(service: str, name: str) -> Call:
        words = f"User: {me} is not authorized to perform: {service}:{name} because no identity-based policy allows it"
        return Call(service, name, error=("AccessDenied", words))

    return [
        ("sts.get-caller-identity", Call("sts", "GetCallerIdentity")),
        ("iam.list-users", Call("iam", "ListUsers")),
        ("iam.list-roles", Call("iam", "ListRoles")),
        ("iam.list-groups", Call("iam", "ListGroups")),
        ("iam.list-attached-user-policies", Call("iam", "ListAttachedUserPolicies", parameters={"userName": VICTIM})),
        ("iam.get-account-authorization-details", Call("iam", "GetAccountAuthorizationDetails")),
        ("iam.get-account-summary", Call("iam", "GetAccountSummary")),
        ("organizations.list-accounts", refused("organizations", "ListAccounts")),
        ("s3api.list-buckets", Call("s3", "ListBuckets", parameters={"Host": "s3.eu-central-1.amazonaws.com"})),
        ("ec2.describe-instances", Call("ec2", "DescribeInstances", parameters={"instancesSet": {}, "filterSet": {}})),
        (
            "ec2.describe-snapshots",
            Call("ec2", "DescribeSnapshots", parameters={"ownersSet": {"items": [{"owner": number}]}}),
        ),
        ("secretsmanager.list-secrets", Call("secretsmanager", "ListSecrets")),
        ("rds.describe-db-instances", refused("rds", "DescribeDBInstances")),
        ("kms.list-keys", refused("kms", "ListKeys")),
    ]


def _staying(company: Company, trail: Trail, at: float) -> list[tuple[str, Call]]:
    """A new user with a key, administrator's rights and a password for the console."""
    number, made = company.identity.number, trail.clock.words(at + 420)

    def changes(name: str, parameters: dict[str, Any], response: dict[str, Any] | None) -> Call:
        return Call("iam", name, read_only=False, parameters=parameters, response=response)

    user = {
        "path": "/",
        "arn": f"arn:aws:iam::{number}:user/{BACKDOOR}",
        "userId": trail.ids.principal("AIDA"),
        "createDate": made,
        "userName": BACKDOOR,
    }
    key = {"accessKeyId": trail.ids.key("AKIA"), "status": "Active", "userName": BACKDOOR, "createDate": made}
    profile = {"userName": BACKDOOR, "createDate": made, "passwordResetRequired": False}
    named = {"userName": BACKDOOR}
    return [
        ("iam.create-user", changes("CreateUser", named, {"user": user})),
        ("iam.create-access-key", changes("CreateAccessKey", named, {"accessKey": key})),
        ("iam.attach-user-policy", changes("AttachUserPolicy", {**named, "policyArn": _ADMINISTRATOR}, None)),
        (
            "iam.create-login-profile",
            changes("CreateLoginProfile", {**named, "passwordResetRequired": False}, {"loginProfile": profile}),
        ),
    ]


def _taking(company: Company, trail: Trail) -> list[tuple[str, Call]]:
    """A disk is copied and the copy shared with a foreign account; then the secrets."""
    volume, snapshot = trail.ids.resource("vol"), trail.ids.resource("snap")
    shared = {
        "snapshotId": snapshot,
        "createVolumePermission": {"add": {"items": [{"userId": FOREIGN_ACCOUNT}]}},
        "attributeType": "CREATE_VOLUME_PERMISSION",
    }
    copied = {"snapshotId": snapshot, "volumeId": volume, "status": "pending", "encrypted": False}
    found = [
        (
            "ec2.create-snapshot",
            Call("ec2", "CreateSnapshot", read_only=False, parameters={"volumeId": volume}, response=copied),
        ),
        (
            "ec2.modify-snapshot-attribute",
            Call(
                "ec2",
                "ModifySnapshotAttribute",
                read_only=False,
                parameters=shared,
                response={"requestId": trail.ids.uuid(), "_return": True},
            ),
        ),
    ]
    names = ("identity/directory/sync", "identity/vpn/radius", "identity/break-glass/root")
    for name in names[:2]:
        arn = f"arn:aws:secretsmanager:eu-central-1:{company.identity.number}:secret:{name}-{trail.ids.suffix(6)}"
        call = Call("secretsmanager", "GetSecretValue", parameters={"secretId": arn})
        found.append(("secretsmanager.get-secret-value", call))
    batch = Call("secretsmanager", "BatchGetSecretValue", parameters={"secretIdList": list(names)})
    found.append(("secretsmanager.batch-get-secret-value", batch))
    return found


def _backdoor_caller(company: Company, events: list[Event]) -> Caller:
    """The new user, with the key that the story made."""
    made = {e.record["eventName"]: e.record["responseElements"] for e in events}
    identity = {
        "type": "IAMUser",
        "principalId": made["CreateUser"]["user"]["userId"],
        "arn": made["CreateUser"]["user"]["arn"],
        "accountId": company.identity.number,
        "accessKeyId": made["CreateAccessKey"]["accessKey"]["accessKeyId"],
        "userName": BACKDOOR,
    }
    return Caller(identity, company.identity, INTRUDER, _AGENT + "sts.get-caller-identity")
