"""`skytrail bench detect`: what the rules cost per event, and what other engines take for the same."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from skytrail.bench.detect import END, SIZES, material, measure
from skytrail.bench.detect_events import mixed
from skytrail.bench.detect_peers import PeerRow, compare
from skytrail.bench.detect_result import Result
from skytrail.bench.detect_role import measure_role
from skytrail.bench.machine import Machine, this_machine
from skytrail.bench.samples import SEED, everyday
from skytrail.cli.commands.bench import RoundsOption, group
from skytrail.cli.exits import Exit
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, progress, say
from skytrail.demo.delivery import AUDIT, CLOUDTRAIL


def register(_: typer.Typer) -> None:
    """Add the command to the group `bench`."""
    group.command("detect")(bench_detect)


def bench_detect(
    events: Annotated[int, typer.Option(min=1000, help="Generated CloudTrail events.")] = 20_000,
    rounds: RoundsOption = 7,
    most_rules: Annotated[
        int, typer.Option(min=SIZES[0], help="Largest number of rules; ours, those given, then synthetic ones.")
    ] = SIZES[-1],
    rules: Annotated[list[Path] | None, typer.Option(exists=True, help="Sigma rules to take besides ours.")] = None,
    seed: Annotated[int, typer.Option(help="Other seeds generate other events and rules.")] = SEED,
    peers: Annotated[
        Path | None,
        typer.Option(help="Also measure tenzir, zargunlite and rsigma, installed in this directory when absent."),
    ] = None,
    role: Annotated[
        bool, typer.Option("--role", help="Measure the whole role instead: from a Kafka message to detections.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Events per second of one core, from a record's bytes to the rules that hold; generated events, no engines.

    Exits 1 when the compiled engine and the interpreter disagree or a promised ratio is not kept.

    Examples:  skytrail bench detect   |   skytrail bench detect --role   |
    skytrail bench detect --rules ./sigma/rules/cloud/aws --peers ./peers -o json
    """
    machine = this_machine()
    say(f"Machine: {machine}")
    if role:
        _measure_role(machine, events, rounds, seed, output)
        return
    given = material(events, most_rules, rules or [], seed=seed)
    with progress() as display:
        task = display.add_task("measuring", total=None, note="")
        sizes = [size for size in SIZES if size <= most_rules]
        result = measure(
            given, rounds, sizes=sizes, tell=lambda done, total: display.update(task, completed=done, total=total)
        )
    beside = compare(given, peers, size=sizes[0], rounds=rounds, tell=say) if peers else []
    _emit(machine, rounds, seed, result, beside, output)
    if result.disagreements or not all(bar.kept for bar in result.bars if "target" not in bar.bar):
        raise typer.Exit(Exit.FINDINGS)


def _measure_role(machine: Machine, events: int, rounds: int, seed: int, output: Output | None) -> None:
    """With the rules that are shipped; the role takes the day of the events for the present."""
    given = {CLOUDTRAIL: mixed(events, seed=seed, end=END), AUDIT: everyday(AUDIT, events, seed=seed, end=END)}
    with progress() as display:
        task = display.add_task("measuring", total=None, note="")
        rows = measure_role(
            given,
            rounds,
            END + dt.timedelta(days=1),
            tell=lambda done, total: display.update(task, completed=done, total=total),
        )
    found = [dataclasses.asdict(row) for row in rows]
    if chosen(output) is Output.JSON:
        whole = {"machine": dataclasses.asdict(machine), "rounds": rounds, "seed": seed, "results": found}
        emit_object(whole, output)
    else:
        emit_rows(found, output, columns=tuple(found[0]), title="CPU time from a Kafka message on, best round")


def _emit(
    machine: Machine, rounds: int, seed: int, result: Result, beside: Sequence[PeerRow], output: Output | None
) -> None:
    rows = [dataclasses.asdict(row) for row in result.rows]
    bars = [dataclasses.asdict(bar) for bar in result.bars]
    others = [dataclasses.asdict(row) for row in beside]
    if chosen(output) is Output.JSON:
        whole: dict[str, Any] = dataclasses.asdict(result)
        emit_object(
            {"machine": dataclasses.asdict(machine), "rounds": rounds, "seed": seed, **whole, "peers": others}, output
        )
        return
    emit_rows(rows, output, columns=tuple(rows[0]), title="CPU time from a record's bytes on, best round")
    emit_rows(bars, output, columns=tuple(bars[0]), title="Promises")
    if others:
        shown = [{name: value for name, value in row.items() if name != "differences"} for row in others]
        emit_rows(shown, output, columns=tuple(shown[0]), title="Other engines, same records and rules")
        for row in beside:
            for title, number in row.differences.items():
                say(f"{row.engine}: {number:+} hits on {title}")
    for size, arrangement in result.arrangements.items():
        say(f"{size} rules: {arrangement}")
    for title, share in result.left_out.items():
        say(f"left out, because it fires on {share:.0%} of the events: {title}")
    say(
        f"{result.records} events of {result.record_bytes} bytes, generated and amplified from the demo's days (other "
        f"callers, calls and clients; nothing recorded); rules beyond ours and those given are synthetic; "
        f"literals are searched by {result.gate}; "
        f"{len(result.disagreements)} disagreements with the interpreter"
    )
