from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from detectors.alert import alert_document, alert_growth, alert_state_document
from detectors.alert_fields import ALERT_FIELDS, ALERT_STATE_FIELDS
from detectors.suppression import step
from ingest.schema.common_fields import COMMON_FIELDS
from ingest.schema.fields import Registry, paths
from tests.detectors.examples import START, detection
from tests.detectors.shipped import shipped
from tests.detectors.sigma.building import rule

NOW = START + dt.timedelta(seconds=1)
BOOK = shipped()
RULE = BOOK.get("aws-trail-stopped")


def alert(**changes: Any) -> dict[str, Any]:
    assert RULE is not None
    return alert_document(RULE, detection(**changes), "f" * 64, NOW)


def test_an_alert_is_what_elastic_security_promotes() -> None:
    document = alert()
    assert document["message"] == "AWS: CloudTrail logging stopped or trail deleted by mallory in 111122223333"
    assert document["@timestamp"] == "2026-03-02T11:20:06.000Z"
    assert document["event"] == {
        "action": "StopLogging",
        "outcome": "success",
        "kind": "alert",
        "category": ["intrusion_detection"],
        "type": ["info"],
        "module": "skytrail",
        "dataset": "skytrail.alert",
        "id": "f" * 64,
        "severity": 73,
        "risk_score": 73,
        "risk_score_norm": 73,
        "created": "2026-03-02T11:20:06.000Z",
        "ingested": "2026-03-02T11:20:06.000Z",
        "start": "2026-03-02T11:20:05.000Z",
        "end": "2026-03-02T11:20:05.000Z",
        "reason": "mallory stopped the trail.",
    }


def test_an_alert_names_rule_and_technique() -> None:
    document = alert()
    assert document["rule"]["id"] == "aws-trail-stopped"
    assert document["rule"]["author"] == ["Skytrail"]
    assert document["rule"]["category"] == "Defense Evasion"
    assert document["threat"]["tactic"] == {
        "id": ["TA0005"],
        "name": ["Defense Evasion"],
        "reference": ["https://attack.mitre.org/tactics/TA0005/"],
    }
    assert document["threat"]["technique"]["id"] == ["T1562"]
    assert document["threat"]["technique"]["subtechnique"]["id"] == ["T1562.008"]
    assert document["threat"]["technique"]["subtechnique"]["reference"] == [
        "https://attack.mitre.org/techniques/T1562/008/"
    ]


def test_an_alert_carries_its_evidence_and_what_to_do() -> None:
    own = alert()["skytrail"]["alert"]
    assert own["events"] == [{"index": "logs-aws.cloudtrail-default-2026.03.02", "id": "id-m0", "hash": "ab" * 32}]
    assert own["runbook"][0].startswith("1. ")
    assert own["suppressed_until"] == "2026-03-02T12:20:05.000Z"
    assert (own["count"], own["status"], own["ruleset_version"]) == (1, "open", "abc")


def test_a_rule_of_others_keeps_its_author_and_gets_another_ruleset() -> None:
    foreign = rule({"s": {"a": 1}, "condition": "s"}, author="Someone Else", license="DRL 1.1")
    document = alert_document(foreign, detection(), "f" * 64, NOW)
    assert document["rule"]["author"] == ["Someone Else"]
    assert document["rule"]["ruleset"] == "sigma"
    assert "threat" not in document


def test_the_state_counts_and_leaves_room_for_people() -> None:
    assert RULE is not None
    state, _ = step(None, detection("a"))
    state, _ = step(state, detection("b", 60))
    document = alert_state_document(RULE, state.windows[0], NOW)
    own = document["skytrail"]["alert"]
    assert (own["count"], own["status"], own["owner"], own["classification"]) == (2, "open", None, None)
    assert [event["id"] for event in own["events"]] == ["id-a", "id-b"]
    assert document["event"]["end"] == "2026-03-02T11:21:05.000Z"
    growth = alert_growth(state.windows[0], NOW)
    assert growth["skytrail"]["alert"]["count"] == 2
    assert not {"status", "owner", "classification"} & set(growth["skytrail"]["alert"])


@pytest.mark.parametrize("each", BOOK.rules, ids=lambda each: each.id)
def test_every_field_of_an_alert_is_registered(each: Any) -> None:
    state, _ = step(None, detection())
    alerts, states = Registry([*COMMON_FIELDS, *ALERT_FIELDS]), Registry([*COMMON_FIELDS, *ALERT_STATE_FIELDS])
    written = paths(alert_document(each, detection(), "f" * 64, NOW))
    kept = paths(alert_state_document(each, state.windows[0], NOW))
    assert [path for path in written if not alerts.allows(path)] == []
    assert [path for path in kept if not states.allows(path)] == []
