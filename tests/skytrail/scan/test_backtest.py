"""What rules would have alerted on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from ingest.schema.errors import ConfigError
from skytrail.cli.exits import Exit
from skytrail.cli.main import build
from tests.skytrail.scan.events import call, lines, rules
from tests.skytrail.scan.test_correlations import OFTEN

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("SKYTRAIL_STATE_DIR", str(tmp_path / "state"))
    yield
    structlog.reset_defaults()


def run(*arguments: str | Path) -> Result:
    return RUNNER.invoke(
        build("rules"), ["rules", "backtest", *map(str, arguments), "-o", "json"], catch_exceptions=False
    )


def backtest(*arguments: str | Path) -> dict[str, dict[str, Any]]:
    return {row["rule_id"]: row for row in json.loads(run(*arguments).stdout)}


def by(name: str) -> dict[str, Any]:
    arn = f"arn:aws:iam::111122223333:user/{name}"
    return {"type": "IAMUser", "arn": arn, "userName": name, "principalId": f"AIDA{name}"}


def test_matches_fold_into_alerts_as_they_would_have_in_the_stream(tmp_path: Path) -> None:
    times = [0, 1, 50, 1, 70, 200]  # minutes; the fourth is a redelivery
    events = [call(n, "StopLogging", userIdentity=by("mallory")) for n in times]
    events += [call(10_000, "StopLogging", userIdentity=by("eve"), eventTime="2026-03-01T00:05:00Z")]
    events += [call(10_001, "StopLogging", userIdentity=by("eve"), eventTime="never")]
    (tmp_path / "trail.ndjson").write_bytes(lines(events))
    row = backtest(rules(tmp_path / "rules"), tmp_path / "trail.ndjson")["test-trail-stopped"]
    # The window is an hour from the first member: minutes 0, 1, 50; then 70; then 200; and one of eve.
    assert (row["matches"], row["actions"], row["alerts"], row["undated"]) == (8, 6, 4, 1)
    assert row["first"] == "2026-03-01T00:00:00.000Z"
    assert row["last"] == "2026-03-01T03:20:00.000Z"
    assert [(one["principal"], one["alerts"], one["matches"]) for one in row["by_principal"]] == [
        ("mallory", 3, 6),
        ("eve", 1, 2),  # the one without a time is of no alert, and still of a principal
    ]


def test_a_rule_that_would_have_been_silent_is_listed(tmp_path: Path) -> None:
    (tmp_path / "trail.ndjson").write_bytes(lines([call(0, "GetObject")]))
    rows = backtest(rules(tmp_path / "rules"), tmp_path / "trail.ndjson")
    assert {row["alerts"] for row in rows.values()} == {0}
    assert len(rows) == 2
    assert rows["test-trail-stopped"]["first"] is None


def test_a_shipped_rule_is_named_by_its_id_and_the_range_is_one_of_event_time(tmp_path: Path) -> None:
    (tmp_path / "trail.ndjson").write_bytes(lines([call(n * 120, "StopLogging") for n in range(5)]))
    rows = backtest(
        "aws-trail-stopped", tmp_path / "trail.ndjson", "--from", "2026-03-01T01:00:00Z", "--to", "2026-03-01T05:00:00Z"
    )
    assert rows["aws-trail-stopped"]["alerts"] == 2


def test_an_unknown_rule_and_no_input_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not in force"):
        backtest("no-such-rule", tmp_path)
    with pytest.raises(ConfigError, match="none is given"):
        backtest("aws-trail-stopped")


def test_alerts_and_matches_are_counted_per_day(tmp_path: Path) -> None:
    day = 24 * 60
    times = [0, 1, day, 2 * day, 2 * day + 120]
    (tmp_path / "trail.ndjson").write_bytes(lines([call(n, "StopLogging") for n in times]))
    row = backtest(rules(tmp_path / "rules"), tmp_path / "trail.ndjson")["test-trail-stopped"]
    assert [(one["day"], one["alerts"], one["matches"]) for one in row["by_day"]] == [
        ("2026-03-01", 1, 2),
        ("2026-03-02", 1, 1),
        ("2026-03-03", 2, 2),
    ]
    rows = json.loads(run(tmp_path / "rules", tmp_path / "trail.ndjson", "--per-day").stdout)
    assert [(one["day"], one["alerts"]) for one in rows] == [("2026-03-01", 1), ("2026-03-02", 1), ("2026-03-03", 2)]


def test_correlations_are_judged_and_each_of_their_alerts_counts_once(tmp_path: Path) -> None:
    (tmp_path / "often.yml").write_text(OFTEN, "utf-8")
    (tmp_path / "trail.ndjson").write_bytes(lines([call(n, "StopLogging") for n in (0, 1, 2, 3, 300, 301, 302, 900)]))
    rows = backtest(tmp_path / "often.yml", tmp_path / "trail.ndjson")
    assert set(rows) == {"test-stopped-often"}  # the rule of the same file is silent
    row = rows["test-stopped-often"]
    assert (row["alerts"], row["first"], row["last"]) == (2, "2026-03-01T00:02:00.000Z", "2026-03-01T05:02:00.000Z")


def test_a_shipped_correlation_is_named_by_its_id_and_comes_with_what_it_builds_upon(tmp_path: Path) -> None:
    (tmp_path / "trail.ndjson").write_bytes(lines([call(0, "GetObject")]))
    assert backtest("aws-many-secrets-read", tmp_path / "trail.ndjson").keys() == {"aws-many-secrets-read"}


@pytest.mark.parametrize(
    ("events", "counts", "code"),
    [
        ([0, 1, 300], (0, 0, 2), Exit.OK),
        ([0, 1, 300, 600], (1, 0, 2), Exit.FINDINGS),
        ([300], (0, 1, 1), Exit.FINDINGS),
        ([1, 300], (1, 1, 1), Exit.FINDINGS),
    ],
)
def test_an_outcome_is_compared_alert_by_alert_with_the_expected_one(
    tmp_path: Path, events: list[int], counts: tuple[int, int, int], code: Exit
) -> None:
    before, after, saved = tmp_path / "before.ndjson", tmp_path / "after.ndjson", tmp_path / "saved.jsonl"
    before.write_bytes(lines([call(n, "StopLogging") for n in (0, 1, 300)]))
    after.write_bytes(lines([call(n, "StopLogging") for n in events]))
    assert run(rules(tmp_path / "rules"), before, "--save", saved).exit_code == Exit.OK
    result = run(tmp_path / "rules", after, "--expect", saved)
    rows = {row["rule_id"]: row for row in json.loads(result.stdout)}
    row = rows["test-trail-stopped"]
    assert (row["new"], row["gone"], row["same"]) == counts
    assert len(row["changes"]) == counts[0] + counts[1]
    assert result.exit_code == code
    assert f"{counts[0]} new, {counts[1]} gone, {counts[2]} the same" in result.stderr


def test_alerts_of_a_rule_that_is_no_more_are_gone(tmp_path: Path) -> None:
    trail, saved = tmp_path / "trail.ndjson", tmp_path / "saved.jsonl"
    trail.write_bytes(lines([call(0, "StopLogging")]))
    run(rules(tmp_path / "rules"), trail, "--save", saved)
    (tmp_path / "rules" / "stopped.yml").unlink()
    rows = backtest(tmp_path / "rules", trail, "--expect", saved)
    assert (rows["test-trail-stopped"]["gone"], rows["test-trail-stopped"]["alerts"]) == (1, 0)


@pytest.mark.parametrize("text", ["", "[]\n", '{"kind": "other"}\n', "no json\n", '{"kind": "skytrail-backtest"}\n'])
def test_a_file_that_is_no_outcome_is_refused_before_anything_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "saved.jsonl").write_text(text)
    with pytest.raises(ConfigError, match="it is none"):
        run(rules(tmp_path / "rules"), tmp_path, "--expect", tmp_path / "saved.jsonl")
