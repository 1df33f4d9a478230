"""Every topic name and what each topic must be; the only place where names are spelled.

`skytrail.<stage>.<entity>.v1`: dots between words, hyphens within. Raw topics exist per format.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingest.schema.action import FORMAT_NAME

PREFIX = "skytrail."
RAW_PREFIX = "skytrail.raw."
DETECTIONS = "skytrail.detections.v1"
"""Matches of rules, keyed by what an alert folds on."""
SIGNALS = "skytrail.signals.v1"
"""Matches that correlations build upon, by group, and clocks of the raw partitions."""
CORRELATION_STATE = "skytrail.correlation-state.v1"
"""Compacted: the groups of correlations, by correlation, namespace and group."""
ALERTS = "skytrail.alerts.v1"
"""Alerts as told to people: opened and counted."""
ALERT_STATE = "skytrail.alert-windows.v1"
"""Compacted: the open suppression window per key."""
CONFLICTS = "skytrail.conflicts.v1"
"""Records whose document id was taken: duplicate, own replay, or equivocation."""
DEAD_LETTERS = "skytrail.dead-letters.v1"
REDRIVES = "skytrail.redrives.v1"
"""Compacted: when each dead letter was sent on its way again, by its id."""
ACCOUNTING = "skytrail.accounting.v1"
"""Compacted: the cumulative count per role and partition."""
SOURCE_WATCH = "skytrail.source-watch.v1"
"""Compacted: what is known of each source's habit, and of each role's backlog."""
EVALUATIONS = "skytrail.evaluations.v1"
"""Compacted: from which offset of a raw partition on which rule set was evaluated."""
RULESETS = "skytrail.rulesets.v1"
"""Compacted: what a version of a rule set stands for, in parts."""

ROTATION = "skytrail.rotation.v1"
"""Compacted: what the worker that rotates last told; who has its first partition rotates."""

AUDIT = "skytrail.audit.v1"
"""What Skytrail did itself: envelopes of the format of the same name, read as a raw topic by every role."""

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic must be.

    Attributes:
        compacted: Keeps the last value per key instead of a time.
        retention_ms: Milliseconds kept; None for the raw retention of the settings, -1 for ever.
    """

    name: str
    compacted: bool = False
    retention_ms: int | None = None


def raw_topic(format_name: str) -> str:
    """The topic of a format's envelopes."""
    return AUDIT if format_name == FORMAT_NAME else f"{RAW_PREFIX}{format_name}.v1"


def is_raw(topic: str) -> bool:
    """Whether a topic holds envelopes of records."""
    return topic == AUDIT or topic.startswith(RAW_PREFIX)


def format_of(topic: str) -> str:
    """The format whose topic this is.

    Raises:
        ValueError: Not a topic of envelopes.
    """
    if topic == AUDIT:
        return FORMAT_NAME
    if not (topic.startswith(RAW_PREFIX) and topic.endswith(".v1")):
        raise ValueError(f"{topic} is not a raw topic")
    return topic[len(RAW_PREFIX) : -len(".v1")]


def all_topics(formats: list[str]) -> list[Topic]:
    """Every topic of the product, given the formats."""
    return [
        *(Topic(raw_topic(name)) for name in formats),
        Topic(DETECTIONS),
        Topic(SIGNALS),
        Topic(ALERTS, retention_ms=30 * DAY_MS),
        Topic(CONFLICTS),
        Topic(DEAD_LETTERS, retention_ms=-1),
        Topic(ALERT_STATE, compacted=True, retention_ms=-1),
        Topic(CORRELATION_STATE, compacted=True, retention_ms=-1),
        Topic(REDRIVES, compacted=True, retention_ms=-1),
        Topic(ACCOUNTING, compacted=True, retention_ms=-1),
        Topic(SOURCE_WATCH, compacted=True, retention_ms=-1),
        Topic(EVALUATIONS, compacted=True, retention_ms=-1),
        Topic(RULESETS, compacted=True, retention_ms=-1),
        Topic(ROTATION, compacted=True, retention_ms=-1),
    ]
