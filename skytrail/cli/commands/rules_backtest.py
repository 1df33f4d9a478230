"""`skytrail rules backtest`: what rules would have alerted on; needs no service."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.formats.registry import format_named
from ingest.schema.errors import ConfigError
from skytrail.cli.commands.rules import group
from skytrail.cli.commands.scan import (
    AUTO,
    FormatOption,
    JobsOption,
    SinceOption,
    SummaryOption,
    UntilOption,
    cores,
    verdict,
    write_summary,
)
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.cli.rule_choice import chosen_rules
from skytrail.cli.scan_progress import Display
from skytrail.cli.times import stretch
from skytrail.data_keys import data_keys
from skytrail.recording import recorded
from skytrail.scan import outcome
from skytrail.scan.backtest import Backtest
from skytrail.scan.evaluate import Task
from skytrail.scan.outcome import Change
from skytrail.scan.pieces import pieces
from skytrail.scan.run import Scan, Tally, summary
from skytrail.scan.sources import find
from storage.datakeys.keys import DataKeys

_COLUMNS = ("rule_id", "level", "alerts", "actions", "matches", "undated", "principals", "first", "last")
_TOLD = 20  # changes that are told in words; json has more


def register(_: typer.Typer) -> None:
    """Add the command to the group `rules`."""
    group.command("backtest")(rules_backtest)


@recorded("rules.backtest", target="rule", details=("paths", "archive", "start", "end"))
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
    per_day: Annotated[bool, typer.Option("--per-day", help="A row per rule and day (UTC).")] = False,
    save: Annotated[Path | None, typer.Option(help="Write the alerts to this file, as an outcome to expect.")] = None,
    expect: Annotated[
        Path | None, typer.Option(help="Compare the alerts with those that --save wrote; exit 1 when they differ.")
    ] = None,
    jobs: JobsOption = 0,
    summary_file: SummaryOption = None,
    output: OutputOption = None,
) -> None:
    """Say what rules would have alerted on, had they been in force: alerts after suppression, per rule and principal.

    Correlations are judged over all of the input, in the order of time; each of their matches is an alert. `actions`
    counts an action once, however many of its stages and repetitions match; `undated` matches have no readable time and
    are in no alert. json and jsonl have the counts per day and principal. With --expect an alert is new, gone or the
    same: by its rule, the time of its first match and what it folds on. Exit codes as for `scan`, 5 when a
    rule of the path was refused, too; 1 on a difference. The summary is that of `scan`; its `matches` are before
    suppression.

    Examples:  skytrail rules backtest my-rules/new.yml ./logs --from 30d
               skytrail rules backtest aws-root-used --archive --from 90d -o json
               skytrail rules backtest ./my-rules ./logs --save before.jsonl   |
               skytrail rules backtest ./my-rules ./logs --expect before.jsonl
    """
    expected = outcome.read(expect) if expect else None
    chosen = chosen_rules(context, rule)
    test = Backtest(chosen.telling, keeps_alerts=bool(save or expect))
    now = dt.datetime.now(dt.UTC)
    task = Task(chosen.rules, *stretch(start, end, now), bases=chosen.bases, correlations=chosen.correlations)
    given = [*(paths or ()), *([context_of(context).settings.archive_place] if archive else ())]
    began = time.monotonic()
    tally = run_test(test, task, given, format_name, jobs, lambda: data_keys(context_of(context).settings))
    if summary_file:
        write_summary(summary_file, summary(tally, time.monotonic() - began, rules_refused=chosen.refused))
    changes = outcome.compare(expected, test.alerts) if expected is not None else None
    emit_outcome(test, changes, output, per_day=per_day)
    totals = test.totals
    say(f"{totals['alerts']:,} alerts from {totals['matches']:,} matches of {len(chosen.telling):,} rules")
    if save:
        say(f"{outcome.write(save, [one.id for one in chosen.telling], test.alerts.values()):,} alerts saved in {save}")
    end_with(tally, changes, all_rules=not chosen.refused)


def run_test(
    test: Backtest,
    task: Task,
    given: Sequence[str],
    format_name: str,
    jobs: int,
    keys: Callable[[], DataKeys | None],
) -> Tally:
    """Show the test every hit of a scan.

    Raises:
        ConfigError: No input is named or found, or the format is unknown.
    """
    if format_name != AUTO:
        format_named(format_name)
    if not given:
        raise ConfigError("looking for input: none is given", mend="name files or directories, or add --archive")
    sources = find(given)
    wanted = None if format_name == AUTO else format_name
    work = pieces(sources, wanted, since=task.since, keys=keys)
    began = time.monotonic()
    with Display(sum(source.size for source in sources), quiet=False) as display:
        run = Scan(task, jobs=jobs or cores(), on_trouble=display.trouble, on_progress=lambda: display.show(run.tally))
        with contextlib.closing(run.hits(work)) as hits:
            for hit in hits:
                test.add(hit)
    display.finish(run.tally, time.monotonic() - began)
    return run.tally


def emit_outcome(test: Backtest, changes: Mapping[str, Change] | None, output: OutputOption, *, per_day: bool) -> None:
    """Write a row per rule, or per rule and day."""
    if per_day:
        rows = (
            {"rule_id": row["rule_id"], "level": row["level"], **day} for row in test.rows() for day in row["by_day"]
        )
        emit_rows(rows, output, columns=("day", "rule_id", "level", "alerts", "matches"))
    elif changes is None:
        emit_rows(test.rows(), output, columns=_COLUMNS)
    else:
        emit_rows(_compared(test, changes), output, columns=("rule_id", "level", "alerts", "new", "gone", "same"))


def _compared(test: Backtest, changes: Mapping[str, Change]) -> Iterator[dict[str, Any]]:
    """The rows with what changed; rules that are not there any more have one, too."""
    rows = list(test.rows())
    absent = [
        {"rule_id": rule_id, "alerts": 0} for rule_id in sorted(changes.keys() - {row["rule_id"] for row in rows})
    ]
    for row in (*rows, *absent):
        change = changes.get(row["rule_id"], Change())
        yield {**row, "new": change.new, "gone": change.gone, "same": change.same, "changes": change.listed}


def end_with(tally: Tally, changes: Mapping[str, Change] | None, *, all_rules: bool) -> None:
    """End with the exit code; differences come before what could not be checked, unless nothing could be read.

    Raises:
        typer.Exit: It is not 0.
    """
    code = verdict(tally, None, all_rules=all_rules)
    if changes is not None:
        new, gone, same = (sum(getattr(one, kind) for one in changes.values()) for kind in ("new", "gone", "same"))
        say(f"compared with what was expected: {new:,} new, {gone:,} gone, {same:,} the same")
        for one in itertools.islice((one for change in changes.values() for one in change.listed), _TOLD):
            say(f"{one['change']}: {one['at']} {one['rule_id']} {one['principal']}: {one['reason']}")
        if (new or gone) and code is not Exit.BAD_INPUT:
            code = Exit.FINDINGS
    if code:
        raise typer.Exit(code)
