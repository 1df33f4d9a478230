"""Fields of alerts and of their triage state, besides the common ones (`ingest/schema/common_fields.py`)."""

from __future__ import annotations

from ingest.schema.fields import Field, FieldType

_NAMED: tuple[tuple[str, FieldType, str], ...] = (
    ("id", "keyword", "id in ATT&CK"),
    ("name", "name", "name in ATT&CK"),
    ("reference", "keyword", "page in ATT&CK"),
)

_RULE: tuple[Field, ...] = (
    Field("rule.id", "keyword", "stable id of the rule"),
    Field("rule.uuid", "keyword", "Sigma's id of the rule"),
    Field("rule.name", "name", "title of the rule"),
    Field("rule.version", "keyword", "version of the rule that fired"),
    Field("rule.ruleset", "keyword", "set the rule belongs to"),
    Field("rule.category", "keyword", "first ATT&CK tactic in words"),
    Field("rule.description", "text", "what the rule looks for"),
    Field("rule.author", "keyword", "who wrote the rule", array=True),
    Field("rule.license", "keyword", "licence of the rule"),
    Field("rule.reference", "keyword", "where to read more"),
)

_THREAT: tuple[Field, ...] = (
    Field("threat.framework", "keyword", "MITRE ATT&CK"),
    *(
        Field(f"threat.{part}.{key}", type_, meaning, array=True)
        for part in ("tactic", "technique", "technique.subtechnique")
        for key, type_, meaning in _NAMED
    ),
)

_ALERT: tuple[Field, ...] = (
    Field("skytrail.alert.dedup_key", "keyword", "alerts of the same matter share it: rule, namespace, group"),
    Field("skytrail.alert.count", "long", "different actions in the alert; grows in the state only"),
    Field("skytrail.alert.threshold", "long", "actions needed to fire"),
    Field("skytrail.alert.confidence", "keyword", "low, medium or high"),
    Field("skytrail.alert.status", "keyword", "open, acknowledged, closed or suppressed"),
    Field("skytrail.alert.group_key", "keyword", "values of the fields the rule groups by"),
    Field("skytrail.alert.events.index", "keyword", "index of a matched event", array=True),
    Field("skytrail.alert.events.id", "keyword", "document id of a matched event", array=True),
    Field("skytrail.alert.events.hash", "keyword", "hex leaf hash of a matched event", array=True),
    Field("skytrail.alert.false_positives", "text", "what else may explain it", array=True),
    Field("skytrail.alert.runbook", "text", "what to do, step by step", array=True),
    Field("skytrail.alert.suppressed_until", "date", "event time until which more of the same folds into this alert"),
    Field("skytrail.alert.ruleset_version", "keyword", "version of the whole rule set"),
)

_STATE: tuple[Field, ...] = (
    Field("skytrail.alert.id", "keyword", "id of the alert the state belongs to"),
    Field("skytrail.alert.owner", "keyword", "who works on it"),
    Field("skytrail.alert.classification", "keyword", "true_positive, benign_positive, false_positive or undetermined"),
    Field("skytrail.alert.closing_reason", "keyword", "why it was closed so: suspicious_activity, …"),
    Field("skytrail.alert.acknowledged", "date", "when a person first took notice"),
    Field("skytrail.alert.closed", "date", "when it was closed; nothing while it is not"),
    Field("skytrail.alert.history.at", "date", "when a person changed it", array=True),
    Field("skytrail.alert.history.by", "keyword", "who changed it, by their own word", array=True),
    Field("skytrail.alert.history.action", "keyword", "acknowledge, assign, close, reopen or comment", array=True),
    Field("skytrail.alert.history.comment", "text", "why", array=True),
    *(
        Field(f"skytrail.alert.history.{entry}.{side}", "keyword", f"{entry} {words}", array=True)
        for entry in ("status", "owner", "classification", "closing_reason")
        for side, words in (("from", "before the change"), ("to", "after the change"))
    ),
    Field("skytrail.alert.opened", "date", "event time of the first member"),
    Field("skytrail.alert.updated", "date", "last change of the state"),
)

ALERT_FIELDS: tuple[Field, ...] = (*_RULE, *_THREAT, *_ALERT)
ALERT_STATE_FIELDS: tuple[Field, ...] = (*ALERT_FIELDS, *_STATE)
