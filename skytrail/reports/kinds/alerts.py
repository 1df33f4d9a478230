"""What the rules said, and what people made of it: precision by decision, and how long it took."""

from __future__ import annotations

import datetime as dt
import statistics
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from skytrail.reports.gathering import Asked
from skytrail.reports.report import Section, Verdict
from storage.index.alerts import Alert
from storage.index.alerts import alerts as read_alerts
from storage.index.search import Query

TITLE = "Alerts per rule"
_RIGHT = "true_positive"
_KNOWN = ("true_positive", "benign_positive", "false_positive", "undetermined")


@dataclass(slots=True)
class _Rule:
    """The alerts of one rule."""

    title: str = ""
    alerts: int = 0
    actions: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    classified: Counter[str] = field(default_factory=Counter)
    acknowledged: list[float] = field(default_factory=list)


async def gather(asked: Asked) -> Sequence[Section]:
    """Read the alerts and what became of them.

    Raises:
        IndexUnavailable: Elasticsearch does not answer.
    """
    rules: dict[str, _Rule] = {}
    query = Query("*", asked.namespace, None, asked.start, asked.end, oldest_first=True)
    async with aclosing(read_alerts(asked.client, query, limit=None)) as found:
        async for alert in found:
            count_alert(rules, alert)
    return [statistics_section(rules)]


def count_alert(rules: dict[str, _Rule], alert: Alert) -> None:
    """Add an alert to the figures of its rule."""
    described = alert.document.get("rule", {})
    rule = rules.setdefault(str(described.get("id", "-")), _Rule())
    rule.title = str(described.get("name", ""))
    rule.alerts += 1
    rule.actions += alert.count
    rule.statuses[alert.status] += 1
    if classification := alert.now("classification"):
        rule.classified[str(classification)] += 1
    if taken := alert.now("acknowledged"):
        rule.acknowledged.append(_seconds(str(alert.document["@timestamp"]), str(taken)))


def _seconds(start: str, end: str) -> float:
    return (dt.datetime.fromisoformat(end) - dt.datetime.fromisoformat(start)).total_seconds()


def statistics_section(rules: dict[str, _Rule]) -> Section:
    """The figures of all rules, those with most alerts first."""
    alerts = sum(rule.alerts for rule in rules.values())
    waiting = sum(rule.statuses["open"] for rule in rules.values())
    return Section(
        name="rules",
        title="Per rule",
        verdict=Verdict.FACTS if rules else Verdict.NOT_MEASURED,
        text=(
            f"{alerts:,} alerts of {len(rules):,} rules; {waiting:,} are still open. "
            "Precision is the share of true positives among those that were classified as true or false."
        ),
        columns=("rule", "title", "alerts", "actions", "open", *_KNOWN, "precision", "median seconds to acknowledge"),
        rows=tuple((name, *_row(rule)) for name, rule in sorted(rules.items(), key=lambda each: -each[1].alerts)),
        chart="alerts",
        labels=("title",),
    )


def _row(rule: _Rule) -> tuple[Any, ...]:
    right, wrong = rule.classified[_RIGHT], rule.classified["false_positive"]
    return (
        rule.title,
        rule.alerts,
        rule.actions,
        rule.statuses["open"],
        *(rule.classified[name] for name in _KNOWN),
        round(right / (right + wrong), 3) if right + wrong else None,
        round(statistics.median(rule.acknowledged), 1) if rule.acknowledged else None,
    )
