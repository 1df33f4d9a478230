"""`skytrail demo`."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Annotated, Any

import typer

from skytrail.cli.commands.alerts import alert_row, read_alerts
from skytrail.cli.commands.engines import prepare_engines
from skytrail.cli.commands.status import COLUMNS, as_dict, row
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, progress, say
from skytrail.collecting import run_collector
from skytrail.demo import run
from skytrail.demo.day import SEED, Day
from skytrail.demo.processes import Processes
from storage.index.search import Query

SEVERITIES = ("critical", "high", "medium", "low", "informational", "info")
ALERTS_SHOWN = 30


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    context: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Leave engines and roles running.")] = False,
    seed: Annotated[int, typer.Option(help="Another day: same seed, same events.")] = SEED,
    output: OutputOption = None,
) -> None:
    """Show everything in about a minute: real Kafka and Elasticsearch, a generated day, alerts, accounting, archive.

    Examples:  skytrail demo   |   skytrail demo --keep   |   skytrail demo -o json
    """
    began = time.monotonic()
    user = context_of(context).settings
    with progress() as display:
        tasks: dict[str, Any] = {}

        def tell(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = display.add_task(label, total=total or None, note="")
            display.update(tasks[label], completed=done, total=total or None)

        say("Starting a real Kafka and a real Elasticsearch of the demo's own (the first time they are resolved)")
        this, day = run.start_engines(user, tell, seed)
        processes = run.new_processes(this)
        try:
            proof, found = asyncio.run(_road(this, day, processes))
        except BaseException:
            processes.stop()
            run.stop(this, processes, keep=False)
            raise
        run.stop(this, processes, keep=keep)
    this.phases["total"] = round(time.monotonic() - began, 1)
    _report(this, proof, found, output, keep=keep, processes=processes)
    if proof.status.totals["residue"] or proof.findings:
        raise typer.Exit(Exit.FINDINGS)


async def _road(this: run.Demo, day: Day, processes: Processes) -> tuple[run.Proof, list[Any]]:
    with this.phase("prepare"):
        await prepare_engines(this.settings)
        endpoint = run.start_roles(this, processes)
    await run.feed(this, day, endpoint, lambda: run_collector(run.TRAIL, run.trail_settings(this), this.settings))
    status = await run.follow(this, day, processes)
    found = await read_alerts(this.settings.elasticsearch, Query(namespace=run.NAMESPACE))
    return run.prove(this, day, status), found


def as_json(this: run.Demo, proof: run.Proof, found: list[Any]) -> dict[str, Any]:
    """The documented object of `-o json`."""
    totals = proof.status.totals
    names = ("received", "indexed", "duplicate", "dead_lettered", "filtered", "sealed", "residue")
    return {
        "accounting": {name: totals[name] for name in names},
        "alerts": [
            {key: alert_row(a)[key] for key in ("rule_id", "severity", "principal", "reason", "count")} for a in found
        ],
        "archive": {
            "segments": proof.summary.segments,
            "records": proof.summary.records,
            "ok": not proof.findings,
        },
        "seconds": this.phases,
    }


def _report(
    this: run.Demo,
    proof: run.Proof,
    found: list[Any],
    output: Output | None,
    *,
    keep: bool,
    processes: Processes,
) -> None:
    if chosen(output) is not Output.TABLE:
        emit_object(as_json(this, proof, found), output)
    else:
        _tables(this, proof, found)
    if keep:
        say(f"Left running: {processes.pids()}; settings: {this.directory / 'skytrail.toml'}")
        say(f"Use it:  SKYTRAIL_CONFIG={this.directory / 'skytrail.toml'} skytrail alerts list")


def _tables(this: run.Demo, proof: run.Proof, found: list[Any]) -> None:
    emit_rows(
        (row(source) for source in as_dict(proof.status)["sources"]),
        Output.TABLE,
        columns=COLUMNS,
        title="What became of every record",
    )
    rows = sorted(map(alert_row, found), key=lambda r: (SEVERITIES.index(r["severity"]), r["time"]))
    emit_rows(
        rows[:ALERTS_SHOWN],
        Output.TABLE,
        columns=("time", "severity", "count", "title", "reason"),
        title="Alerts, the gravest first",
    )
    by = Counter(r["severity"] for r in rows)
    say(f"{len(rows)} alerts: " + ", ".join(f"{by[s]} {s}" for s in SEVERITIES if by[s]))
    summary = proof.summary
    verdict = "clean" if not proof.findings else f"{len(proof.findings)} FINDINGS: {proof.findings[0]}"
    say(f"Archive: {summary.records:,} records in {summary.segments} segments re-derived from their bytes: {verdict}")
    say(f"Residue: {proof.status.totals['residue']} (every record is indexed, a duplicate, or a dead letter)")
    say("Seconds: " + ", ".join(f"{name} {seconds:g}" for name, seconds in this.phases.items()))
    say(
        "Next:  skytrail demo --keep   (then skytrail search, alerts show ID, dead-letters list)\n"
        "       skytrail up            (engines for your own logs)\n"
        "       skytrail ingest files PATH --format aws.cloudtrail"
    )
