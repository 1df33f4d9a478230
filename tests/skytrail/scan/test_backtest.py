"""What rules would have alerted on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from ingest.schema.errors import ConfigError
from skytrail.cli.main import build
from tests.skytrail.scan.events import call, lines, rules

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("SKYTRAIL_STATE_DIR", str(tmp_path / "state"))
    yield
    structlog.reset_defaults()


def backtest(*arguments: str | Path) -> dict[str, dict[str, Any]]:
    result = RUNNER.invoke(build(), ["rules", "backtest", *map(str, arguments), "-o", "json"], catch_exceptions=False)
    return {row["rule_id"]: row for row in json.loads(result.stdout)}


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
