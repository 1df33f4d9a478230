"""The option by which a command opens encrypted segments."""

from __future__ import annotations

from typing import Annotated

import typer

from skytrail.cli.context import context_of
from skytrail.data_keys import OpenedKeys, key_source

DataKeysOption = Annotated[
    bool | None,
    typer.Option(
        "--data-keys/--no-data-keys",
        help="Open encrypted segments with the data keys of the settings. Default: for the archive of the settings.",
    ),
]


def chosen_keys(context: typer.Context, archive: str | None, *, wanted: bool | None) -> OpenedKeys | None:
    """The data keys to read an archive with.

    Args:
        context: Of the command.
        archive: Another archive than that of the settings.
        wanted: What the option says.
    """
    return key_source(context_of(context).settings) if (archive is None if wanted is None else wanted) else None
