"""`skytrail onboard …` as a person and as a program calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.schema.errors import ConfigError
from skytrail.cli.main import build

ARGUMENTS = ("onboard", "aws", "--region", "eu-central-1", "--reader", "arn:aws:iam::123456789012:role/skytrail")


def test_files_go_to_stdout_and_steps_to_stderr() -> None:
    result = CliRunner().invoke(build("onboard"), ARGUMENTS, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.startswith("# ---- skytrail-cloudtrail.yaml\nAWSTemplateFormatVersion")
    assert "# ---- skytrail-collector.toml" in result.stdout
    assert result.stderr.startswith("1. apply skytrail-cloudtrail.yaml")


def test_each_call_makes_another_external_id() -> None:
    texts = {CliRunner().invoke(build("onboard"), ARGUMENTS, catch_exceptions=False).stdout for _ in range(2)}
    assert len(texts) == 2


def test_a_program_gets_files_and_steps_as_one_object() -> None:
    result = CliRunner().invoke(build("onboard"), [*ARGUMENTS, "-o", "json"], catch_exceptions=False)
    told = json.loads(result.stdout)
    assert [file["name"] for file in told["files"]] == ["skytrail-cloudtrail.yaml", "skytrail-collector.toml"]
    assert told["steps"]


def test_files_are_written_once_and_never_over_others(tmp_path: Path) -> None:
    arguments = [*ARGUMENTS, "--out", str(tmp_path / "aws")]
    assert CliRunner().invoke(build("onboard"), arguments, catch_exceptions=False).exit_code == 0
    before = (tmp_path / "aws" / "skytrail-cloudtrail.yaml").read_text("utf-8")
    with pytest.raises(ConfigError, match="one is there already"):
        CliRunner().invoke(build("onboard"), arguments, catch_exceptions=False)
    assert (tmp_path / "aws" / "skytrail-cloudtrail.yaml").read_text("utf-8") == before


def test_where_one_file_is_there_already_none_is_written(tmp_path: Path) -> None:
    (tmp_path / "skytrail-collector.toml").write_text("mine", "utf-8")
    with pytest.raises(ConfigError, match="one is there already"):
        CliRunner().invoke(build("onboard"), [*ARGUMENTS, "--out", str(tmp_path)], catch_exceptions=False)
    assert [file.name for file in tmp_path.iterdir()] == ["skytrail-collector.toml"]
