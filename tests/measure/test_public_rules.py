"""Events made from rules take the real road and both engines match them; what can't be made is named."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from detectors.known_fields import read_elsewhere
from detectors.proving import OWN_RULES
from ingest.formats.registry import format_named
from tests.detectors.sigma.building import rule
from tests.measure.placing import event_of
from tests.measure.public_rules import Judged, judged
from tests.measure.solving import Unsolved, Wanted, together, ways

PUBLIC_RULES = Path(__file__).parents[2] / ".." / "shared" / "data" / "sigma"
LEFT = {
    # The policy is a text within the request; as JSON its quotes are escaped, and the rule asks for plain ones.
    "aws_iam_s3browser_templated_s3_bucket_policy_creation.yml": "no way satisfies it",
    # Its only condition is that the country is not one of a list.
    "azure_ad_failed_auth_from_countries_you_do_not_operate_out_of.yml": "it fires on any event",
}
"""Rules for which no event is made, and why."""
FORMATS = {
    "aws.cloudtrail": 55,
    "azure.activitylogs": 36,
    "azure.auditlogs": 47,
    "azure.identity_protection": 26,
    "azure.signinlogs": 22,
    "gcp.audit": 12,
    "kubernetes.audit": 16,
}
"""Format → public rules that an event of it makes fire."""


@functools.cache
def public() -> Sequence[Judged]:
    return tuple(judged(PUBLIC_RULES))


@pytest.mark.skipif(not PUBLIC_RULES.is_dir(), reason="the public rules are not here")
def test_every_public_rule_that_is_neither_refused_nor_blind_fires_on_an_event_made_from_it() -> None:
    left = {Path(one.file).name: one.why for one in public() if one.outcome == "not synthesised"}
    assert left == LEFT
    assert Counter(one.format for one in public() if one.outcome == "fires") == FORMATS


@pytest.mark.skipif(not PUBLIC_RULES.is_dir(), reason="the public rules are not here")
def test_every_public_rule_that_can_not_fire_has_a_reason() -> None:
    dead = [one for one in public() if one.outcome in ("refused", "blind")]
    assert len(dead) + len(LEFT) + sum(FORMATS.values()) == len(public())
    assert [one.file for one in dead if not one.why] == []


def test_rules_of_ours_fire_on_events_made_from_them() -> None:
    found = [one for product in ("azure", "kubernetes") for one in judged(OWN_RULES / product)]
    assert sum(one.outcome == "fires" for one in found) > 130
    assert [one.file for one in found if one.outcome in ("refused", "blind")] == []


@pytest.mark.parametrize(
    ("detection", "wanted"),
    [
        ({"s": {"a": "x", "b|contains": "y"}, "condition": "s"}, {"a": "x", "b": "y"}),
        ({"s": {"a|contains|all": ["one", "two"]}, "condition": "s"}, {"a": "one two"}),
        ({"s": {"a|endswith": "z"}, "t": {"a|startswith": "b"}, "condition": "s and t"}, {"a": "b z"}),
        ({"s": {"a": 7}, "f": {"b": "no"}, "condition": "s and not f"}, {"a": 7}),
        ({"s": {"a": "x"}, "f": {"b": None}, "condition": "s and not f"}, {"a": "x", "b": "x"}),
        ({"s": {"a|re": "^b.+c$"}, "condition": "s"}, {"a": "bxc"}),
        ({"s": {"a|cidr": "10.0.0.0/8"}, "condition": "s"}, {"a": "10.0.0.0"}),
        ({"s": {"a|gt": 3}, "condition": "s"}, {"a": 4}),
    ],
)
def test_values_satisfy_what_a_condition_asks(detection: dict[str, Any], wanted: dict[str, Any]) -> None:
    first: tuple[Wanted, ...] = next(ways(rule(detection).condition))
    fields = dict.fromkeys(one.field for one in first)
    assert {field: together([one for one in first if one.field == field]) for field in fields} == wanted


def test_a_pattern_beyond_plain_characters_is_said_to_be_unsolved() -> None:
    with pytest.raises(Unsolved, match="pattern"):
        next(ways(rule({"s": {"a|re": "(b|c)+"}, "condition": "s"}).condition))


def test_a_column_of_the_portal_is_put_where_the_log_has_it_and_an_unknown_name_nowhere() -> None:
    signins = format_named("azure.signinlogs")
    event = json.loads(event_of(signins, {"Status": "Failure", "DeviceDetail.trusttype": "Hybrid"}))
    assert event["resultType"] == "50126"
    assert event["properties"]["deviceDetail"] == {"trustType": "Hybrid"}
    assert "Status" not in event
    with pytest.raises(LookupError, match="has no place for NoSuchColumn"):
        event_of(signins, {"NoSuchColumn": "x"})


@pytest.mark.parametrize(
    ("detection", "other"),
    [
        ({"s": {"gcp.audit.method_name": ["io.k8s.a", "io.k8s.b*"]}, "condition": "s"}, "kubernetes.audit"),
        ({"s": {"protoPayload.serviceName": "K8S.io", "a": 1}, "condition": "s"}, "kubernetes.audit"),
        ({"s": {"gcp.audit.method_name": ["io.k8s.a", "v1.compute"]}, "condition": "s"}, ""),
        ({"s": {"gcp.audit.method_name": "io.k8s.a"}, "condition": "not s"}, ""),
        ({"s": {"protoPayload.serviceName|contains": "k8s.io"}, "condition": "s"}, ""),
    ],
)
def test_a_rule_for_events_that_another_format_reads_is_told_from_one_that_is_not(
    detection: dict[str, Any], other: str
) -> None:
    assert read_elsewhere(format_named("gcp.audit"), rule(detection).condition) == other
