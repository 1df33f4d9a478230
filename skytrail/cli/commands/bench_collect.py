"""`skytrail bench collect`: what the ways in cost, each beside its SDK alone."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from typing import Annotated

import typer

from ingest.schema.errors import EngineError
from ingest.settings import KafkaSettings
from skytrail.bench.collecting import Load, as_rows, measure, ways
from skytrail.bench.machine import this_machine
from skytrail.bench.samples import SEED, everyday
from skytrail.cli.commands.bench import RoundsOption, group, telling
from skytrail.cli.context import Context, context_of
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say
from skytrail.demo.delivery import CLOUDTRAIL

_PER_BODY = 100


def register(_: typer.Typer) -> None:
    """Add the command to the group `bench`."""
    group.command("collect")(bench_collect)


def bench_collect(
    context: typer.Context,
    transport: Annotated[list[str] | None, typer.Option(help="Only this one; repeatable. Default: all.")] = None,
    records: Annotated[int, typer.Option(min=1000, help="Generated CloudTrail events of one run.")] = 20_000,
    rounds: RoundsOption = 5,
    output: OutputOption = None,
) -> None:
    """Records per second and core of the transports, each beside its SDK alone, in turns.

    CPU time of this process, from opening to closing. Servers are processes of their own: moto for AWS, Azurite and the
    tests' double of Event Hubs for Azure, fake-gcs-server and a quick Pub/Sub server of ours for Google, for Kafka the
    brokers of `skytrail up` or the settings, for endpoints and syslog a sender. What is not at hand is skipped by name,
    with what installs it.

    Examples:  skytrail bench collect   |   skytrail bench collect --transport s3_sqs --records 50000 -o json
    """
    machine = this_machine()
    say(f"Machine: {machine}")
    lines = [record + b"\n" for record in everyday(CLOUDTRAIL, records, seed=SEED, end=dt.datetime.now(dt.UTC))]
    load = Load(lines, _PER_BODY, _kafka(context_of(context)))
    with telling() as tell:
        found = asyncio.run(measure(transport or list(ways()), load, rounds, tell))
    if chosen(output) is Output.JSON:
        results = list(as_rows(found))
        emit_object({"machine": dataclasses.asdict(machine), "rounds": rounds, "results": results}, output)
        return
    for row in found:
        if row.skipped:
            say(f"{row.transport} skipped: {row.skipped}")
    columns = tuple(field.name for field in dataclasses.fields(found[0]) if field.name != "skipped")
    measured = [row for row in as_rows(found) if not row["skipped"]]
    emit_rows(measured, output, columns=columns, title="CPU time of the collecting process, best round")


def _kafka(context: Context) -> KafkaSettings | None:
    try:
        return context.connected(elasticsearch=False).kafka
    except EngineError:
        return None
