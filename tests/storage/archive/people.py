"""Records of CloudTrail that people, and services, made."""

from __future__ import annotations

import json

from tests.storage.archive.samples import message


def did(person: str, number: int, **more: object) -> bytes:
    """What an IAM user did; the number makes it unique."""
    event = {
        "eventVersion": "1.11",
        "eventID": f"{number:08d}-0000-4000-8000-000000000000",
        "eventTime": "2026-03-01T12:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "198.51.100.7",
        "userIdentity": {"type": "IAMUser", "principalId": person, "userName": person, "accountId": "111122223333"},
        "recipientAccountId": "111122223333",
        "eventType": "AwsApiCall",
        **more,
    }
    return json.dumps(event).encode()


def by_service(number: int) -> bytes:
    """What a service of AWS did."""
    return did("-", number, userIdentity={"type": "AWSService", "invokedBy": "ec2.amazonaws.com"})


def of_people(messages: int = 6, namespace: str = "acme") -> dict[int, bytes]:
    """Messages by offset: of ann, bob, a service and bytes that are no event, mixed."""
    made: dict[int, bytes] = {}
    for offset in range(messages):
        at = 10 * offset
        records = [did("ann", at), by_service(at + 1), did("bob", at + 2), b"no event %d" % at, did("ann", at + 4)]
        made[offset] = message(namespace, *records, second=offset)
    return made


ANN, BOB = "aws:ann", "aws:bob"
