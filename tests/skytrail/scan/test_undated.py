"""Events without a time are hunted like all others."""

from __future__ import annotations

import json

import pytest

from ingest.formats.registry import all_formats
from skytrail.scan.evaluate import Evaluator, Task
from tests.detectors.shipped import shipped

RULES = shipped().rules
EVENTS = {
    "aws.cloudtrail": (
        {"eventName": "StopLogging", "eventSource": "cloudtrail.amazonaws.com", "requestParameters": {"name": "main"}},
        "aws-trail-stopped",
    ),
    "kubernetes.audit": (
        {
            "verb": "create",
            "user": {"username": "mallory"},
            "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "orders"},
            "requestURI": "/api/v1/namespaces/shop/pods/orders/exec?command=sh",
            "auditID": "a",
        },
        "kubernetes-pod-exec",
    ),
}


@pytest.mark.parametrize("format_name", EVENTS)
@pytest.mark.parametrize("clock", ["absent", "never"])
def test_a_rule_that_asks_for_the_document_fires_without_a_time(format_name: str, clock: str) -> None:
    format_ = all_formats()[format_name]
    event, rule = EVENTS[format_name]
    if clock != "absent":
        event = {**event, format_.clock_name: clock}
    evaluator = Evaluator(Task(rules=RULES))
    matches = list(evaluator.matches(format_, [json.dumps(event).encode()]))
    assert rule in {RULES[match.rule].id for match in matches}
    assert {match.at for match in matches} == {None}
    assert evaluator.counts.undated == 1


def test_every_format_says_which_member_holds_its_time_or_that_none_does() -> None:
    names = {name: format_.clock_name for name, format_ in all_formats().items()}
    assert {name for name, clock in names.items() if not clock} <= {"aws.vpcflow", "gcp.vpcflow"}
