"""`skytrail alerts ack|assign|close|reopen|comment`: what people decide about alerts."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import pwd
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from detectors.triage import Change, Classification, ImpossibleChange, Reason
from ingest.schema.errors import ConfigError
from skytrail.cli.commands.alerts import group
from skytrail.cli.context import context_of
from skytrail.cli.exits import Exit
from skytrail.cli.output import OutputOption, emit_rows, say
from skytrail.recording import recorded
from storage.index.client import connect
from storage.index.triage import Decided, decide
from storage.settings import ElasticsearchSettings

COLUMNS = ("id", "changed", "status", "owner", "classification", "problem")

IdsArgument = Annotated[list[str], typer.Argument(metavar="ID…", help="Alerts, as `alerts list` shows their ids.")]
CommentOption = Annotated[str, typer.Option("--comment", "-c", help="Why; kept in the history of the alert.")]
ByOption = Annotated[str, typer.Option("--by", help="Who decides. Default: the account of the system.")]


class What(StrEnum):
    """What a closed alert was."""

    TRUE_POSITIVE = "true_positive"
    BENIGN_POSITIVE = "benign_positive"
    FALSE_POSITIVE = "false_positive"
    UNDETERMINED = "undetermined"


class Why(StrEnum):
    """Why it was classified so, in words that cases of other systems know."""

    SUSPICIOUS_ACTIVITY = "suspicious_activity"
    SUSPICIOUS_BUT_EXPECTED = "suspicious_but_expected"
    INCORRECT_ALERT_LOGIC = "incorrect_alert_logic"
    INACCURATE_DATA = "inaccurate_data"


def register(_: typer.Typer) -> None:
    """Add the commands to the group `alerts`."""
    group.command("ack")(alerts_ack)
    group.command("assign")(alerts_assign)
    group.command("close")(alerts_close)
    group.command("reopen")(alerts_reopen)
    group.command("comment")(alerts_comment)


@recorded("alerts.ack", "change", target="ids", details=("comment", "by"))
def alerts_ack(
    context: typer.Context,
    ids: IdsArgument,
    comment: CommentOption = "",
    by: ByOption = "",
    output: OutputOption = None,
) -> None:
    """Take notice of alerts: they become acknowledged, and yours where they are nobody's.

    Exit 2 when one can't be changed (unknown, closed, changed by somebody else meanwhile); the others are.

    Examples:  skytrail alerts ack 3f1c…   |   skytrail alerts ack 3f1c… 77ab… --by alice -c 'looking into it'
    """
    _decide(context, ids, _change("acknowledge", by, comment), output)


@recorded("alerts.assign", "change", target="ids", details=("to", "comment", "by"))
def alerts_assign(
    context: typer.Context,
    ids: IdsArgument,
    to: Annotated[str, typer.Option("--to", help="Who works on them from now on; '' for nobody.")],
    comment: CommentOption = "",
    by: ByOption = "",
    output: OutputOption = None,
) -> None:
    """Say who works on alerts; exit 2 when one can't be changed.

    Examples:  skytrail alerts assign 3f1c… --to bob   |   skytrail alerts assign 3f1c… --to '' -c 'on holiday'
    """
    _decide(context, ids, _change("assign", by, comment, owner=to), output)


@recorded("alerts.close", "change", target="ids", details=("classification", "reason", "comment", "by"))
def alerts_close(
    context: typer.Context,
    ids: IdsArgument,
    classification: Annotated[What, typer.Option("--as", help="What it was.")],
    comment: Annotated[str, typer.Option("--comment", "-c", help="How you know; kept in the history of the alert.")],
    reason: Annotated[Why | None, typer.Option(help="Why it is classified so.")] = None,
    by: ByOption = "",
    output: OutputOption = None,
) -> None:
    """Close alerts and say what they were; a closed one gets another classification. Exit 2 when one can't be changed.

    Examples:  skytrail alerts close 3f1c… --as false_positive --reason incorrect_alert_logic -c 'the scanner, see #812'
               skytrail alerts close 3f1c… --as true_positive -c 'key revoked, user warned' -o json
    """
    change = _change(
        "close",
        by,
        comment,
        classification=classification.value,
        reason=reason.value if reason else None,
    )
    _decide(context, ids, change, output)


@recorded("alerts.reopen", "change", target="ids", details=("comment", "by"))
def alerts_reopen(
    context: typer.Context,
    ids: IdsArgument,
    comment: CommentOption = "",
    by: ByOption = "",
    output: OutputOption = None,
) -> None:
    """Open closed alerts again; their classification goes, the history stays. Exit 2 when one can't be changed.

    Examples:  skytrail alerts reopen 3f1c… -c 'it happened again'
    """
    _decide(context, ids, _change("reopen", by, comment), output)


@recorded("alerts.comment", "change", target="ids", details=("comment", "by"))
def alerts_comment(
    context: typer.Context,
    ids: IdsArgument,
    comment: Annotated[str, typer.Option("--comment", "-c", help="What is to be remembered.")],
    by: ByOption = "",
    output: OutputOption = None,
) -> None:
    """Add a comment to the history of alerts; exit 2 when one can't be changed.

    Examples:  skytrail alerts comment 3f1c… -c 'asked the owner of the role'
    """
    _decide(context, ids, _change("comment", by, comment), output)


def _change(
    action: Any,
    by: str,
    comment: str,
    *,
    owner: str = "",
    classification: Classification | None = None,
    reason: Reason | None = None,
) -> Change:
    """The decision.

    Raises:
        ConfigError: Its parts do not fit together.
    """
    try:
        return Change(action, by or _account(), comment, owner, classification, reason)
    except ImpossibleChange as exc:
        raise ConfigError(f"changing alerts: {exc}", mend="see --help behind the command") from exc


def _account() -> str:
    """The account of the operating system that runs this; its number where it has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _decide(context: typer.Context, ids: Sequence[str], change: Change, output: OutputOption) -> None:
    settings = context_of(context).connected(kafka=False).elasticsearch
    found: dict[str, Decided | str] = {}
    try:
        asyncio.run(_all(settings, list(dict.fromkeys(ids)), change, found))
    finally:  # when Elasticsearch goes away between two alerts, what is done is told all the same
        emit_rows((_row(alert_id, outcome) for alert_id, outcome in found.items()), output, columns=COLUMNS)
    problems = {alert_id: outcome for alert_id, outcome in found.items() if isinstance(outcome, str)}
    for alert_id, problem in problems.items():
        say(f"not changed: {alert_id}: {problem}")
    if problems:
        raise typer.Exit(Exit.BAD_INPUT)


async def _all(
    settings: ElasticsearchSettings, ids: Sequence[str], change: Change, found: dict[str, Decided | str]
) -> None:
    """Note in `found` what becomes of each alert: its state, or why it was not changed."""
    client = connect(settings, "analyst")
    try:
        for alert_id in ids:
            try:
                found[alert_id] = await decide(client, alert_id, change, dt.datetime.now(dt.UTC))
            except ImpossibleChange as exc:
                found[alert_id] = str(exc)
    finally:
        await client.close()


def _row(alert_id: str, outcome: Decided | str) -> dict[str, Any]:
    if isinstance(outcome, str):
        return {"id": alert_id, "changed": False, "problem": outcome}
    kept = ("status", "owner", "classification", "closing_reason", "history")
    return {
        "id": alert_id,
        "changed": outcome.changed,
        **{name: outcome.entries.get(name) for name in kept},
        "problem": None,
    }
