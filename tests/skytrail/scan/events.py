"""Records and rules of the scan's tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RULE = """\
title: Trail stopped
id: 3c1f6a8e-0a5a-4f6e-9b0a-2f3f9c8d7e61
name: test-trail-stopped
level: high
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventName: StopLogging}
  condition: selection
reason: "{principal} stopped {requestParameters.name}."
"""
LOW_RULE = """\
title: Buckets listed
name: test-buckets-listed
level: low
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventName: ListBuckets}
  condition: selection
"""


def call(number: int, name: str = "ListBuckets", **changes: Any) -> dict[str, Any]:
    """A CloudTrail event; `number` makes its id and its time."""
    return {
        "eventVersion": "1.11",
        "eventID": f"00000000-0000-4000-8000-{number:012d}",
        "eventTime": f"2026-03-{1 + number // 1440 % 28:02d}T{number // 60 % 24:02d}:{number % 60:02d}:00Z",
        "eventName": name,
        "eventSource": "cloudtrail.amazonaws.com" if name == "StopLogging" else "s3.amazonaws.com",
        "awsRegion": "eu-central-1",
        "recipientAccountId": "111122223333",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/mallory", "userName": "mallory"},
        "requestParameters": {"name": "main"},
        **changes,
    }


def lines(events: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def rules(directory: Path) -> Path:
    """A directory with the two rules."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "stopped.yml").write_text(RULE)
    (directory / "listed.yml").write_text(LOW_RULE)
    return directory
