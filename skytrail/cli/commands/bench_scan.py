"""`skytrail bench scan`: the whole command `scan` on a generated file, beside other open Sigma engines."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from skytrail.bench.detect import material
from skytrail.bench.detect_peers import ready_peers
from skytrail.bench.machine import this_machine
from skytrail.bench.samples import SEED
from skytrail.bench.scanning import measure_scan
from skytrail.cli.commands.bench import RoundsOption, group
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say


def register(_: typer.Typer) -> None:
    """Add the command to the group `bench`."""
    group.command("scan")(bench_scan)


def bench_scan(
    events: Annotated[int, typer.Option(min=1000, help="Generated CloudTrail events, in one file.")] = 200_000,
    rules: Annotated[int, typer.Option(min=1, help="Number of rules; ours first, then synthetic ones.")] = 300,
    rounds: RoundsOption = 3,
    seed: Annotated[int, typer.Option(help="Other seeds generate other events and rules.")] = SEED,
    peers: Annotated[
        Path | None,
        typer.Option(help="Also measure tenzir, zargunlite and rsigma, installed in this directory when absent."),
    ] = None,
    output: OutputOption = None,
) -> None:
    """Time from start to end of `skytrail scan` on all cores; start, rules and output included.

    Examples:  skytrail bench scan   |   skytrail bench scan --events 500000 --peers ./peers -o json
    """
    machine = this_machine()
    say(f"Machine: {machine}")
    given = material(events, rules, [], seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        home = peers or Path(folder)
        others = ready_peers(home, say) if peers else []
        found = measure_scan(given, home, others, size=rules, rounds=rounds, tell=say)
    rows = [dataclasses.asdict(row) for row in found]
    if chosen(output) is Output.JSON:
        whole = {"machine": dataclasses.asdict(machine), "rounds": rounds, "seed": seed, "results": rows}
        emit_object(whole, output)
    else:
        emit_rows(rows, output, columns=tuple(rows[0]), title="The whole command, best round")
