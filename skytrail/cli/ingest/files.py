"""`skytrail ingest files`: publish files and standard input."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from ingest.transports.contract import Place, Transport
from ingest.transports.files.transport import FilesTransport
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_object, say
from skytrail.collecting import checked_collector, run_collector


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("files")(ingest_files)


def ingest_files(
    context: typer.Context,
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Files, directories, globs, or - for stdin.")],
    format_name: Annotated[str, typer.Option("--format", help="Format of the files, or auto.")],
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
    settings = checked_collector(transport="files", format=format_name, namespace=namespace)

    async def one_off(place: Place) -> Transport:
        return FilesTransport(
            tuple(paths),
            place,
            follow=follow,
            checkpoint_file=checkpoint or (place.state_dir / "checkpoints" / f"{name}.json" if follow else None),
        )

    counts = asyncio.run(run_collector(name, settings, found, opener=one_off))
    emit_object(dataclasses.asdict(counts), output)
    say("Next: skytrail status --wait")
