"""`skytrail onboard check`: proves a source step by step."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated

import typer

from skytrail.cli.check_output import show_checks
from skytrail.cli.commands.onboard import group
from skytrail.cli.context import Context, context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import OutputOption, progress, say
from skytrail.diagnosis.check import Check
from skytrail.onboarding.arrival import Arriving
from skytrail.onboarding.proving import Asked, prove, proven
from streams.arrivals import Arrivals, read_arrivals


def register(app: typer.Typer) -> None:
    """Add the verb to the group `onboard`."""
    del app
    group.command("check")(check)


def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A collector of the settings.")],
    wait: Annotated[float, typer.Option(help="Seconds to wait for the first event.", min=0)] = 0,
    output: OutputOption = None,
) -> None:
    """Prove a source step by step: credentials, rights, what the cloud logs, the way here, events that arrived.

    Nothing is changed. Exit 0 when all is proven (warnings are fine), 3 when something is missing, 4 when all that
    failed is that we are not let in, 5 when nothing failed but something could not be asked.

    Examples:  skytrail onboard check trail   |   skytrail onboard check trail --wait 900 -o json
    """
    checks = asyncio.run(_proven(context_of(context), name, wait))
    code = proven(checks)
    show_checks(checks, output, ok=code is Exit.OK, about={"collector": name})
    if code:
        first = "make possible what was skipped" if code is Exit.INCOMPLETE else "mend the first fail"
        say(f"next: {first}, then run `skytrail onboard check {name}` again")
        raise typer.Exit(code)


async def _proven(context: Context, name: str, wait_s: float) -> list[Check]:
    settings = context.settings
    asked = Asked(name, settings.collector(name), lambda: dt.datetime.now(dt.UTC))

    async def read() -> Arrivals:
        return await read_arrivals(context.connected(elasticsearch=False).kafka, name)

    arriving = Arriving(asked, read, wait_s, settings.watch.expected_interval_s.get(name))
    checks = []
    with progress() as display:
        task = display.add_task("proving", total=None, note="")
        async for each in prove(asked, arriving.look):
            checks.append(each)
            display.update(task, completed=len(checks), note=each.name)
    return checks
