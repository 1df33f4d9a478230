"""One configuration: where values come from, and what is refused at start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingest.schema.errors import ConfigError, EngineError
from skytrail.connections import connected
from skytrail.settings import load


@pytest.fixture(autouse=True)
def nothing_else_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("SKYTRAIL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SKYTRAIL_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    settings = load()
    assert settings.kafka.partitions == 4
    assert settings.archive_dir == tmp_path / "state" / "archive"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "[kafka]\npartitions = 8\nlinger_ms = 3\n")
    monkeypatch.setenv("SKYTRAIL_KAFKA__PARTITIONS", "16")
    settings = load(path)
    assert (settings.kafka.partitions, settings.kafka.linger_ms) == (16, 3)


def test_a_file_in_the_working_directory_is_found(tmp_path: Path) -> None:
    (tmp_path / "skytrail.toml").write_text("[worker]\nmax_age_d = 30\n")
    assert load().worker.max_age_d == 30


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[kafka]\npartitons = 8\n", "kafka.partitons"),
        ("kafca = 1\n", "kafca"),
        ("[kafka]\npartitions = 0\n", "kafka.partitions"),
        ("[collectors.a]\ntransport = 'files'\n", "collectors.a.format"),
        ("[collectors.a]\ntransport = 'files'\nformat = 'x'\nnamespace = 'No-Good'\n", "collectors.a.namespace"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load(written(tmp_path, text))


@pytest.mark.parametrize("name", ["a/b", "../a", "a|b", "", "trail.closed", "a b", "a" * 101])
def test_a_name_that_could_be_a_sender_or_a_path_is_refused_for_a_collector(tmp_path: Path, name: str) -> None:
    text = f"[collectors.'{name}']\ntransport = 'files'\nformat = 'aws.cloudtrail'\nfiles = {{paths = ['/logs']}}\n"
    with pytest.raises(ConfigError, match="no name for a collector"):
        load(written(tmp_path, text))


def test_broken_toml_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"settings\.toml"):
        load(written(tmp_path, "[kafka\n"))


@pytest.mark.parametrize("name", ["SKYTRAIL_KAFKAA__PARTITIONS", "SKYTRAIL_PARTITIONS", "SKYTRAIL_KAFKA__PARTITONS"])
def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError):
        load()


def test_a_secret_never_appears_in_a_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, "[kafka]\npassword = ['hunter2hunter2']\n"))
    assert "hunter2" not in str(caught.value)


def test_clear_text_to_another_host_is_refused(tmp_path: Path) -> None:
    text = "[kafka]\nbootstrap_servers = 'kafka.example:9092'\nsecurity_protocol = 'PLAINTEXT'\n"
    with pytest.raises(ConfigError, match="unencrypted"):
        connected(load(written(tmp_path, text)), elasticsearch=False)
    allowed = connected(load(written(tmp_path, text + "allow_plaintext = true\n")), elasticsearch=False)
    assert allowed.kafka.allow_plaintext


def test_without_engines_the_next_step_is_named() -> None:
    with pytest.raises(EngineError, match="skytrail up"):
        connected(load())
