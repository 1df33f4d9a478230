"""`skytrail bench seal|verify|prove`: what the sealed archive costs."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from skytrail.bench import sealing, verifying
from skytrail.bench.machine import Machine, this_machine
from skytrail.cli.commands.bench import RoundsOption, group, own_engines, telling
from skytrail.cli.context import context_of
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say
from skytrail.demo.processes import Processes
from skytrail.settings import environment_without_settings


class Keys(StrEnum):
    """Under which data keys is sealed."""

    NONE = "none"
    MONTH = "month"
    PERSON = "person"


def register(_: typer.Typer) -> None:
    """Add the commands to the group `bench`."""
    group.command("seal")(bench_seal)
    group.command("verify")(bench_verify)
    group.command("prove")(bench_prove)


def bench_seal(
    context: typer.Context,
    events: Annotated[int, typer.Option(min=10_000, help="Generated events that wait in Kafka.")] = 400_000,
    keys: Annotated[Keys, typer.Option(help="In the clear, under a key per month, or one per person and month.")] = (
        Keys.NONE
    ),
    output: OutputOption = None,
) -> None:
    """Events per second that the role seal takes from Kafka into the archive and its ledger; bytes stored per event.

    Starts engines and a role of its own and removes them with all they hold.

    Examples:  skytrail bench seal   |   skytrail bench seal --keys person -o json
    """
    machine = this_machine()
    say(f"Machine: {machine}")
    directory = context_of(context).settings.state_dir / "bench"
    with telling() as tell:
        result = _seal(directory, events, keys, tell)
    _emit(machine, [dataclasses.asdict(result)], sealing.rows([result]), "Role seal, from Kafka", output)


def bench_verify(
    events: Annotated[int, typer.Option(min=1000, help="Generated events that are sealed first.")] = 400_000,
    rounds: RoundsOption = 3,
    output: OutputOption = None,
) -> None:
    """Events per second that `skytrail verify` checks, with one process and with one per core.

    Examples:  skytrail bench verify   |   skytrail bench verify --events 1000000 -o json
    """
    machine = this_machine()
    say(f"Machine: {machine}")
    with tempfile.TemporaryDirectory() as folder, telling() as tell:
        sealed = verifying.seal(Path(folder), events, tell)
        processes = sorted({1, os.cpu_count() or 1})
        found = [dataclasses.asdict(each) for each in verifying.verify(sealed, processes, rounds, tell)]
    _emit(machine, found, found, "Verifying, best round, on the clock", output)


def bench_prove(
    events: Annotated[int, typer.Option(min=1000, help="Generated events that are sealed first.")] = 100_000,
    proofs: Annotated[int, typer.Option(min=10, help="Events that are proven, chosen at random.")] = 200,
    output: OutputOption = None,
) -> None:
    """Milliseconds that one proof of one event takes, to make and to check, and its size.

    Examples:  skytrail bench prove   |   skytrail bench prove --proofs 1000 -o json
    """
    machine = this_machine()
    say(f"Machine: {machine}")
    with tempfile.TemporaryDirectory() as folder, telling() as tell:
        sealed = verifying.seal(Path(folder), events, tell)
        found = [dataclasses.asdict(each) for each in verifying.prove(sealed, proofs, tell)]
    _emit(machine, found, found, "Proofs, on the clock", output)


def _emit(
    machine: Machine,
    results: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]],
    title: str,
    output: Output | None,
) -> None:
    if chosen(output) is Output.JSON:
        emit_object({"machine": dataclasses.asdict(machine), "results": list(results)}, output)
    else:
        emit_rows(rows, output, columns=tuple(rows[0]), title=title)


def _seal(directory: Path, events: int, keys: Keys, tell: sealing.Tell) -> sealing.Result:
    """Start engines, measure, and remove everything again, whatever happens."""
    with own_engines(directory, tell) as (settings, state):
        processes = Processes(directory / "logs", environment_without_settings())
        config = directory / "skytrail.toml"
        encryption = {} if keys is Keys.NONE else {"provider": "file", "subjects": keys is Keys.PERSON}
        config.write_bytes(msgspec.toml.encode({"state_dir": str(directory), "archive": {"encryption": encryption}}))

        def start_role() -> dict[str, int]:
            processes.start("seal", ["--config", str(config), "worker", "seal"])
            return {"role": processes.pids()["seal"], "kafka": state.pids["kafka"]}

        try:
            return asyncio.run(sealing.measure(settings, events, start_role, processes.check, tell))
        finally:
            processes.stop()
