"""What a rule must stay silent on, whoever wrote its own tests: the same call refused, and misses that are near."""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest

from detectors.rule import Rule, RuleTest
from detectors.rule_tests import formats_of
from detectors.sigma.fields import Fields
from detectors.sigma.interpret import holds
from ingest.document import Receipt, complete
from ingest.formats.contract import Format
from ingest.formats.registry import all_formats
from tests.detectors.shipped import shipped

FORMATS = all_formats()
RECEIPT = Receipt("default", "rule-test", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "rule-test", 0)
NEAR = 6
"""Leaves in which the nearest miss may differ from the nearest hit."""
TOLD_WHEN_REFUSED = frozenset(
    (
        "aws-all-rights-listed",  # who lists all rights, and may not, is looking around all the more
        "aws-instance-role-explores",  # likewise
        "aws-instance-user-data-read",  # "or tried", says its description; so do the next three
        "aws-large-instances-started",
        "aws-many-instances-asked-for",
        "aws-organization-left",
        "aws-private-endpoint-used-from-outside",  # it is about the way that a call took
        "aws-root-used",
        "aws-secrets-scanner-tried-key",
        "entra-fraud-reported",  # a person reports; no call succeeds or fails
        "kubernetes-workload-asks-its-rights",
    )
)


def near(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event without the wrapper of CloudWatch."""
    inner = event.get("@message")
    return json.loads(inner) if isinstance(inner, str) else dict(event)


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping | list) and node:
        pairs = node.items() if isinstance(node, Mapping) else enumerate(node)
        for name, value in pairs:
            yield from leaves(value, f"{path}.{name}")
    else:
        yield path, node


def distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    left, right = dict(leaves(near(one))), dict(leaves(near(other)))
    absent = object()
    return sum(left.get(path, absent) != right.get(path, absent) for path in left.keys() | right.keys())


@pytest.mark.parametrize("rule", shipped().rules, ids=lambda rule: rule.id)
def test_a_miss_of_a_rule_is_near_to_one_of_its_hits(rule: Rule) -> None:
    hits = [test.event for test in rule.tests if test.fires]
    misses = [test.event for test in rule.tests if not test.fires]
    assert min(distance(hit, miss) for hit in hits for miss in misses) <= NEAR


def _cloudtrail(event: dict[str, Any]) -> None:
    event.update(errorCode="AccessDenied", errorMessage="not authorized", responseElements=None)


def _kubernetes(event: dict[str, Any]) -> None:
    if isinstance(event.get("@message"), str):
        inner = json.loads(event["@message"])
        _kubernetes(inner)
        event["@message"] = json.dumps(inner)
    elif "protoPayload" in event:
        _gcp(event)
    elif isinstance(event.get("properties"), dict):
        inner = json.loads(event["properties"]["log"])
        _kubernetes(inner)
        event["properties"]["log"] = json.dumps(inner)
    else:
        event["responseStatus"] = {"metadata": {}, "status": "Failure", "reason": "Forbidden", "code": 403}


def _gcp(event: dict[str, Any]) -> None:
    event["protoPayload"]["status"] = {"code": 7, "message": "PERMISSION_DENIED"}


def _activity(event: dict[str, Any]) -> None:
    if "resultType" in event:
        event.update(resultType="Failure", resultSignature="Failed.Forbidden")
    if "status" in event:
        event["status"] = {"value": "Failed", "localizedValue": "Failed"}


def _directory(event: dict[str, Any]) -> None:
    event.get("properties", event)["result"] = "failure"


REFUSED: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "aws.cloudtrail": _cloudtrail,
    "azure.activitylogs": _activity,
    "azure.auditlogs": _directory,
    "gcp.audit": _gcp,
    "kubernetes.audit": _kubernetes,
}


def fields_of(format_: Format, event: Mapping[str, Any]) -> tuple[Fields, str]:
    """The event as rules see it, and its outcome."""
    found = complete(format_, msgspec.json.encode(event), RECEIPT, RECEIPT.received_at)
    view = found.reading.view()
    view.ecs = found.document
    return Fields(view, format_.aliases), found.document["event"].get("outcome", "")


def format_of(rule: Rule, test: RuleTest) -> Format:
    return FORMATS[test.format] if test.format else formats_of(rule, FORMATS)[0]


def refused_hits(rule: Rule) -> Iterator[tuple[str, Fields]]:
    """The hits of a rule that succeeded, as they would be had they been refused."""
    for test in rule.tests:
        format_ = format_of(rule, test)
        if not test.fires or format_.name not in REFUSED or fields_of(format_, test.event)[1] != "success":
            continue
        event = copy.deepcopy(dict(test.event))
        REFUSED[format_.name](event)
        fields, outcome = fields_of(format_, event)
        assert outcome == "failure", f"{test.name}: the event is not refused"
        yield test.name, fields


@pytest.mark.parametrize("rule", shipped().rules, ids=lambda rule: rule.id)
def test_a_call_that_was_refused_raises_only_rules_that_say_so(rule: Rule) -> None:
    fired = [name for name, fields in refused_hits(rule) if holds(rule.condition, fields)]
    assert bool(fired) == (rule.id in TOLD_WHEN_REFUSED), fired
