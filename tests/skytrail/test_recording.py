"""Every use of a marked command leaves one record, however it ends."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
import typer
import typer.main

from ingest.schema.errors import ConfigError
from skytrail import recording
from skytrail.cli.context import Context, context_of
from skytrail.cli.main import build
from skytrail.recording import recorded

NEEDS_NO_RECORD = {
    "check-proof": "reads a file that somebody brings",
    "check-certificate": "the same",
    "people key": "makes the key of a person, no part of an installation",
    "collect": "its work is in the accounting and in every record that it brings",
    "ingest files": "the same",
    "worker": "a role: what it changes by itself it records itself",
    "witness serve": "answers other installations; its own log is its record",
    "version": "reads nothing",
    "config show": "shows settings, no secrets and no data",
    "doctor": "changes nothing and shows no data",
    "status": "counts only",
    "demo": "an installation of its own",
    "up": "before there is a Kafka",
    "down": "the Kafka goes away",
    "init": "before there is a Kafka",
    "topics": "before there are topics",
    "setup": "before there are topics",
    "witness init": "makes the key of a witness, no part of an installation",
    "normalise": "reads files that somebody brings",
    "scan": "the same",
    "pseudonyms subject": "computes with what somebody brings",
    "keys list": "shows public keys",
    "keys data list": "shows names and states, no keys",
    "retention regimes": "shows what the product ships",
    "retention check": "reads a file that somebody brings",
    "onboard": "prints files",
    "report kinds": "shows what the product ships",
    "report verify": "reads files that somebody brings",
    "bench": "works on made-up data",
    "rules": "reads rule files; backtest and explain, which read events, are recorded",
}


def every_command(group: Any, prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, command in getattr(group, "commands", {}).items():
        inner = getattr(command, "commands", None)
        found += every_command(command, f"{prefix}{name} ") if inner else [(f"{prefix}{name}", command)]
    return found


def test_every_command_is_recorded_or_says_why_not() -> None:
    silent = [
        name
        for name, command in every_command(typer.main.get_command(build()))
        if not hasattr(command.callback, "recorded")
    ]
    unexplained = [name for name in silent if name not in NEEDS_NO_RECORD and name.split()[0] not in NEEDS_NO_RECORD]
    assert unexplained == [], "mark it with `recorded`, or say here why not"


class Installed(Context):
    """A context of an installation whose Kafka is away."""

    def __init__(self, directory: Path) -> None:
        super().__init__(None)
        self.__dict__["settings"] = type(self.plain())(state_dir=directory)

    @staticmethod
    def plain() -> Any:
        return Context(None).settings

    @property
    def is_installed(self) -> bool:
        return True


def ran(directory: Path, *words: str) -> list[dict[str, Any]]:
    """Run a command of a small program; what the journal then holds."""
    app = typer.Typer()

    @app.callback()
    def root(context: typer.Context) -> None:
        context.obj = Installed(directory)

    @app.command()
    @recorded("look", target="what", details=("why",))
    def look(context: typer.Context, what: str, why: Annotated[str, typer.Option()] = "") -> None:
        del why
        context_of(context).told["result_count"] = 3
        if what == "denied":
            raise ConfigError("looking: no")
        if what == "repeated":
            raise ConfigError("looking: 'azure://a/c?sig=secret' is none")
        if what == "findings":
            raise typer.Exit(1)
        if what == "bad":
            raise typer.Exit(2)
        if what == "interrupted":
            raise KeyboardInterrupt

    with contextlib.suppress(ConfigError, typer.Exit, KeyboardInterrupt):
        app([*words], standalone_mode=False)
    return [msgspec.json.decode(file.read_bytes()) for file in sorted((directory / "actions").iterdir())]


@pytest.mark.parametrize(
    ("what", "outcome", "reason"),
    [
        ("x", "success", ""),
        ("findings", "success", ""),
        ("bad", "failure", "exit code 2"),
        ("denied", "failure", "ConfigError: looking: no"),
        ("interrupted", "failure", "interrupted"),
    ],
)
def test_the_record_says_how_it_ended(tmp_path: Path, what: str, outcome: str, reason: str) -> None:
    (record,) = ran(tmp_path, "look", what, "--why", "case 1")
    assert (record["name"], record["kind"], record["target"]) == ("look", "access", what)
    assert (record["outcome"], record["reason"]) == (outcome, reason)
    assert record["details"] == {"why": "case 1", "result_count": 3}
    assert record["actor"] == recording.account()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("s3://key:secret@bucket/prefix", "s3://bucket/prefix"),
        ("s3://key:sec@ret@bucket/prefix", "s3://bucket/prefix"),
        ("azure://account/c?sig=secret%3D&se=2027", "azure://account/c?sig=...&se=..."),
        ("denied s3://key:secret@bucket?token=secret", "denied s3://bucket?token=..."),
        ("skytrail.raw.aws.cloudtrail.v1/0/7", "skytrail.raw.aws.cloudtrail.v1/0/7"),
        ("a=secret is no address", "a=secret is no address"),
    ],
)
def test_what_an_address_carries_beside_the_place_is_not_recorded(tmp_path: Path, given: str, kept: str) -> None:
    (record,) = ran(tmp_path, "look", given, "--why", "url:https://x.example/?a=b")
    assert record["target"] == kept
    assert record["details"]["why"] == "url:https://x.example/?a=b", "it is what was asked for"


def test_an_error_that_repeats_an_address_is_recorded_without_what_it_carries(tmp_path: Path) -> None:
    (record,) = ran(tmp_path, "look", "repeated")
    assert record["reason"] == "ConfigError: looking: 'azure://a/c?sig=...' is none"


def test_a_machine_without_an_installation_keeps_no_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installed, "is_installed", False)
    with pytest.raises(FileNotFoundError):
        ran(tmp_path, "look", "x")


def test_what_can_not_be_recorded_is_not_done(tmp_path: Path) -> None:
    (tmp_path / "actions").write_text("a file in the place of the directory")
    with pytest.raises(NotADirectoryError):
        ran(tmp_path, "look", "interrupted")
