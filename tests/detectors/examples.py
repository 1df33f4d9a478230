"""Detections and rules for tests."""

from __future__ import annotations

import datetime as dt
from typing import Any

from detectors.detection import Detection, EventRef, Principal

START = dt.datetime(2026, 3, 2, 11, 20, 5, tzinfo=dt.UTC)


def detection(member: str = "m0", seconds: float = 0, **changes: Any) -> Detection:
    given: dict[str, Any] = {
        "rule_id": "aws-trail-stopped",
        "rule_version": "1",
        "ruleset_version": "abc",
        "namespace": "default",
        "format": "aws.cloudtrail",
        "group_key": '[["aws:AIDA"]]',
        "window_seconds": 3600,
        "member": member,
        "event": EventRef("logs-aws.cloudtrail-default-2026.03.02", f"id-{member}", "ab" * 32),
        "at": START + dt.timedelta(seconds=seconds),
        "principal": Principal("aws:AIDA", "IAMUser", "mallory"),
        "reason": "mallory stopped the trail.",
        "context": {
            "event": {"action": "StopLogging", "outcome": "success"},
            "cloud": {"account": {"id": "111122223333"}},
        },
    }
    return Detection(**{**given, **changes})
