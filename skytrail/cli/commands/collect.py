"""`skytrail collect`: run a collector of the settings."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated

import typer

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
    collector = found.collector(name)
    counts = asyncio.run(run_collector(name, collector, found))
    say(f"collector {name} ended: {dataclasses.asdict(counts)}")
