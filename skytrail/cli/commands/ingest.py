"""`skytrail ingest …`: bring logs in once. Each file of `skytrail/cli/ingest` is a command of it."""

from __future__ import annotations

import importlib
import pkgutil

import typer

from skytrail.cli import ingest


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Bring logs in once.", no_args_is_help=True)
    for entry in sorted(pkgutil.iter_modules(ingest.__path__), key=lambda e: e.name):
        importlib.import_module(f"{ingest.__name__}.{entry.name}").register(group)
    app.add_typer(group, name="ingest")
