"""What the role detect alerts on is in Elasticsearch under the keys that a back-test of the same records gives."""

from __future__ import annotations

import datetime as dt
import json
import random
from pathlib import Path

from typer.testing import CliRunner

from detectors.alert import alert_document
from detectors.proving import OWN_RULES, no_file
from detectors.rulebook import load
from detectors.sigma.engine import InterpretedEngine
from detectors.suppression import GroupState, Opened, state_key, step
from ingest.schema.envelope import Position, encode, pack
from skytrail.cli.main import build, first_word
from skytrail.scan import outcome
from skytrail.scan.told import told_of
from storage.index.alerts import Alert
from streams.agents.detect import word_matches
from streams.evaluating import evaluate
from streams.preparing import Limits
from tests.faults.material import CLOUDTRAIL, cloudtrail, header
from tests.skytrail.scan.events import call
from tests.storage.archive.samples import message, open_store, sealer

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
RULES = OWN_RULES / "aws"


def alerts_of_the_role(records: list[bytes]) -> list[Alert]:
    """What the roles detect and alert make of records."""
    rules = {rule.id: rule for rule in load([RULES], prove=no_file).rules}
    message = encode(pack(header("default", CLOUDTRAIL), records)[0])
    found = evaluate(message, Position("t", 0, 0), NOW, Limits.of(24, 3660), InterpretedEngine(tuple(rules.values())))
    assert found.source is not None
    views, identified = found.views, found.identified
    detections = word_matches(
        found.matches, views, identified, found.source, ruleset_version="1", index_of=lambda _: "logs"
    )
    states: dict[tuple[str, str, str], GroupState] = {}
    alerts = []
    for detection in detections:
        key = state_key(detection)
        states[key], result = step(states.get(key), detection)
        if isinstance(result, Opened):
            document = alert_document(rules[detection.rule_id], detection, result.alert_id, NOW)
            alerts.append(Alert(result.alert_id, "logs", document, {}))
    return alerts


def test_alerts_of_the_role_are_those_of_a_back_test_of_the_same_records(tmp_path: Path) -> None:
    records = cloudtrail(random.Random(3), 400, NOW)
    trail, saved = tmp_path / "trail.ndjson", tmp_path / "saved.jsonl"
    trail.write_bytes(b"\n".join(records))
    there = {told.key: told for told in (told_of(alert, ()) for alert in alerts_of_the_role(records))}
    assert len(there) > 3
    arguments = ["rules", "backtest", str(RULES), str(trail), "--save", str(saved), "-o", "json"]
    environment = {"SKYTRAIL_STATE_DIR": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "none")}
    result = CliRunner().invoke(build(first_word(arguments)), arguments, env=environment, catch_exceptions=False)
    assert result.exit_code == 0
    changes = outcome.compare(there, outcome.read(saved))
    alone = {rule_id: change for rule_id, change in changes.items() if change.new or change.gone}
    correlations = {one.id for one in load([RULES], prove=no_file).correlations}
    assert alone.keys() <= correlations, json.dumps([each.listed for each in alone.values()])
    assert sum(change.same for change in changes.values()) == len(there)


STOPPED = """
title: Stopped often
name: test-stopped-often
level: high
correlation:
  {type: event_count, rules: [test-stopped], group-by: [awsRegion], timespan: 10m, condition: {gte: 3}}
---
title: Trail stopped
name: test-stopped
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: StopLogging}, condition: s}
"""


def backtested(tmp_path: Path, **stops: list[int]) -> dict[outcome.Key, outcome.Told]:
    """Alerts of a back-test over an archive with calls in these minutes, by namespace."""
    rules, archive, saved = tmp_path / "rules", tmp_path / "archive", tmp_path / "saved.jsonl"
    rules.mkdir()
    (rules / "often.yml").write_text(STOPPED, "utf-8")
    one = sealer(open_store(archive))
    for offset, (namespace, minutes) in enumerate(stops.items()):
        records = [json.dumps(call(minute, "StopLogging")).encode() for minute in minutes]
        one.add(offset, message(namespace, *records))
    one.seal()
    arguments = ["rules", "backtest", str(rules), str(archive), "--save", str(saved), "-o", "json"]
    environment = {"SKYTRAIL_STATE_DIR": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "none")}
    result = CliRunner().invoke(build(first_word(arguments)), arguments, env=environment, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return outcome.read(saved)


def test_namespaces_of_an_archive_are_not_correlated_with_each_other(tmp_path: Path) -> None:
    assert backtested(tmp_path, acme=[0, 4], beta=[2, 6]) == {}


def test_an_alert_of_a_correlation_is_the_same_by_its_id_whichever_match_completed_it(tmp_path: Path) -> None:
    (told,) = backtested(tmp_path, acme=[8, 0, 4], beta=[2]).values()
    (correlation,) = load([tmp_path / "rules"], prove=no_file).correlations
    assert told.namespace == "acme"
    document = {
        "rule": {"id": correlation.id},
        "data_stream": {"namespace": "acme"},
        "event": {"start": "2026-03-01T00:00:00.000Z"},  # its first match, where the back-test names the last
        "skytrail": {"alert": {"group_key": told.group}},
    }
    there = told_of(Alert(told.alert, "logs", document, {}), {correlation.id})
    assert len(told.alert) == 64
    assert there.key == told.key
    assert told_of(Alert(told.alert, "logs", document, {}), ()).key != told.key
