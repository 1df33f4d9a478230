"""`skytrail bench`: measures this machine, so that every figure in docs/performance.md can be made again."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from skytrail.bench import indexing, normalising
from skytrail.bench.machine import this_machine
from skytrail.bench.samples import FORMATS
from skytrail.cli.commands.engines import prepare_engines
from skytrail.cli.context import context_of
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, progress, say
from skytrail.connections import with_engines
from skytrail.demo.processes import Processes
from skytrail.local import engines, ports
from skytrail.settings import Settings, engine_cache, environment_without_settings

HEAP = engines.Heap(elasticsearch_mb=1024)
"""With the usual 512 MB Elasticsearch now and then refuses a bulk of 8 MiB (429); the role then slows down by itself,
a bare replay would be at its end."""
RoundsOption = Annotated[int, typer.Option(min=1, help="Measured rounds; contenders take turns.")]

group = typer.Typer(help="Measure this machine: what the stages of the road cost.", no_args_is_help=True)
"""The group `bench`; other files of this package add their measurements to it."""


def register(app: typer.Typer) -> None:
    """Add the group with its first commands."""
    group.command("normalise")(bench_normalise)
    group.command("index")(bench_index)
    app.add_typer(group, name="bench")


def bench_normalise(
    format_name: Annotated[str | None, typer.Option("--format", help="Only this format. Default: all.")] = None,
    events: Annotated[int, typer.Option(min=100, help="Generated everyday events per format.")] = 10_000,
    rounds: RoundsOption = 7,
    output: OutputOption = None,
) -> None:
    """Events per second of one core, from received bytes to the document, per stage; generated events, no engines.

    Examples:  skytrail bench normalise   |   skytrail bench normalise --format aws.cloudtrail -o json
    """
    machine = this_machine()
    say(f"Machine: {machine}")
    with telling() as tell:
        found = list(normalising.measure([format_name] if format_name else FORMATS, events, rounds, tell=tell))
    rows = [dataclasses.asdict(row) for row in found]
    if chosen(output) is Output.JSON:
        emit_object({"machine": dataclasses.asdict(machine), "rounds": rounds, "results": rows}, output)
    else:
        emit_rows(rows, output, columns=tuple(rows[0]), title="CPU time from a record's bytes on, best round")


def bench_index(
    context: typer.Context,
    documents: Annotated[int, typer.Option(min=1000, help="Documents of each lap.")] = 20_000,
    rounds: RoundsOption = 3,
    output: OutputOption = None,
) -> None:
    """Documents per second into Elasticsearch: a bare bulk replay beside the road Kafka, role index, Elasticsearch.

    Starts engines and a role of its own and removes them with all they hold: a second role index of the same brokers
    would share the work of yours, and the records would be sealed in your archive.

    Examples:  skytrail bench index   |   skytrail bench index --documents 100000 -o json
    """
    machine = this_machine()
    say(f"Machine: {machine}")
    directory = context_of(context).settings.state_dir / "bench"
    with telling() as tell:
        result = _on_own_engines(directory, documents, rounds, tell)
    if chosen(output) is Output.JSON:
        emit_object({"machine": dataclasses.asdict(machine), **dataclasses.asdict(result)}, output)
    else:
        rows = indexing.rows(result)
        emit_rows(rows, output, columns=tuple(rows[0]), title="Laps; processor time is per document")
    say(
        f"Bare replay {result.bare_documents_per_s:,} and whole road {result.road_documents_per_s:,} documents/s in "
        f"their best rounds; the road reaches {result.ratio:.0%} of the replay (median of {len(result.ratios)} rounds)"
    )


def _on_own_engines(directory: Path, documents: int, rounds: int, tell: indexing.Tell) -> indexing.Result:
    """Start engines and a role index, measure, and remove everything again, whatever happens."""
    with own_engines(directory, tell) as (settings, state):
        processes = Processes(directory / "logs", environment_without_settings())
        config = directory / "skytrail.toml"
        config.write_bytes(msgspec.toml.encode({"state_dir": str(directory)}))
        try:
            processes.start("index", ["--config", str(config), "worker", "index"])
            pids = {str(engine): pid for engine, pid in state.pids.items()}
            pids |= {"role": processes.pids()["index"], "bench": os.getpid()}
            measurement = indexing.Measurement(settings, pids, processes.check)
            return asyncio.run(measurement.run(documents, rounds, tell))
        finally:
            processes.stop()


@contextmanager
def own_engines(
    directory: Path, tell: Callable[[str, int, int], None]
) -> Iterator[tuple[Settings, engines.EngineState]]:
    """Engines that a measurement has for itself, ready for roles; removed with all they hold, whatever happens.

    Args:
        directory: Holds them and what the measurement writes; what lies there is removed first.
        tell: Hears about progress.
    """
    clear(directory)
    directory.mkdir(parents=True)
    try:
        state = engines.start(
            directory / "engines",
            cache=engine_cache(),
            kafka_port=ports.any_free(),
            elasticsearch_port=ports.any_free(),
            heap=HEAP,
            progress=tell,
        )
        settings = with_engines(Settings.model_construct(state_dir=directory), state)
        asyncio.run(prepare_engines(settings))
        yield settings, state
    finally:
        clear(directory)


def clear(directory: Path) -> None:
    """Remove the engines of a directory and all that is in it."""
    engines.remove(directory / "engines")
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def telling() -> Iterator[Callable[[str, int, int], None]]:
    """A progress display with one line for each label."""
    with progress() as display:
        tasks: dict[str, Any] = {}

        def tell(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = display.add_task(label, total=total or None, note="")
            display.update(tasks[label], completed=done, total=total or None)

        yield tell
