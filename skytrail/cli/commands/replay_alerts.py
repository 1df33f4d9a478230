"""`skytrail replay alerts`: evaluates the rules over the archive again and compares with the alerts that are there."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated

import typer

from ingest.document import whole_millis
from skytrail.cli.commands.replay import group
from skytrail.cli.commands.rules_backtest import emit_outcome, end_with, run_test
from skytrail.cli.commands.scan import AUTO, JobsOption, SinceOption, UntilOption
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, say
from skytrail.cli.rule_choice import Chosen, chosen_rules, rules_in_force
from skytrail.cli.times import stretch
from skytrail.data_keys import data_keys
from skytrail.recording import recorded
from skytrail.scan import outcome
from skytrail.scan.backtest import Backtest
from skytrail.scan.evaluate import Task
from skytrail.scan.outcome import Key, Told
from skytrail.scan.told import alerts_there
from skytrail.settings import Settings
from storage.index.client import connect


def register(_: typer.Typer) -> None:
    """Add the command to the group `replay`."""
    group.command("alerts")(replay_alerts)


@recorded("replay.alerts", target="rule", details=("start", "end"))
def replay_alerts(
    context: typer.Context,
    rule: Annotated[
        str | None, typer.Argument(help="Id of a rule, or a rule file. Default: all rules in force.")
    ] = None,
    start: SinceOption = None,
    end: UntilOption = None,
    jobs: JobsOption = 0,
    output: OutputOption = None,
) -> None:
    """Run detection again over the archive and compare with the alerts in Elasticsearch: new, gone, the same.

    Nothing is written. An alert is the same when its rule, its namespace, the time of its first match and what it
    folds on are; of a correlation, when its id is. So alerts of a rule that changed, or that came in another order,
    differ: `skytrail rules seen` tells which rule set evaluated what. With --from an alert that had opened before it
    may open anew at its later matches.

    Exit codes as for `rules backtest`: 1 when an alert is new or gone.

    Examples:  skytrail replay alerts --from 7d   |   skytrail replay alerts aws-trail-stopped -o json
    """
    settings = context_of(context).connected(kafka=False)
    chosen = chosen_rules(context, rule) if rule else rules_in_force(context)
    now = dt.datetime.now(dt.UTC)
    since, until = map(whole_millis, stretch(start, end, now))
    test = Backtest(chosen.telling, keeps_alerts=True)
    task = Task(chosen.rules, since, until, bases=chosen.bases, correlations=chosen.correlations)
    place = context_of(context).settings.archive_place
    tally = run_test(test, task, [place], AUTO, jobs, lambda: data_keys(settings))
    expected = asyncio.run(_there(settings, chosen, since, until))
    changes = outcome.compare(expected, test.alerts)
    emit_outcome(test, changes, output, per_day=False)
    say(f"{test.totals['alerts']:,} alerts of {len(chosen.telling):,} rules; Elasticsearch has {len(expected):,}")
    end_with(tally, changes, all_rules=not chosen.refused)


async def _there(
    settings: Settings, chosen: Chosen, since: dt.datetime | None, until: dt.datetime | None
) -> dict[Key, Told]:
    rules = frozenset(one.id for one in chosen.telling)
    correlations = frozenset(one.id for one in chosen.correlations)
    client = connect(settings.elasticsearch, "reader")
    try:
        return await alerts_there(client, rules, correlations, since, until)
    finally:
        await client.close()
