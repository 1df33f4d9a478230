"""Alert documents: what a rule says to a person (immutable), and the state of its triage (mutable).

Field names follow Elastic's, so that Security › Alerts promotes them unchanged: `message` is the title people read,
`event.severity` one of 0, 21, 47, 73, 99. Both documents have the alert's id as `_id`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from detectors.attack import Tactic, Technique, technique
from detectors.detection import Detection, EventRef
from detectors.reason import clean
from detectors.rule import Rule
from detectors.suppression import MAX_EVENTS, Window
from ingest.document import PRODUCT_VERSION, utc_millis

DATASET = "skytrail.alert"
STATE_INDEX = "skytrail-alert-state"
RULESET = "skytrail-core"
FOREIGN_RULESET = "sigma"

_PRODUCTS = {"aws": "AWS", "azure": "Azure", "gcp": "GCP", "oci": "OCI", "kubernetes": "Kubernetes"}


def alert_document(rule: Rule, detection: Detection, alert_id: str, now: dt.datetime) -> dict[str, Any]:
    """The append-only document of an alert, from the detection that opened it.

    Args:
        rule: The rule that fired.
        detection: Its match.
        alert_id: Id of the alert, as the suppression gave it.
        now: Detection time; becomes `@timestamp`, `event.created` and `event.ingested`.
    """
    return {
        **{name: part for name, part in detection.context.items() if name != "event"},
        "@timestamp": utc_millis(now),
        "ecs": {"version": "8.11.0"},
        "message": title_line(rule, detection),
        "tags": list(rule.tags),
        "event": _alert_event(rule, detection, alert_id, utc_millis(now)),
        "rule": _rule(rule, detection),
        **({"threat": _threat(rule)} if rule.tactics or rule.techniques else {}),
        "data_stream": {"type": "logs", "dataset": DATASET, "namespace": detection.namespace},
        "observer": {"vendor": "Skytrail", "product": "Skytrail", "version": PRODUCT_VERSION},
        "skytrail": {
            **detection.context.get("skytrail", {}),
            "format": detection.format,
            **_principal(detection),
            "alert": _alert_itself(rule, detection),
        },
    }


def alert_state_document(rule: Rule, window: Window, now: dt.datetime) -> dict[str, Any]:
    """The triage state of an alert as it is before any person touched it; written again as the count grows.

    Whoever updates it in the index must not overwrite `status`, `owner` and `classification` once a person set them.
    """
    opened_by = window.opened_by
    return {
        "@timestamp": utc_millis(now),
        "message": title_line(rule, opened_by),
        "event": {
            "id": window.alert_id,
            "severity": rule.severity,
            "start": utc_millis(window.first),
            "end": utc_millis(window.last),
            "reason": opened_by.reason,
        },
        "rule": {"id": rule.id, "name": rule.title, "version": opened_by.rule_version},
        "data_stream": {"namespace": opened_by.namespace},
        "skytrail": {
            **_principal(opened_by),
            "alert": {
                "id": window.alert_id,
                "status": "open",
                "owner": None,
                "classification": None,
                "count": window.count,
                "dedup_key": dedup_key(opened_by),
                "group_key": opened_by.group_key,
                "events": [_event(event) for event in window.events if event.id],
                "suppressed_until": utc_millis(window.until),
                "opened": utc_millis(window.start),
                "updated": utc_millis(now),
            },
        },
    }


def alert_growth(window: Window, now: dt.datetime) -> dict[str, Any]:
    """The part of the state document that a new member changes; a partial update leaves people's entries alone."""
    return {
        "@timestamp": utc_millis(now),
        "event": {"start": utc_millis(window.first), "end": utc_millis(window.last)},
        "skytrail": {
            "alert": {
                "count": window.count,
                "events": [_event(event) for event in window.events if event.id],
                "updated": utc_millis(now),
            }
        },
    }


def title_line(rule: Rule, detection: Detection) -> str:
    """The alert in one line: product, title, who, where."""
    product = _PRODUCTS.get(rule.log_source.product, rule.log_source.product)
    who = detection.principal.display or detection.principal.key
    where = _place(detection.context)
    line = f"{product}: {rule.title}" if product else rule.title
    return clean(line + (f" by {who}" if who else "") + (f" in {where}" if where else ""), 300)


def dedup_key(detection: Detection) -> str:
    """What alerts of the same matter share: rule and group."""
    return f"{detection.rule_id}|{detection.namespace}|{detection.group_key}"


def _place(context: Mapping[str, Any]) -> str:
    orchestrator, cloud = context.get("orchestrator", {}), context.get("cloud", {})
    cluster = orchestrator.get("cluster", {}).get("name", "")
    account = cloud.get("account", {}).get("id", "")
    return clean(str(cluster or account))


def _alert_event(rule: Rule, detection: Detection, alert_id: str, moment: str) -> dict[str, Any]:
    return {
        **detection.context.get("event", {}),
        "kind": "alert",
        "category": ["intrusion_detection"],
        "type": ["info"],
        "module": "skytrail",
        "dataset": DATASET,
        "id": alert_id,
        "severity": rule.severity,
        "risk_score": rule.severity,
        "risk_score_norm": rule.severity,
        "created": moment,
        "ingested": moment,
        "start": utc_millis(min(match.at for match in detection.matches)),
        "end": utc_millis(max(match.at for match in detection.matches)),
        "reason": detection.reason,
        **({"reference": rule.references[0]} if rule.references else {}),
    }


def _alert_itself(rule: Rule, detection: Detection) -> dict[str, Any]:
    until = detection.at + dt.timedelta(seconds=detection.window_seconds)
    return {
        "dedup_key": dedup_key(detection),
        "count": detection.count,
        "threshold": detection.threshold,
        "confidence": rule.confidence,
        "status": "open",
        "group_key": detection.group_key,
        "events": [_event(match.event) for match in detection.matches[:MAX_EVENTS] if match.event.id],
        "false_positives": list(rule.false_positives),
        "runbook": [f"{number}. {text}" for number, text in enumerate(rule.runbook, 1)],
        "suppressed_until": utc_millis(until),
        "ruleset_version": detection.ruleset_version,
    }


def _rule(rule: Rule, detection: Detection) -> dict[str, Any]:
    known = {
        "id": rule.id,
        "uuid": rule.uuid,
        "name": rule.title,
        "version": detection.rule_version,
        "ruleset": RULESET if rule.own else FOREIGN_RULESET,
        "category": rule.tactics[0].name if rule.tactics else "",
        "description": rule.description,
        "author": [rule.author] if rule.author else [],
        "license": rule.license,
        "reference": rule.references[0] if rule.references else "",
    }
    return {key: value for key, value in known.items() if value}


def _threat(rule: Rule) -> dict[str, Any]:
    """ATT&CK of a rule: sub-techniques stand beside the techniques they belong to."""
    whole = {t.parent: technique(t.parent) for t in rule.techniques}
    parts = [t for t in rule.techniques if t.id != t.parent]
    found: dict[str, Any] = {"framework": "MITRE ATT&CK"}
    if rule.tactics:
        found["tactic"] = _named(rule.tactics)
    if whole:
        found["technique"] = _named(tuple(whole.values()))
        if parts:
            found["technique"]["subtechnique"] = _named(parts)
    return found


def _named(things: Sequence[Tactic] | Sequence[Technique]) -> dict[str, list[str]]:
    columns = {
        "id": [thing.id for thing in things],
        "name": [thing.name for thing in things if thing.name],
        "reference": [thing.reference for thing in things],
    }
    return {key: values for key, values in columns.items() if values}


def _event(event: EventRef) -> dict[str, str]:
    return {"index": event.index, "id": event.id, "hash": event.hash}


def _principal(detection: Detection) -> dict[str, Any]:
    known = {
        "key": detection.principal.key,
        "type": detection.principal.type,
        "display": detection.principal.display,
    }
    kept = {key: value for key, value in known.items() if value}
    return {"principal": kept} if kept else {}
