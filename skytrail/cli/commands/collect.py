"""`skytrail ingest files` and `skytrail collect`: bring logs in."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from ingest.backoff import Backoff
from ingest.collector import Collector, Counts, Identity, Limits
from ingest.formats.registry import format_named
from ingest.publisher import KafkaPublisher
from ingest.schema.errors import ConfigError, SkytrailError
from ingest.settings import CollectorSettings
from ingest.transports.contract import Place, Transport
from ingest.transports.files import FilesTransport
from ingest.transports.registry import open_transport
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_object, progress, say
from skytrail.settings import Settings
from storage.archive.objects import put_object
from storage.archive.stores.filesystem import FilesystemStore
from streams.topics import DEAD_LETTERS, raw_topic

Opener = Callable[[Place], Awaitable[Transport]]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Bring logs in once.", no_args_is_help=True)
    group.command("files")(ingest_files)
    app.add_typer(group, name="ingest")
    app.command()(collect)


def ingest_files(
    context: typer.Context,
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Files, directories, globs, or - for stdin.")],
    format_name: Annotated[str, typer.Option("--format", help="Format of the files, e.g. aws.cloudtrail.")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Tenant or unit.")] = "default",
    name: Annotated[str, typer.Option("--name", help="Name of this source in the accounting.")] = "files",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Watch for new files and lines.")] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Keep progress here, and go on there next time. Default with --follow only.")
    ] = None,
    output: OutputOption = None,
) -> None:
    """Publish files; returns when the brokers have every record of them.

    Without --checkpoint a second run publishes the same records again; they are counted as duplicates.

    Examples:  skytrail ingest files ./AWSLogs --format aws.cloudtrail
               cat audit.log | skytrail ingest files - --format kubernetes.audit
    """
    found = context_of(context).connected(elasticsearch=False)
    settings = _checked(transport="files", format=format_name, namespace=namespace)

    async def one_off(place: Place) -> Transport:
        return FilesTransport(
            tuple(paths),
            place,
            follow=follow,
            checkpoint_file=checkpoint or (place.state_dir / "checkpoints" / f"{name}.json" if follow else None),
            poll_interval_s=settings.files.poll_interval_s,
            max_body_bytes=settings.max_inflated_bytes,
        )

    counts = asyncio.run(run_collector(name, settings, found, opener=one_off))
    emit_object(dataclasses.asdict(counts), output)
    say("Next: skytrail status --wait")


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


async def run_collector(
    name: str, settings: CollectorSettings, found: Settings, *, opener: Opener | None = None
) -> Counts:
    """Run one collector to its end, or until SIGTERM or SIGINT; progress on stderr.

    Args:
        opener: Opens the transport; None: as the settings say.

    Raises:
        SkytrailError: As the transport and the format say.
    """
    store = FilesystemStore(found.archive_dir)
    place = Place(name, found.state_dir, _warn, lambda: dt.datetime.now(dt.UTC))
    identity = Identity(name, settings.namespace, format_named(settings.format))
    publisher = KafkaPublisher(found.kafka, raw_topic=raw_topic, dead_letter_topic=DEAD_LETTERS)
    transport = await (opener(place) if opener else open_transport(settings, place))
    with progress() as display:
        task = display.add_task(f"{name}: {settings.format}", total=None, note="")

        def tell(counts: Counts) -> None:
            note = f"{counts.received:,} records, {counts.dead_lettered} refused, {counts.bytes / 1e6:.1f} MB"
            display.update(task, completed=counts.bodies, note=note)

        collector = Collector(
            identity,
            transport,
            publisher,
            put_object=lambda namespace, body: put_object(store, namespace, body),
            clock=lambda: dt.datetime.now(dt.UTC),
            limits=Limits(max_inflated_bytes=settings.max_inflated_bytes),
            backoff=Backoff(on_alarm=lambda error, seconds: say(f"waiting for {seconds:.0f} s: {error}")),
            on_progress=tell,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, collector.stop)
        try:
            return await collector.run()
        finally:
            await publisher.close()


def _warn(error: SkytrailError) -> None:
    say(f"warning: {error}")


def _checked(**values: object) -> CollectorSettings:
    try:
        return CollectorSettings.model_validate(values)
    except ValueError as exc:
        problems = "; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in getattr(exc, "errors", list)())
        raise ConfigError(f"reading options: {problems or exc}", mend="correct the option; see --help") from exc
