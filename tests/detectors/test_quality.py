"""What people said of alerts says how good the rules are."""

from __future__ import annotations

import datetime as dt
from typing import Any

from detectors.quality import Handled, quality
from detectors.triage import Change, changed
from skytrail.cli.commands.alerts_quality import handled
from storage.index.alerts import Alert

TOLD = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)


def after(minutes: float) -> dt.datetime:
    return TOLD + dt.timedelta(minutes=minutes)


def closed(rule: str, classification: str, minutes: float = 60) -> Handled:
    return Handled(rule, rule, TOLD, 1, "closed", classification, None, after(minutes))


def test_shares_are_of_alerts_that_were_judged() -> None:
    alerts = [
        closed("a", "true_positive"),
        closed("a", "benign_positive"),
        closed("a", "false_positive"),
        closed("a", "false_positive"),
        closed("a", "undetermined"),
        Handled("a", "a", TOLD, 7),
    ]
    (row,) = quality(alerts)
    assert (row["precision"], row["wanted"]) == (0.25, 0.5)
    assert (row["alerts"], row["actions"], row["open"], row["closed"], row["undetermined"]) == (6, 12, 1, 5, 1)


def test_a_rule_that_nobody_judged_has_no_shares_and_no_times() -> None:
    (row,) = quality([Handled("a", "a", TOLD)])
    assert (row["precision"], row["wanted"], row["seconds_to_notice"], row["seconds_to_close"]) == (None,) * 4


def test_times_are_medians_and_closing_is_a_notice() -> None:
    alerts = [
        Handled("a", "a", TOLD, 1, "acknowledged", None, after(1)),
        Handled("a", "a", TOLD, 1, "closed", "true_positive", after(3), after(30)),
        closed("a", "true_positive", 90),
    ]
    (row,) = quality(alerts)
    assert (row["seconds_to_notice"], row["seconds_to_close"]) == (180, 3600)


def test_the_rules_with_the_most_false_alarms_come_first() -> None:
    alerts = [
        *(closed("quiet", "true_positive") for _ in range(3)),
        closed("noisy", "false_positive"),
        Handled("busy", "b", TOLD),
    ]
    assert [row["rule_id"] for row in quality(alerts)] == ["noisy", "quiet", "busy"]


def test_an_alert_is_judged_by_its_state_as_decisions_write_it() -> None:
    document: dict[str, Any] = {
        "@timestamp": "2026-11-22T10:00:00.000Z",
        "rule": {"id": "r", "name": "Rule"},
        "skytrail": {"alert": {"status": "open", "count": 1}},
    }
    entries: dict[str, Any] = {"status": "open", "count": 5}
    entries |= changed(entries, Change("acknowledge", "bob"), after(2))
    entries |= changed(entries, Change("close", "bob", "a scan", classification="false_positive"), after(10))
    found = handled(Alert("id", "index", document, {"skytrail": {"alert": entries}}))
    assert found == Handled("r", "Rule", TOLD, 5, "closed", "false_positive", after(2), after(10))
    entries |= changed(entries, Change("reopen", "bob"), after(11))
    again = handled(Alert("id", "index", document, {"skytrail": {"alert": entries}}))
    assert (again.status, again.classification, again.closed) == ("open", None, None)
