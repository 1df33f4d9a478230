"""`skytrail up` and `skytrail down`: the engines of this machine, or of Docker Compose."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.formats.registry import all_formats
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_object, progress, say
from skytrail.connections import connected, with_engines
from skytrail.local import compose
from skytrail.local.engines import EngineState, start, status, stop
from skytrail.settings import Settings, engine_cache
from storage.index.client import connect
from storage.index.install import ensure_templates
from streams.topic_admin import ensure_topics
from streams.topics import all_topics

DockerOption = Annotated[bool, typer.Option("--docker", help="Use docker-compose.yml instead of local engines.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)


def up(context: typer.Context, docker: DockerOption = False, output: OutputOption = None) -> None:
    """Start the engines, create topics and templates. A second `up` changes nothing.

    Examples:  skytrail up   |   skytrail up --docker   |   skytrail up -o json
    """
    settings = context_of(context).settings
    if docker:
        compose.up(Path.cwd(), say)
        say("Engines are up. Next: docker compose --profile skytrail up -d --wait; docker compose run --rm cli status")
        return
    if settings.kafka.bootstrap_servers and settings.elasticsearch.url:
        say("The settings point to engines of your own: nothing to start.")
    else:
        settings = with_engines(settings, start_engines(settings.engines_home))
    report = asyncio.run(prepare_engines(connected(settings)))
    emit_object(_described(settings, report), output)
    say("Next: skytrail worker seal|detect|index (a terminal each), skytrail ingest files PATH --format F")


def down(context: typer.Context, docker: DockerOption = False, output: OutputOption = None) -> None:
    """Stop the engines that `skytrail up` started, and nothing else. Data stays.

    Examples:  skytrail down   |   skytrail down --docker
    """
    settings = context_of(context).settings
    if docker:
        compose.down(Path.cwd(), say)
        return
    running = {name: state.pid for name, state in status(settings.engines_home).items() if state.running}
    stop(settings.engines_home)
    emit_object({"stopped": running, "home": str(settings.engines_home)}, output)
    say(f"Stopped. The data stays in {settings.engines_home}; `skytrail up` brings it back.")


def start_engines(home: Path, **options: Any) -> EngineState:
    """Start local engines with a progress display on stderr."""
    with progress() as display:
        tasks: dict[str, Any] = {}

        def tell(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = display.add_task(label, total=total or None, note="")
            display.update(tasks[label], completed=done, total=total or None)

        return start(home, cache=engine_cache(), progress=tell, **options)


async def prepare_engines(settings: Settings) -> dict[str, Any]:
    """Create topics and templates; returns what was done."""
    topics = await ensure_topics(settings.kafka, all_topics(list(all_formats())))
    client = connect(settings.elasticsearch, "bootstrap")
    try:
        installed = await ensure_templates(client, settings.elasticsearch)
    finally:
        await client.close()
    return {
        "topics": {t.name: t.state for t in topics},
        "templates": installed,
        "differences": {t.name: t.differences for t in topics if t.state == "differs"},
    }


def _described(settings: Settings, report: dict[str, Any]) -> dict[str, Any]:
    engines = {
        name: {**dataclasses.asdict(state), "log": str(state.log)}
        for name, state in status(settings.engines_home).items()
    }
    return {
        "kafka": {
            "bootstrap_servers": settings.kafka.bootstrap_servers,
            "security_protocol": settings.kafka.security_protocol,
            "sasl_mechanism": settings.kafka.sasl_mechanism,
            "username": settings.kafka.username,
        },
        "elasticsearch": {"url": settings.elasticsearch.url, "reader": settings.elasticsearch.reader.username},
        "credentials_file": str(settings.engines_home / "engines.json") if engines else None,
        "engines": engines,
        **report,
    }
