"""`skytrail people`: keys with which people ask and approve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skytrail.cli.output import OutputOption, emit_object, say
from storage.retention.people import made


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Keys of the people who ask and approve.", no_args_is_help=True)
    group.command("key")(people_key)
    app.add_typer(group, name="people")


def people_key(
    name: Annotated[str, typer.Argument(help="Name of the key, such as alice.example.org.")],
    out: Annotated[Path, typer.Option(help="File for the private key; it must not exist.")],
    output: OutputOption = None,
) -> None:
    """Make the key of a person: a private file of mode 0600, and the verifier key for [people] of the policy.

    Everybody makes their own, on a machine of their own: two keys in one hand are one person.

    Examples:  skytrail people key alice.example.org --out ~/.skytrail/alice.pem
    """
    signer = made(name, out)
    emit_object({"name": name, "vkey": str(signer.key), "key_file": str(out)}, output)
    say(f'Next: put it into the policy: [people] {name.partition(".")[0]} = "…", then `skytrail retention adopt`')
