"""`skytrail collect`: run a collector of the settings."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.context import context_of
from skytrail.cli.output import say
from skytrail.collecting import run_collector


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(collect)


def collect(context: typer.Context, name: Annotated[str, typer.Argument(help="A collector of the settings.")]) -> None:
    """Run a collector of the settings ([collectors.NAME]) until it ends or is stopped.

    Examples:  skytrail collect trail   |   skytrail collect cluster-audit
    """
    found = context_of(context).connected(elasticsearch=False)
    if name not in found.collectors:
        known = ", ".join(found.collectors) or "none"
        raise ConfigError(
            f"looking for collector {name!r}: the settings have {known}",
            where="[collectors]",
            mend=f"add [collectors.{name}] with transport and format to skytrail.toml",
        )
    counts = asyncio.run(run_collector(name, found.collectors[name], found))
    say(f"collector {name} ended: {dataclasses.asdict(counts)}")
