"""`skytrail bench latency`: how long an alert takes while everything runs on this machine."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated

import msgspec
import typer

from skytrail.bench import latency
from skytrail.bench.machine import this_machine
from skytrail.cli.commands.bench import group, own_engines, telling
from skytrail.cli.context import context_of
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say
from skytrail.demo.processes import Processes
from skytrail.settings import environment_without_settings

ROLES = ("seal", "detect", "index")


def register(_: typer.Typer) -> None:
    """Add the command to the group `bench`."""
    group.command("latency")(bench_latency)


def bench_latency(
    context: typer.Context,
    rate: Annotated[int, typer.Option(min=100, help="Events a second.")] = 5000,
    seconds: Annotated[int, typer.Option(min=10, help="For so long, after ten seconds of warm-up.")] = 60,
    output: OutputOption = None,
) -> None:
    """Milliseconds from an event to its alert at a steady rate, engines and all roles on this machine.

    Starts engines and roles of its own and removes them with all they hold. An event that is sent late counts from when
    it was due.

    Examples:  skytrail bench latency   |   skytrail bench latency --rate 2000 --seconds 120 -o json
    """
    machine = this_machine()
    say(f"Machine: {machine}")
    directory = context_of(context).settings.state_dir / "bench"
    with telling() as tell, own_engines(directory, tell) as (settings, _):
        processes = Processes(directory / "logs", environment_without_settings())
        config = directory / "skytrail.toml"
        config.write_bytes(msgspec.toml.encode({"state_dir": str(directory)}))
        try:
            for role in ROLES:
                processes.start(role, ["--config", str(config), "worker", role])
            result = asyncio.run(latency.measure(settings.kafka, rate, seconds, processes.check, tell))
        finally:
            processes.stop()
    row = dataclasses.asdict(result)
    if chosen(output) is Output.JSON:
        emit_object({"machine": dataclasses.asdict(machine), "results": [row]}, output)
    else:
        emit_rows([row], output, columns=tuple(row), title="From an event to its alert")
