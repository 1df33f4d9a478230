"""`skytrail setup`: what engines that were not started by `skytrail up` need once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from ingest.schema.errors import ConfigError
from skytrail.cli.commands.engines import prepare_engines
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_object
from skytrail.connections import DUTIES
from skytrail.local.credentials import ROLES
from skytrail.settings import Settings
from storage.index.client import connect
from storage.index.users import ensure_users, set_password
from storage.settings import Login


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(setup)


def setup(
    context: typer.Context,
    superuser_password_file: Annotated[
        Path | None, typer.Option(help="File with the superuser's password; without it no users are made.")
    ] = None,
    superuser: Annotated[str, typer.Option(help="Superuser of Elasticsearch.")] = "elastic",
    kibana_password_file: Annotated[
        Path | None, typer.Option(help="File with the password that the user kibana_system gets.")
    ] = None,
    output: OutputOption = None,
) -> None:
    """Prepare engines of your own: users and roles, topics, templates. Safe to run again.

    Users and their passwords are those of elasticsearch.bootstrap, .indexer, .alerter, .reader, .analyst,
    .retention, .eraser and .auditor in the settings.

    Examples:  skytrail setup   |   skytrail setup --superuser-password-file ./elastic.password
    """
    settings = context_of(context).connected()
    users: list[str] = []
    if superuser_password_file is not None:
        login = Login(username=superuser, password=SecretStr(_secret(superuser_password_file)))
        kibana = _secret(kibana_password_file) if kibana_password_file else ""
        users = asyncio.run(_make_users(settings, login, kibana))
    emit_object({"users": users, **asyncio.run(prepare_engines(settings))}, output)


async def _make_users(settings: Settings, superuser: Login, kibana: str) -> list[str]:
    as_superuser = settings.elasticsearch.model_copy(update={"bootstrap": superuser})
    client = connect(as_superuser, "bootstrap")
    try:
        done = await ensure_users(client, ROLES, {duty: getattr(settings.elasticsearch, duty) for duty in DUTIES})
        if kibana:
            await set_password(client, "kibana_system", kibana)
            done.append("set the password of kibana_system")
    finally:
        await client.close()
    return done


def _secret(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as exc:
        raise ConfigError(f"reading a password: {exc.strerror}", where=str(path), mend="name a readable file") from exc
