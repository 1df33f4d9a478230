"""`skytrail init`, `config show`, `version`, and what `doctor` and `dead-letters` refuse before they connect."""

from __future__ import annotations

import json
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from ingest.schema.errors import ConfigError
from skytrail.cli.main import build, first_word

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings of this machine, and a state directory without engines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("SKYTRAIL_STATE_DIR", str(tmp_path / "state"))
    yield
    structlog.reset_defaults()  # the command logged to a stream that is closed now


def run(*arguments: str) -> str:
    result = RUNNER.invoke(build(first_word(arguments)), arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_init_writes_valid_settings_and_private_passwords_and_never_overwrites_them(tmp_path: Path) -> None:
    where = tmp_path / "new" / "place"
    rows = json.loads(run("init", str(where), "-o", "json"))
    assert [(Path(row["file"]).name, row["state"]) for row in rows] == [
        (".env", "written"),
        ("skytrail.toml", "written"),
    ]
    first = (where / ".env").read_text()
    assert stat.S_IMODE((where / ".env").stat().st_mode) == 0o600
    assert tomllib.loads((where / "skytrail.toml").read_text()) is not None
    kept = json.loads(run("init", str(where), "-o", "json"))
    assert {row["state"] for row in kept} == {"kept"}
    assert (where / ".env").read_text() == first
    run("init", str(where), "--force", "-o", "json")
    assert (where / ".env").read_text() != first


def test_init_says_why_a_place_can_not_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="making the directory"):
        run("init", str(tmp_path / "file" / "below"))


def test_config_show_masks_secrets_and_tells_where_values_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "skytrail.toml").write_text('[kafka]\nusername = "me"\npassword = "hidden1"\nlinger_ms = 7\n')
    monkeypatch.setenv("SKYTRAIL_KAFKA__LINGER_MS", "9")
    monkeypatch.setenv("SKYTRAIL_ELASTICSEARCH__READER__PASSWORD", "hidden2")
    text = run("config", "show", "--origin", "-o", "json")
    rows = {row["name"]: row for row in json.loads(text)}
    assert "hidden" not in text
    assert rows["kafka.username"]["origin"] == "skytrail.toml"
    assert (rows["kafka.linger_ms"]["value"], rows["kafka.linger_ms"]["origin"]) == (9, "environment")
    assert rows["elasticsearch.reader.password"]["origin"] == "environment"
    assert rows["kafka.partitions"]["origin"] == "default"
    whole = json.loads(run("config", "show", "-o", "json"))
    assert whole["kafka"]["password"] == "**********"


def test_version_names_the_rule_set_and_the_libraries() -> None:
    found = json.loads(run("version", "-o", "json"))
    assert found["rules"] > 0
    assert len(found["ruleset"]) == 12
    assert found["dependencies"]["faust-streaming"]


def test_doctor_ends_with_3_and_one_json_document_when_nothing_was_started() -> None:
    result = RUNNER.invoke(build("doctor"), ["doctor", "-o", "json"])
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"]) == (3, False)
    assert {"name", "state", "found", "mend", "denied"} == set(found["checks"][0])


@pytest.mark.parametrize("arguments", [[], ["abc", "--all"], ["abc", "--stage", "index"]])
def test_redrive_needs_either_ids_or_all(arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match="redriving dead letters"):
        run("dead-letters", "redrive", *arguments)
