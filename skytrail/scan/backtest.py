"""What rules would have alerted on, had they been in force: hits folded as the alert agent folds them. Pure.

Alerts are counted in the order of the input, which is near that of arrival; hits without a time can't be folded and are
counted apart.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from detectors.detection import Detection, EventRef, Principal
from detectors.rule import Rule
from detectors.suppression import GroupState, Known, Opened, state_key, step
from skytrail.scan.found import Hit
from skytrail.scan.outcome import Key, Told

SHOWN_PRINCIPALS = 50
_DAYS = 10_000  # told apart per rule: a wild clock must not fill the memory; the rest are one
_PRINCIPALS = 100_000  # told apart per rule; the rest are one


@dataclass(slots=True)
class Count:
    """Hits of one rule, or of one rule and principal.

    Attributes:
        matches: Records that matched.
        actions: Different actions among those: stages and repetitions of one count once.
        alerts: Alerts that would have been told.
        undated: Matches without a time, in no alert.
        first: Earliest event time.
        last: Latest event time.
    """

    matches: int = 0
    actions: int = 0
    alerts: int = 0
    undated: int = 0
    first: str = ""
    last: str = ""

    def plain(self) -> dict[str, Any]:
        """The counts as one object."""
        return {
            "alerts": self.alerts,
            "matches": self.matches,
            "actions": self.actions,
            "undated": self.undated,
            "first": self.first or None,
            "last": self.last or None,
        }


@dataclass(slots=True)
class Backtest:
    """Collects hits of some rules.

    Attributes:
        rules: Those that raise alerts, correlations included.
        keeps_alerts: Whether `alerts` is kept.
        alerts: Every alert, by what makes it the same in another run.
    """

    rules: Sequence[Rule]
    keeps_alerts: bool = False
    alerts: dict[Key, Told] = field(default_factory=dict)
    _days: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    _totals: dict[str, Count] = field(default_factory=dict)
    _principals: dict[str, dict[str, Count]] = field(default_factory=dict)
    _states: dict[tuple[str, str, str], GroupState] = field(default_factory=dict)

    def add(self, hit: Hit) -> None:
        """Take one hit."""
        outcome = self._fold(hit)
        for count in (self._totals.setdefault(hit.rule.id, Count()), self._count(hit)):
            count.matches += 1
            if hit.match.at is None:
                count.undated += 1
                continue
            count.alerts += outcome == "opened"
            count.actions += outcome != "known"
            count.first = min(count.first or hit.match.at, hit.match.at)
            count.last = max(count.last, hit.match.at)
        if hit.match.at is not None:
            self._note(hit, hit.match.at, opened=outcome == "opened")

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row per rule, silent ones too, in the order of the rules."""
        for rule in self.rules:
            known = self._principals.get(rule.id, {})
            shown = sorted(known, key=lambda name: (-known[name].alerts, -known[name].matches, name))[:SHOWN_PRINCIPALS]
            yield {
                "rule_id": rule.id,
                "title": rule.title,
                "level": rule.level,
                "severity": rule.level,
                **self._totals.get(rule.id, Count()).plain(),
                "principals": len(known),
                "by_day": [
                    {"day": day, "alerts": counts["alerts"], "matches": counts["matches"]}
                    for day, counts in sorted(self._days.get(rule.id, {}).items())
                ],
                "by_principal": [{"principal": name, **known[name].plain()} for name in shown],
            }

    @property
    def totals(self) -> Counter[str]:
        """Matches and alerts of all rules."""
        counts = self._totals.values()
        return Counter(matches=sum(c.matches for c in counts), alerts=sum(c.alerts for c in counts))

    def _note(self, hit: Hit, at: str, *, opened: bool) -> None:
        """Count a match in its day (UTC), and keep the alert that it opened."""
        days = self._days.setdefault(hit.rule.id, {})
        day = at[:10]
        counts = days.setdefault(day if day in days or len(days) < _DAYS else "(others)", Counter())
        counts["matches"] += 1
        counts["alerts"] += opened
        if opened and self.keeps_alerts:
            match = hit.match
            told = Told(
                hit.rule.id,
                at,
                match.group_key,
                match.principal,
                hit.uid,
                match.reason,
                match.namespace,
                match.alert,
            )
            self.alerts[told.key] = told

    def _count(self, hit: Hit) -> Count:
        known = self._principals.setdefault(hit.rule.id, {})
        name = hit.match.principal
        return known.setdefault(name if name in known or len(known) < _PRINCIPALS else "(others)", Count())

    def _fold(self, hit: Hit) -> str:
        if hit.match.at is None:
            return ""
        if hit.match.rule < 0:  # of a correlation, which tells each alert once
            return "opened"
        detection = _detection(hit, hit.match.at)
        key = state_key(detection)
        self._states[key], outcome = step(self._states.get(key), detection)
        if isinstance(outcome, Known):
            return "known"
        return "opened" if isinstance(outcome, Opened) else "folded"


def _detection(hit: Hit, at: str) -> Detection:
    """As much of the detection as the suppression asks for."""
    return Detection(
        rule_id=hit.rule.id,
        rule_version=hit.rule.version,
        ruleset_version="",
        namespace=hit.match.namespace,
        format="",
        group_key=hit.match.group_key,
        window_seconds=hit.rule.suppression.window_seconds,
        member=hit.match.member,
        event=EventRef(hit.file, str(hit.record), ""),
        at=dt.datetime.fromisoformat(at),
        principal=Principal(display=hit.match.principal),
        reason="",
        context={},
    )
