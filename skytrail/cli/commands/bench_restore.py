"""`skytrail bench restore`: how long a worker takes over the correlations of another one."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated

import typer

from detectors.proving import OWN_RULES, no_file
from detectors.rulebook import load
from ingest.schema.errors import ConfigError
from skytrail.bench import restoring
from skytrail.bench.machine import this_machine
from skytrail.cli.commands.bench import group, own_engines, telling
from skytrail.cli.context import context_of
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say


def register(_: typer.Typer) -> None:
    """Add the command to the group `bench`."""
    group.command("restore")(bench_restore)


def bench_restore(
    context: typer.Context,
    groups: Annotated[int, typer.Option(min=1, help="Groups that are kept, of the shipped counts.")] = 20_000,
    each: Annotated[int, typer.Option(min=1, max=500, help="Signals kept per group.")] = 10,
    since: Annotated[int, typer.Option(min=0, help="Signals that came after the snapshot.")] = 15_000,
    output: OutputOption = None,
) -> None:
    """Seconds until a worker has the correlations of a partition whose worker is gone, from real brokers.

    Starts engines of its own and removes them with all they hold. Fails if what is restored differs from what was.

    Examples:  skytrail bench restore   |   skytrail bench restore --groups 40000 --since 100000 -o json
    """
    if not restoring.fits(groups, each) or since > groups * each:
        told = (
            "measuring how a state is restored: a worker keeps 400,000 signals, and no more come after than there are"
        )
        raise ConfigError(told, where=f"--groups {groups} --each {each} --since {since}", mend="choose smaller numbers")
    machine = this_machine()
    say(f"Machine: {machine}")
    correlations = restoring.valueless(load([OWN_RULES], prove=no_file).correlations)
    directory = context_of(context).settings.state_dir / "bench"
    with telling() as tell, own_engines(directory, tell) as (settings, _):
        measured = restoring.on_brokers(settings.kafka, correlations, groups, each, since, tell)
        result = dataclasses.asdict(asyncio.run(measured))
    if chosen(output) is Output.JSON:
        emit_object({"machine": dataclasses.asdict(machine), "results": [result]}, output)
    else:
        emit_rows([result], output, columns=tuple(result), title="Correlations of one partition, on the clock")
