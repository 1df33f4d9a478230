"""`skytrail onboard check` as a person and as a program calls it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import Result
from typer.testing import CliRunner

from ingest.schema.errors import ConfigError
from skytrail.cli.main import build

ONE = {"transport": "files", "format": "aws.cloudtrail", "files": {"paths": ["/"]}}
BAD = {"transport": "s3_sqs", "format": "aws.cloudtrail", "s3_sqs": {"queue_url": "trail"}}


def check(directory: Path, *arguments: str) -> Result:
    config = directory / "skytrail.toml"
    config.write_bytes(msgspec.toml.encode({"state_dir": str(directory), "collectors": {"one": ONE, "bad": BAD}}))
    command = ["--config", str(config), "onboard", "check", *arguments]
    return CliRunner().invoke(build("onboard"), command, catch_exceptions=False)


def test_what_could_not_be_asked_ends_with_its_own_code_and_the_next_step(tmp_path: Path) -> None:
    result = check(tmp_path, "one", "-o", "json")
    told = json.loads(result.stdout)
    assert result.exit_code == 5
    assert (told["schema_version"], told["collector"], told["ok"]) == (1, "one", False)
    assert [(each["name"], each["state"]) for each in told["checks"]] == [
        ("collector one", "ok"),
        ("events", "skipped"),
    ]
    assert "skytrail up" in told["checks"][1]["mend"]
    assert "run `skytrail onboard check one` again" in result.stderr


def test_what_is_wrong_is_a_row_with_its_mend(tmp_path: Path) -> None:
    result = check(tmp_path, "bad", "-o", "table")
    assert result.exit_code == 3
    assert "✗ fail" in result.stdout
    assert "set queue_url to" in result.stdout
    assert "1 fail, 1 skipped" in result.stderr


def test_a_collector_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the settings have one, bad"):
        check(tmp_path, "another")
