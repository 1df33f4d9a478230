"""Correlations in a scan: over all files in the order of time, whatever the order of files and the room in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from detectors.rulebook import Rulebook, load
from ingest.formats.registry import format_named
from skytrail.cli.exits import Exit
from skytrail.cli.main import build, first_word
from skytrail.scan.correlating import Correlating, from_level
from skytrail.scan.evaluate import Evaluator, Task
from skytrail.scan.found import Traced
from tests.skytrail.scan.events import call, lines

RUNNER = CliRunner()
OFTEN = """
title: Stopped often
name: test-stopped-often
level: high
reason: "{count} trails were stopped."
correlation:
  {type: event_count, rules: [test-stopped], group-by: [awsRegion], timespan: 10m, condition: {gte: 3}}
---
title: Trail stopped
name: test-stopped
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: StopLogging}, condition: s}
"""
CHAIN = """
title: Stopped often, then listed
name: test-stopped-then-listed
level: low
correlation:
  {type: temporal_ordered, rules: [test-stopped-often, test-listed], group-by: [awsRegion], timespan: 1h}
---
title: Buckets listed
name: test-listed
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: ListBuckets}, condition: s}
"""
STOPS = [call(minute, "StopLogging") for minute in (0, 4, 8, 40)]
LISTED = call(20, "ListBuckets")


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings of this machine."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("SKYTRAIL_STATE_DIR", str(tmp_path / "state"))
    yield
    structlog.reset_defaults()  # the command logged to a stream that is closed now


@pytest.fixture
def rule_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "often.yml").write_text(OFTEN, "utf-8")
    (folder / "chain.yml").write_text(CHAIN, "utf-8")
    return folder


@pytest.fixture
def book(rule_dir: Path) -> Rulebook:
    return load([rule_dir])


def scan(*arguments: str | Path) -> list[dict[str, Any]]:
    result = RUNNER.invoke(build("scan"), ["scan", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == Exit.OK, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def written(tmp_path: Path, **files: list[dict[str, Any]]) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    for name, events in files.items():
        (folder / f"{name}.ndjson").write_bytes(lines(events))
    return folder


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_events_of_several_files_make_one_alert_with_the_record_that_completed_it(
    tmp_path: Path, rule_dir: Path, jobs: str
) -> None:
    folder = written(tmp_path, a=[STOPS[2], STOPS[3]], b=[LISTED], c=[STOPS[1], STOPS[0]])
    found = scan(folder, "--rules", rule_dir, "--jobs", jobs)
    assert [row["rule_id"] for row in found] == ["test-stopped-often", "test-stopped-then-listed"]
    often, chain = found
    assert (often["file"], often["record"], often["timestamp"]) == (
        str(folder / "a.ndjson"),
        0,
        "2026-03-01T00:08:00.000Z",
    )
    assert often["reason"] == "3 trails were stopped."
    assert often["uid"] == STOPS[2]["eventID"]
    assert chain["file"] == str(folder / "b.ndjson")


def test_a_level_keeps_what_is_below_from_people_and_not_from_those_above(tmp_path: Path, rule_dir: Path) -> None:
    (rule_dir / "often.yml").write_text(OFTEN.replace("level: high", "level: informational"), "utf-8")
    folder = written(tmp_path, a=[*STOPS, LISTED])
    found = scan(folder, "--rules", rule_dir, "--min-level", "low")
    assert [row["rule_id"] for row in found] == ["test-stopped-then-listed"]


def test_events_out_of_the_time_range_count_for_nothing(tmp_path: Path, rule_dir: Path) -> None:
    folder = written(tmp_path, a=STOPS)
    assert scan(folder, "--rules", rule_dir, "--from", "2026-03-01T00:01:00Z") == []


@pytest.mark.parametrize("in_memory", [1, 2, 3, 100])
def test_room_in_memory_changes_nothing(book: Rulebook, in_memory: int) -> None:
    task = Task(book.rules, bases=book.bases, correlations=book.correlations)
    records = [json.dumps(event).encode() for event in (*reversed(STOPS), LISTED)]
    correlating = Correlating(book.correlations, in_memory=in_memory)
    for one in Evaluator(task).matches(format_named("aws.cloudtrail"), records):
        assert isinstance(one, Traced)
        correlating.add("f", one.ordinal, one.uid, one.signal)
    found = [(hit.rule.id, hit.record) for hit in correlating.hits()]
    correlating.close()
    assert found == [("test-stopped-often", 1), ("test-stopped-then-listed", 4)]


def test_of_a_level_and_above_are_those_and_silently_what_they_build_upon(book: Rulebook) -> None:
    assert [(one.id, one.silent) for one in from_level(book.correlations, 0)] == [
        ("test-stopped-often", False),
        ("test-stopped-then-listed", False),
    ]
    assert [one.id for one in from_level(book.correlations, 73)] == ["test-stopped-often"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_timeline_shows_an_alert_with_the_entry_of_the_record_that_completed_it(
    tmp_path: Path, rule_dir: Path, jobs: str
) -> None:
    folder = written(tmp_path, a=[STOPS[2], STOPS[3]], b=[LISTED], c=[STOPS[1], STOPS[0]])
    often, chain = scan(folder, "--rules", rule_dir, "--jobs", jobs, "-o", "timesketch")
    assert (often["tag"], often["event_name"], often["datetime"]) == (
        ["test-stopped-often"],
        "StopLogging",
        "2026-03-01T00:08:00.000+00:00",
    )
    assert (often["filename"], often["record"], often["reason"]) == (
        str(folder / "a.ndjson"),
        0,
        "3 trails were stopped.",
    )
    assert (chain["tag"], chain["event_name"], chain["uid"]) == (
        ["test-stopped-then-listed"],
        "ListBuckets",
        LISTED["eventID"],
    )


def test_entries_that_wait_for_an_alert_are_gone_with_the_scan(book: Rulebook) -> None:
    task = Task(book.rules, entries=True, bases=book.bases, correlations=book.correlations)
    records = [json.dumps(event).encode() for event in STOPS]
    correlating = Correlating(book.correlations, in_memory=1)
    for one in Evaluator(task).matches(format_named("aws.cloudtrail"), records):
        assert isinstance(one, Traced)
        correlating.add("f", one.ordinal, one.uid, one.signal, one.entry)
    shown = [json.loads(hit.match.entry)["event_name"] for hit in correlating.hits()]
    correlating.close()
    assert shown == ["StopLogging"]


SUM = """
title: A lot removed
name: test-lot
level: low
correlation:
  {type: value_sum, rules: [test-removed], group-by: [awsRegion], timespan: 10m,
   condition: {field: requestParameters.size, gte: 1000000}}
---
title: Removed
name: test-removed
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: StopLogging}, condition: s}
"""


@pytest.mark.parametrize("verb", [["scan"], ["rules", "backtest"]], ids=["scan", "backtest"])
@pytest.mark.parametrize(
    ("rule", "number", "why", "said", "code"),
    [
        (OFTEN, 600, "surplus", "matches of groups that had enough without them: no alert is missing", Exit.OK),
        (SUM, 2300, "cut", "matches beyond what a group holds: alerts may be missing", Exit.INCOMPLETE),
    ],
    ids=["had enough", "may miss"],
)
def test_what_correlations_did_not_keep_is_told_and_what_an_alert_may_need_is_incomplete(
    tmp_path: Path, verb: list[str], rule: str, number: int, why: str, said: str, code: Exit
) -> None:
    one = {**STOPS[0], "requestParameters": {"size": 1}}
    flood = [{**one, "eventID": f"10000000-0000-4000-8000-{place:012d}"} for place in range(number)]
    folder, summary, rules = written(tmp_path, a=flood), tmp_path / "summary.json", tmp_path / "one.yml"
    rules.write_text(rule, "utf-8")
    places = [str(folder), "--rules", str(rules)] if verb == ["scan"] else [str(rules), str(folder)]
    arguments = [*verb, *places, "--jobs", "1", "--summary-file", str(summary)]
    result = RUNNER.invoke(build(first_word(arguments)), arguments, catch_exceptions=False)
    (lost,) = json.loads(summary.read_text("utf-8"))["correlation_matches_left_out"].items()
    assert lost[0] == why
    assert lost[1] > 50
    assert f"correlations did not keep {lost[1]} {said}" in result.stderr
    assert f"(of {'test-stopped-often' if rule is OFTEN else 'test-lot'})" in result.stderr
    assert result.exit_code == code
