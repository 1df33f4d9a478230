"""`skytrail doctor`: looks at everything that has to be right, and says how to mend what is not."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from typing import Any

import typer

from skytrail.cli.context import Context, context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, progress, say
from skytrail.diagnosis.check import Check, verdict
from skytrail.diagnosis.doctor import diagnose

COLUMNS = ("state", "name", "found", "mend")
SIGNS = {"ok": "✓ ok", "warn": "! warn", "fail": "✗ fail", "skipped": "- skipped"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(context: typer.Context, output: OutputOption = None) -> None:
    """Check settings, disks, ledger, rules, collectors, engines, Kafka, topics, roles, Elasticsearch, rights, clocks.

    Nothing is changed. What an identity must not be able to do is attempted, at an index that can't exist. Exit 0 when
    nothing failed (warnings are fine), 3 when something did, 4 when all that failed is that we are not let in.

    Examples:  skytrail doctor   |   skytrail doctor -o json   |   skytrail doctor -o jsonl | grep '"fail"'
    """
    checks = asyncio.run(_checked(context_of(context)))
    _show(checks, output)
    counts = Counter(check.state for check in checks)
    say(", ".join(f"{counts[state]} {state}" for state in ("ok", "warn", "fail", "skipped") if counts[state]))
    if code := verdict(checks):
        say("next: mend the first fail, then run `skytrail doctor` again")
        raise typer.Exit(code)


async def _checked(context: Context) -> list[Check]:
    checks = []
    with progress() as display:
        task = display.add_task("looking", total=None, note="")
        async for check in diagnose(lambda: context.settings):
            checks.append(check)
            display.update(task, completed=len(checks), note=check.name)
    return checks


def _show(checks: list[Check], output: OutputOption) -> None:
    match chosen(output):
        case Output.JSON:
            code = verdict(checks)
            rows = [dataclasses.asdict(check) for check in checks]
            emit_object({"schema_version": 1, "ok": code is Exit.OK, "checks": rows}, output)
        case Output.TABLE:
            emit_rows(map(_row, checks), output, columns=COLUMNS)
        case _:
            emit_rows(map(dataclasses.asdict, checks), output, columns=("name", "state", "found", "mend", "denied"))


def _row(check: Check) -> dict[str, Any]:
    severity = {"fail": "high", "warn": "medium"}.get(check.state, "")
    return {**dataclasses.asdict(check), "state": SIGNS[check.state], "severity": severity}
