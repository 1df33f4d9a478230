"""How good the rules are by what people said of their alerts: shares, and how long people took. Pure."""

from __future__ import annotations

import datetime as dt
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from detectors.triage import Classification

JUDGED: Final = ("true_positive", "benign_positive", "false_positive")
"""Classifications that say something about the rule; `undetermined` does not."""


@dataclass(frozen=True, slots=True)
class Handled:
    """One alert and what became of it.

    Attributes:
        told: When it was told.
        count: Actions in it by now.
        classification: Of a closed one.
        acknowledged: When a person first took notice.
        closed: When it was closed.
    """

    rule_id: str
    title: str
    told: dt.datetime
    count: int = 1
    status: str = "open"
    classification: str | None = None
    acknowledged: dt.datetime | None = None
    closed: dt.datetime | None = None


@dataclass(slots=True)
class _Rule:
    title: str
    alerts: int = 0
    actions: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    notice_s: list[float] = field(default_factory=list)
    close_s: list[float] = field(default_factory=list)


def quality(alerts: Iterable[Handled]) -> list[dict[str, Any]]:
    """A row per rule, those with the most false alarms first.

    `precision` is the share of attacks, `wanted` that of attacks and of what the rule is to tell though it was allowed,
    among alerts that were judged; None where none was. Times are medians in seconds: from the alert to the first notice
    (closing counts as such), and to its closing.
    """
    rules: dict[str, _Rule] = {}
    for alert in alerts:
        rule = rules.setdefault(alert.rule_id, _Rule(alert.title))
        rule.alerts += 1
        rule.actions += alert.count
        rule.statuses[alert.status] += 1
        if alert.status == "closed" and alert.classification:
            rule.classes[alert.classification] += 1
        seen = alert.acknowledged or alert.closed
        if seen:
            rule.notice_s.append((seen - alert.told).total_seconds())
        if alert.closed:
            rule.close_s.append((alert.closed - alert.told).total_seconds())
    rows = [_row(rule_id, rule) for rule_id, rule in rules.items()]
    return sorted(rows, key=lambda row: (-row["false_positive"], -row["alerts"], row["rule_id"]))


def _row(rule_id: str, rule: _Rule) -> dict[str, Any]:
    judged = sum(rule.classes[name] for name in JUDGED)
    wanted = rule.classes["true_positive"] + rule.classes["benign_positive"]
    return {
        "rule_id": rule_id,
        "title": rule.title,
        "alerts": rule.alerts,
        "actions": rule.actions,
        **{status: rule.statuses[status] for status in ("open", "acknowledged", "closed")},
        **{name: rule.classes[name] for name in get_args(Classification)},
        "precision": round(rule.classes["true_positive"] / judged, 3) if judged else None,
        "wanted": round(wanted / judged, 3) if judged else None,
        "seconds_to_notice": _median(rule.notice_s),
        "seconds_to_close": _median(rule.close_s),
    }


def _median(seconds: list[float]) -> float | None:
    return round(statistics.median(seconds), 1) if seconds else None
