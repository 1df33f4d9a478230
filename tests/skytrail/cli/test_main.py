"""Composition of the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from skytrail.cli.main import build, first_word


@pytest.mark.parametrize(("word", "commands"), [("scan", {"scan"}), ("rules", {"rules"}), ("bench", {"bench"})])
def test_a_command_that_has_files_of_its_name_is_alone(word: str, commands: set[str]) -> None:
    group = typer.main.get_command(build(word))
    assert set(group.commands) == commands  # type: ignore[attr-defined]
    whole = typer.main.get_command(build())
    for name in commands:
        alone = getattr(group.commands[name], "commands", {})  # type: ignore[attr-defined]
        assert set(alone) == set(getattr(whole.commands[name], "commands", {}))  # type: ignore[attr-defined]


@pytest.mark.parametrize("word", ["", "--help", "scn", "up", "topics"])
def test_any_other_word_gets_the_whole_command_line(word: str) -> None:
    assert {"scan", "up", "topics", "demo"} <= set(typer.main.get_command(build(word)).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--config", "a.toml", "worker", "detect"], "worker"),
        (["--config=a.toml", "-v", "worker"], "worker"),
        (["scan", "--config"], "scan"),
        (["--help"], ""),
        (["--config"], ""),
        ([], ""),
    ],
)
def test_the_options_of_the_root_are_not_taken_for_a_command(arguments: list[str], word: str) -> None:
    assert first_word(arguments) == word


def test_a_scan_does_not_wait_for_clients_of_services() -> None:
    code = (
        "import sys; from skytrail.cli.main import build; build('scan'); "
        "print([name for name in ('faust', 'elasticsearch', 'boto3', 'fastapi') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
