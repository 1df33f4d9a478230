"""`skytrail init`: puts down a settings file and generated passwords to begin with."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.init_files import write


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(init)


def init(
    directory: Annotated[Path, typer.Argument(help="Where; made if it is not there.")] = Path(),
    host: Annotated[
        list[str] | None,
        typer.Option(help="Name or address under which API servers reach the audit webhook; repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there, passwords included.")] = False,
    output: OutputOption = None,
) -> None:
    """Write skytrail.toml, with every setting as a comment, and .env with generated passwords for docker-compose.yml.

    One setting is on: archive.encryption.provider is `file`, so a new archive is encrypted from its first segment on.

    What is there already is kept, unless --force is given. `skytrail up` without --docker needs neither file.

    Examples:  skytrail init   |   skytrail init ./deployment --host audit.example.org   |   skytrail init --force
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(
            f"making the directory: {exc.strerror}", where=str(directory), mend="choose a writable directory"
        ) from exc
    written = write(directory, now=dt.datetime.now(dt.UTC), hosts=host or (), force=force)
    emit_rows(({"file": str(one.path), "state": one.state} for one in written), output, columns=("file", "state"))
    if any(one.state == "kept" for one in written):
        say("What was there already is kept; --force overwrites it: engines that know the old passwords must be told.")
    say("The keys of the ledger are made by the first seal worker, or before by skytrail keys init: back them up")
    say("So are the keys that encrypt the archive, in <state>/datakeys: without them nobody can read it")
    say("Next: skytrail up --docker (in the directory of docker-compose.yml), or skytrail up; then skytrail doctor")
