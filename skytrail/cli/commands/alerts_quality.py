"""`skytrail alerts quality`: how good each rule is, by what people said of its alerts."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import typer

from detectors.quality import Handled, quality
from skytrail.cli.commands.alerts import group, read_alerts
from skytrail.cli.commands.search import FromOption, NamespaceOption, ToOption
from skytrail.cli.context import context_of
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.cli.times import stretch
from skytrail.recording import recorded
from storage.index.alerts import Alert
from storage.index.search import Query

COLUMNS = (
    "rule_id",
    "alerts",
    "open",
    "closed",
    "true_positive",
    "benign_positive",
    "false_positive",
    "precision",
    "seconds_to_notice",
    "seconds_to_close",
)


def register(_: typer.Typer) -> None:
    """Add the command to the group `alerts`."""
    group.command("quality")(alerts_quality)


@recorded("alerts.quality", details=("namespace", "start", "end"))
def alerts_quality(
    context: typer.Context,
    namespace: NamespaceOption = None,
    start: FromOption = None,
    end: ToOption = None,
    output: OutputOption = None,
) -> None:
    """Say per rule how many of its alerts were attacks, allowed, or false, and how long people took.

    `precision` is the share of true positives among alerts closed as true, benign or false; times are medians.
    The rules with the most false alarms come first.

    Examples:  skytrail alerts quality --from 30d   |   skytrail alerts quality -o csv
    """
    settings = context_of(context).connected(kafka=False).elasticsearch
    now = dt.datetime.now(dt.UTC)
    asked = Query("*", namespace, None, *stretch(start, end, now))
    found = asyncio.run(read_alerts(settings, asked))
    rows = quality(map(handled, found))
    context_of(context).told["result_count"] = len(rows)
    emit_rows(rows, output, columns=COLUMNS)
    closed = sum(row["closed"] for row in rows)
    say(f"{len(found):,} alerts of {len(rows):,} rules, {closed:,} closed")


def handled(alert: Alert) -> Handled:
    """An alert as its rule is judged by."""
    return Handled(
        rule_id=alert.document["rule"]["id"],
        title=alert.document["rule"]["name"],
        told=dt.datetime.fromisoformat(alert.document["@timestamp"]),
        count=alert.count,
        status=alert.status,
        classification=alert.now("classification"),
        acknowledged=_moment(alert.now("acknowledged")),
        closed=_moment(alert.now("closed")),
    )


def _moment(text: Any) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
