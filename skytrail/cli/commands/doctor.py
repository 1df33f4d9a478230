"""`skytrail doctor`: looks at everything that has to be right, and says how to mend what is not."""

from __future__ import annotations

import asyncio

import typer

from skytrail.cli.check_output import show_checks
from skytrail.cli.context import Context, context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import OutputOption, progress, say
from skytrail.diagnosis.check import Check, verdict
from skytrail.diagnosis.doctor import diagnose


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
    show_checks(checks, output, ok=verdict(checks) is Exit.OK)
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
