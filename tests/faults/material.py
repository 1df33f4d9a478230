"""CloudTrail and Kubernetes audit records for the fault tests: small, seeded, with a known share that rules match."""

from __future__ import annotations

import datetime as dt
import json
import random
import uuid
from collections.abc import Iterator, Sequence

from ingest.schema.envelope import Envelope, Header, Origin, pack

CLOUDTRAIL = "aws.cloudtrail"
AUDIT = "kubernetes.audit"
SPAN_S = 20 * 60
"""All events lie within this time: every alert window is longer, so the order of arrival never splits an alert."""
_BENIGN = ("DescribeInstances", "GetCallerIdentity", "ListBuckets", "GetObject", "AssumeRole")
_HOSTILE = (
    ("cloudtrail.amazonaws.com", "StopLogging", {"name": "main"}),
    ("iam.amazonaws.com", "DeactivateMFADevice", {"userName": "bob", "serialNumber": "arn:aws:iam::1:mfa/bob"}),
    ("guardduty.amazonaws.com", "DeleteDetector", {"detectorId": "12abc"}),
)
HOSTILE_SHARE = 0.05


def cloudtrail(rng: random.Random, count: int, now: dt.datetime) -> list[bytes]:
    """CloudTrail records with different ids; about one in twenty matches a rule."""
    return [_trail_record(rng, now) for _ in range(count)]


def _trail_record(rng: random.Random, now: dt.datetime) -> bytes:
    user = rng.choice(("alice", "bob", "mallory"))
    source, name, parameters = ("ec2.amazonaws.com", rng.choice(_BENIGN), {"maxResults": rng.randrange(1000)})
    if rng.random() < HOSTILE_SHARE:
        source, name, parameters = rng.choice(_HOSTILE)
    record = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": f"AIDAEXAMPLE{user.upper():0<9}",
            "arn": f"arn:aws:iam::111122223333:user/{user}",
            "accountId": "111122223333",
            "accessKeyId": "AKIAEXAMPLE000000001",
            "userName": user,
        },
        "eventTime": _moment(rng, now).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": source,
        "eventName": name,
        "awsRegion": "eu-central-1",
        "sourceIPAddress": f"198.51.100.{rng.randrange(1, 255)}",
        "userAgent": "aws-cli/2.31.4",
        "requestParameters": parameters,
        "responseElements": None,
        "requestID": str(uuid.UUID(int=rng.getrandbits(128))),
        "eventID": str(uuid.UUID(int=rng.getrandbits(128))),
        "readOnly": source.startswith("ec2"),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
    }
    return json.dumps(record, separators=(",", ":")).encode()


def audit(rng: random.Random, count: int, now: dt.datetime) -> list[bytes]:
    """Kubernetes audit records; about one in twenty is an exec into a pod."""
    return [_audit_record(rng, now) for _ in range(count)]


def _audit_record(rng: random.Random, now: dt.datetime) -> bytes:
    user = rng.choice(("alice", "bob", "mallory"))
    moment = _moment(rng, now).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    hostile = rng.random() < HOSTILE_SHARE
    verb, subresource, code = ("create", {"subresource": "exec"}, 101) if hostile else ("get", {}, 200)
    record = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": str(uuid.UUID(int=rng.getrandbits(128))),
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/namespaces/orchard/pods/pump-{rng.randrange(9)}" + ("/exec" if hostile else ""),
        "verb": verb,
        "user": {"username": user, "groups": ["devs", "system:authenticated"]},
        "sourceIPs": ["198.51.100.23"],
        "userAgent": "kubectl/v1.31.0",
        "objectRef": {
            "resource": "pods",
            "namespace": "orchard",
            "name": f"pump-{rng.randrange(9)}",
            "apiVersion": "v1",
            **subresource,
        },
        "responseStatus": {"metadata": {}, "code": code},
        "requestReceivedTimestamp": moment,
        "stageTimestamp": moment,
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }
    return json.dumps(record, separators=(",", ":")).encode()


def _moment(rng: random.Random, now: dt.datetime) -> dt.datetime:
    return now - dt.timedelta(seconds=rng.uniform(60, 60 + SPAN_S))


def rewritten(record: bytes) -> bytes:
    """The same event id with other content, as someone who alters a log would write it."""
    changed = json.loads(record)
    changed["sourceIPAddress"] = "203.0.113.99"
    return json.dumps(changed, separators=(",", ":")).encode()


def header(namespace: str, format_name: str, body: str = "body") -> Header:
    """The header of a collected body."""
    return Header(
        format=format_name,
        namespace=namespace,
        collector="faults",
        received_at=dt.datetime.now(dt.UTC),
        origin=Origin(transport="files", locator=body),
    )


def envelopes(namespace: str, format_name: str, records: Sequence[bytes], *, each: int = 25) -> Iterator[Envelope]:
    """Small envelopes, so that a stream of them has many places to be interrupted at."""
    for start in range(0, len(records), each):
        yield from pack(header(namespace, format_name, f"body-{start}"), records[start : start + each])
