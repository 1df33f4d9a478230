"""`skytrail status` and `skytrail topics`."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer

from ingest.formats.registry import all_formats
from ingest.schema.errors import ConfigError, IndexUnavailable
from skytrail.cli.context import Context, context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say
from storage.index.client import connect
from storage.index.visibility import make_visible
from streams.rotation import FAILED, RotationReport, read_rotation
from streams.status import Status, read_status, wait_until_caught_up
from streams.topic_admin import ensure_topics
from streams.topics import all_topics

COLUMNS = (
    *("namespace", "format", "collector", "received", "indexed", "duplicate", "dead_lettered", "filtered"),
    *("sealed", "evaluated", "residue"),
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(status)
    app.command()(topics)


def status(
    context: typer.Context,
    wait: Annotated[bool, typer.Option("--wait", help="Return when every role has caught up.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most; then exit 1.")] = 120.0,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Only this namespace.")] = None,
    output: OutputOption = None,
) -> None:
    """Show what became of every record: per source and role, lag, residue.

    At rest the residue is 0: received = indexed + duplicate + dead-lettered + filtered, sealed = received.

    Examples:  skytrail status   |   skytrail status --wait --timeout 60   |   skytrail status -o json
    """
    kafka = context_of(context).connected(elasticsearch=False).kafka
    formats = list(all_formats())
    if wait:
        found = asyncio.run(wait_until_caught_up(kafka, formats, timeout_s=timeout, namespace=namespace))
        asyncio.run(_visible(context_of(context), namespace))
    else:
        found = asyncio.run(read_status(kafka, formats, namespace))
    show(found, output, asyncio.run(read_rotation(kafka)))
    if wait and not found.caught_up:
        say(f"not caught up after {timeout:g} s: lag {dict(found.lag)}, residue {found.totals['residue']}")
        say("next: are all roles running? `skytrail worker seal|detect|index`; their logs say what they wait for")
        raise typer.Exit(Exit.FINDINGS)


async def _visible(context: Context, namespace: str | None) -> None:
    """What was waited for shall be found by a search right afterwards, where this machine may search at all."""
    try:
        client = connect(context.connected(kafka=False).elasticsearch, "reader")
    except ConfigError as exc:
        say(f"note: a search may not find the newest documents yet: {exc.what}")
        return
    try:
        await make_visible(client, namespace)
    except IndexUnavailable as exc:
        say(f"warning: {exc}")
    finally:
        await client.close()


def show(found: Status, output: OutputOption, rotation: RotationReport | None = None) -> None:
    """Print a status: one object for json, one row a source otherwise."""
    if chosen(output) is Output.JSON:
        emit_object(as_dict(found, rotation), output)
        return
    emit_rows((row(s) for s in as_dict(found)["sources"]), output, columns=COLUMNS)
    say(
        f"lag (messages): {dict(found.lag)}   residue: {found.totals['residue']}   equivocations: {found.equivocations}"
    )
    for line in warnings_of(rotation) if rotation else ():
        say(line)


def warnings_of(rotation: RotationReport) -> Iterator[str]:
    """What the worker that rotates wants people to know, a line each."""
    for disk in rotation.disks:
        if disk.warning:
            yield f"warning: the disk of Elasticsearch's node {disk.node} is {disk.used_percent:g} % full"
    if rotation.outcome == FAILED:
        yield f"warning: the last round of rotation failed: {rotation.detail}"
    for plan in rotation.waiting:
        yield f"rotation: {plan.items} items of {plan.namespace} wait for people to agree: {plan.path}: {plan.why}"
    if rotation.blocked or rotation.undecided:
        yield f"rotation: {rotation.blocked} over and kept all the same, {rotation.undecided} undecided"
    if rotation.overdue_s:
        yield f"rotation: the oldest of what is left has been over for {rotation.overdue_s / 86400:.1f} days"


def as_dict(found: Status, rotation: RotationReport | None = None) -> dict[str, Any]:
    """The documented JSON of a status."""
    return {
        "schema_version": 1,
        "sources": [{**dataclasses.asdict(s), "residue": dict(s.residue)} for s in found.sources],
        "totals": dict(found.totals),
        "lag": dict(found.lag),
        "equivocations": found.equivocations,
        "caught_up": found.caught_up,
        "rotation": None if rotation is None else msgspec.to_builtins(rotation),
    }


def row(source: dict[str, Any]) -> dict[str, Any]:
    """A source as a table row: the residue of all roles as one number."""
    return {**source, "residue": sum(abs(n) for n in source["residue"].values())}


def topics(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 when something differs.")] = False,
    output: OutputOption = None,
) -> None:
    """Create the topics and say what differs from the settings.

    Examples:  skytrail topics   |   skytrail topics --check   |   skytrail topics -o json
    """
    kafka = context_of(context).connected(elasticsearch=False).kafka
    states = asyncio.run(ensure_topics(kafka, all_topics(list(all_formats())), apply=not check))
    rows = [
        {"topic": s.name, "partitions": s.partitions, "state": s.state, "differences": "; ".join(s.differences)}
        for s in states
    ]
    emit_rows(rows, output, columns=("topic", "partitions", "state", "differences"))
    if check and any(s.state != "same" for s in states):
        raise typer.Exit(Exit.FINDINGS)
