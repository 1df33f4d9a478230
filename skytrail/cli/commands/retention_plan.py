"""`skytrail retention plan` and `explain`: what would happen, and why, before it does."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from pathlib import Path
from typing import Annotated

import typer

from skytrail.cli.commands.retention import group
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say
from skytrail.cli.times import moment
from skytrail.explaining import explained
from skytrail.recording import recorded
from skytrail.retaining import open_retaining, planned, row_of
from skytrail.settings import Settings
from storage.index.client import connect
from storage.retention.plan import Plan, summary_of
from storage.retention.policy import Policy, read_policy

_RUN = ("place", "first", "last", "records", "bytes")
COLUMNS = ("action", "decision", *_RUN, "class_name", "until", "because", "blocked", "note")


def register(_: typer.Typer) -> None:
    """Add the commands to the group `retention`."""
    group.command("plan")(retention_plan)
    group.command("explain")(retention_explain)


@recorded("retention.plan", details=("at", "policy", "archive_only", "out"))
def retention_plan(
    context: typer.Context,
    at: Annotated[str | None, typer.Option("--at", help="As if it were this time: ISO 8601. Default: now.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="As if this policy came into force now, instead of those of the ledger.")
    ] = None,
    archive_only: Annotated[bool, typer.Option("--archive-only", help="Leave Elasticsearch out.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 if something is in conflict, or no class speaks of it.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the plan to this file, for `retention apply`.")] = None,
    output: OutputOption = None,
) -> None:
    """Show what would be dropped, destroyed, kept or is blocked, and which rule decides; changes nothing.

    The same policy, archive, indices and time give the same plan, byte by byte. Runs of segments are told together.

    Examples:  skytrail retention plan   |   skytrail retention plan --at 2028-01-01T00:00:00Z -o json
               skytrail retention plan --policy new.toml --strict   |   skytrail retention plan --out plan.json
    """
    now = dt.datetime.now(dt.UTC)
    preview = read_policy(policy) if policy else None
    settings = context_of(context).settings
    if not archive_only:
        settings = context_of(context).connected(kafka=False)
    plan = asyncio.run(_plan(settings, moment(at, now) or now, preview, index=not archive_only))
    if out is not None:
        out.write_bytes(plan.encode())
    if chosen(output) is Output.JSON:
        sys.stdout.write(plan.encode().decode() + "\n")
    else:
        emit_rows(map(row_of, plan.items), output, columns=COLUMNS)
    counts = summary_of(plan.items)
    say(", ".join(f"{count:,} {name}" for name, count in counts.items()) + f"; as of {plan.at}")
    undecided = [item for item in plan.items if item.decision in ("CONFLICT", "UNKNOWN")]
    if undecided:
        say(f"{len(undecided):,} need a decision of yours: they are kept until the policy speaks of them")
    if strict and undecided:
        raise typer.Exit(Exit.FINDINGS)


@recorded("retention.explain", target="event")
def retention_explain(
    context: typer.Context,
    event: Annotated[
        str, typer.Argument(metavar="ID", help="Document id, or topic/partition/offset/index of the record.")
    ],
    output: OutputOption = None,
) -> None:
    """Tell what keeps one event, in Elasticsearch and in the archive, and until when.

    A place needs no Elasticsearch: so what has left it can still be asked for.

    Examples:  skytrail retention explain 0IxhQvKZb6Zk1Zd0J3m4aA
               skytrail retention explain skytrail.raw.aws.cloudtrail.v1/0/1234/7 -o json
    """
    found = asyncio.run(explained(context_of(context), event, dt.datetime.now(dt.UTC)))
    emit_object(found, output)


async def _plan(settings: Settings, now: dt.datetime, preview: Policy | None, *, index: bool) -> Plan:
    retaining = open_retaining(settings, lambda: dt.datetime.now(dt.UTC), allow_delete=True)
    client = connect(settings.elasticsearch, "reader") if index else None
    try:
        return await planned(retaining, client, now, preview)
    finally:
        if client is not None:
            await client.close()
