"""`skytrail rules backtest`: what rules would have alerted on; needs no service."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from typing import Annotated

import typer

from ingest.formats.registry import format_named
from ingest.schema.errors import ConfigError
from skytrail.cli.commands.rules import group
from skytrail.cli.commands.scan import AUTO, FormatOption, JobsOption, SinceOption, UntilOption, cores, verdict
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.cli.rule_choice import rules_named
from skytrail.cli.scan_progress import Display
from skytrail.cli.times import moment
from skytrail.scan.backtest import Backtest
from skytrail.scan.evaluate import Task
from skytrail.scan.pieces import pieces
from skytrail.scan.run import Scan
from skytrail.scan.sources import find

_COLUMNS = ("rule_id", "level", "alerts", "actions", "matches", "undated", "principals", "first", "last")


def register(_: typer.Typer) -> None:
    """Add the command to the group `rules`."""
    group.command("backtest")(rules_backtest)


def rules_backtest(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(help="Id of a rule in force, a rule file, or a directory of rules.")],
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH…]", help="Files, directories, patterns or archives, as for scan."),
    ] = None,
    archive: Annotated[bool, typer.Option("--archive", help="Also the archive of the settings.")] = False,
    format_name: FormatOption = AUTO,
    start: SinceOption = None,
    end: UntilOption = None,
    jobs: JobsOption = 0,
    output: OutputOption = None,
) -> None:
    """Say what rules would have alerted on, had they been in force: alerts after suppression, per rule and principal.

    `actions` counts an action once, however many of its stages and repetitions match; `undated` matches have no
    readable time and are in no alert. json and jsonl have the counts per principal. Exit codes as for `scan`.

    Examples:  skytrail rules backtest my-rules/new.yml ./logs --from 30d
               skytrail rules backtest aws-root-used --archive --from 90d -o json
    """
    if format_name != AUTO:
        format_named(format_name)
    now = dt.datetime.now(dt.UTC)
    since, until = moment(start, now), moment(end, now)
    given = [*(paths or ()), *([context_of(context).settings.archive_place] if archive else ())]
    if not given:
        raise ConfigError("looking for input: none is given", mend="name files or directories, or add --archive")
    sources = find(given)
    rules = rules_named(context, rule)
    test = Backtest(rules)
    work = pieces(sources, None if format_name == AUTO else format_name, since=since)
    began = time.monotonic()
    with Display(sum(source.size for source in sources), quiet=False) as display:
        run = Scan(
            Task(rules, since, until),
            jobs=jobs or cores(),
            on_trouble=display.trouble,
            on_progress=lambda: display.show(run.tally),
        )
        with contextlib.closing(run.hits(work)) as hits:
            for hit in hits:
                test.add(hit)
    emit_rows(test.rows(), output, columns=_COLUMNS)
    display.finish(run.tally, time.monotonic() - began)
    totals = test.totals
    say(f"{totals['alerts']:,} alerts from {totals['matches']:,} matches of {len(rules):,} rules")
    if code := verdict(run.tally, None):
        raise typer.Exit(code)
