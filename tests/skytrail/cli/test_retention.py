"""`skytrail retention`: regimes, soundness of a policy, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ingest.schema.errors import ConfigError
from skytrail.cli.main import build

RUNNER = CliRunner()
POLICY = """
version = 1
name = "acme"

[[class]]
name = "cards"
datasets = ["aws.*"]
regimes = ["pci-dss"]
hot = "P6M"

[[class]]
name = "rest"
cold = "P1Y"
"""


def run(*arguments: str) -> Result:
    return RUNNER.invoke(build("retention"), ["retention", *arguments], catch_exceptions=False)


def test_regimes_are_listed_with_clause_source_and_dates() -> None:
    rows = {row["id"]: row for row in json.loads(run("regimes", "-o", "json").stdout)}
    assert rows["pci-dss-4.0.1-10.5.1"]["minimum_hot"] == "P3M"
    assert rows["omb-m-21-31"]["valid_to"] == "2026-05-22"
    assert rows["omb-m-21-31"]["superseded_by"] == "omb-m-26-14"
    assert all(row["clause"] and row["source_url"] for row in rows.values())
    current = {row["id"] for row in json.loads(run("regimes", "--current", "-o", "json").stdout)}
    assert "omb-m-21-31" not in current
    assert "omb-m-26-14" in current


def test_a_sound_policy_is_shown_with_the_rows_of_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "retention.toml"
    path.write_text(POLICY, "utf-8")
    result = run("check", str(path), "-o", "json")
    assert result.exit_code == 0
    first, second = json.loads(result.stdout)
    assert (first["class"], first["hot"], first["rows"]) == ("cards", "P6M", ["pci-dss-4.0.1-10.5.1"])
    assert (second["class"], second["cold"], second["rows"]) == ("rest", "P1Y", [])


def test_a_period_below_a_minimum_is_refused_with_both_named(tmp_path: Path) -> None:
    path = tmp_path / "retention.toml"
    path.write_text(POLICY.replace('hot = "P6M"', 'hot = "P1M"'), "utf-8")
    with pytest.raises(ConfigError, match=r"hot of class 'cards' \(P1M\).*pci-dss-4.0.1-10.5.1 \(P3M\)"):
        run("check", str(path))


def test_without_a_policy_the_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"retention\.policy_file"):
        run("check")
