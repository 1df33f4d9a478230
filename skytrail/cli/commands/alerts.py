"""`skytrail alerts`: reads alerts with their triage state."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from ingest.schema.errors import ConfigError
from skytrail.cli.commands.search import FromOption, LimitOption, NamespaceOption, ToOption, reading
from skytrail.cli.context import context_of
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say
from skytrail.cli.times import stretch
from skytrail.recording import recorded
from storage.index import alerts as alert_reading
from storage.index.alerts import Alert
from storage.index.search import Query
from storage.settings import ElasticsearchSettings

ALERT_COLUMNS = ("time", "severity", "count", "title", "principal", "status", "owner", "reason", "id")

group = typer.Typer(help="Alerts and their state.", no_args_is_help=True)
"""The group `alerts`; other files of this package add their verbs to it."""


def register(app: typer.Typer) -> None:
    """Add the group with its first commands."""
    group.command("list")(alerts_list)
    group.command("show")(alerts_show)
    app.add_typer(group, name="alerts")


@recorded("alerts.list", details=("namespace", "start", "end", "rule", "status", "limit"))
def alerts_list(
    context: typer.Context,
    namespace: NamespaceOption = None,
    start: FromOption = None,
    end: ToOption = None,
    rule: Annotated[str | None, typer.Option(help="Only this rule id.")] = None,
    status: Annotated[str | None, typer.Option(help="Only with this status: open, acknowledged, closed.")] = None,
    limit: LimitOption = 100,
    output: OutputOption = None,
) -> None:
    """List alerts, newest first, with their present count and status.

    Examples:  skytrail alerts list   |   skytrail alerts list --from 24h -o json
    """
    told, settings = context_of(context).told, context_of(context).connected(kafka=False).elasticsearch
    now = dt.datetime.now(dt.UTC)
    text = f'rule.id:"{rule}"' if rule else "*"
    asked = Query(text, namespace, None, *stretch(start, end, now))
    found = asyncio.run(read_alerts(settings, asked, status, limit or None))
    told["result_count"] = len(found)
    emit_rows(map(alert_row, found), output, columns=ALERT_COLUMNS)
    if limit and len(found) == limit:
        say(f"the first {limit} are shown; use --limit 0 for all")


@recorded("alerts.show", target="alert_id")
def alerts_show(
    context: typer.Context,
    alert_id: Annotated[str, typer.Argument(help="Id, as `alerts list` shows it.")],
    output: OutputOption = None,
) -> None:
    """Show one alert: why it fired, on which events, what to do.

    Examples:  skytrail alerts show 3f1c…   |   skytrail alerts show 3f1c… -o json
    """
    settings = context_of(context).connected(kafka=False).elasticsearch
    found = asyncio.run(_alert(settings, alert_id))
    if found is None:
        raise ConfigError(f"looking for alert {alert_id}: there is none", mend="`skytrail alerts list` shows the ids")
    if chosen(output) in (Output.JSON, Output.JSONL):
        emit_object({"id": found.id, "index": found.index, **found.document, "state": found.state}, output)
        return
    emit_rows(_details(found), output, columns=("what", "value"))


def alert_row(alert: Alert) -> dict[str, Any]:
    """An alert as one row; json shows the same fields."""
    document = alert.document
    principal = document.get("skytrail", {}).get("principal", {})
    return {
        "id": alert.id,
        "time": document.get("event", {}).get("start"),
        "severity": document.get("rule", {}).get("level") or severity_word(document["event"]["severity"]),
        "count": alert.count,
        "rule_id": document["rule"]["id"],
        "title": document["rule"]["name"],
        "principal": principal.get("display") or principal.get("key") or "",
        "status": alert.status,
        "owner": alert.now("owner"),
        "classification": alert.now("classification"),
        "reason": document["event"]["reason"],
        "namespace": document["data_stream"]["namespace"],
    }


def severity_word(number: int) -> str:
    """The word of a severity number."""
    return {0: "info", 21: "low", 47: "medium", 73: "high", 99: "critical"}.get(int(number), str(number))


def _details(alert: Alert) -> Iterator[dict[str, Any]]:
    document, detail = alert.document, alert.document["skytrail"]["alert"]
    threat = document.get("threat", {})
    yield {"what": "alert", "value": document["message"]}
    yield {"what": "why", "value": document["event"]["reason"]}
    yield {"what": "severity", "value": severity_word(document["event"]["severity"])}
    yield {"what": "count", "value": alert.count}
    yield {"what": "status", "value": alert.status}
    for entry in ("owner", "classification"):
        if alert.now(entry):
            yield {"what": entry, "value": alert.now(entry)}
    yield {
        "what": "first, last",
        "value": f"{document['event']['start']}  {alert.state.get('event', {}).get('end', '')}",
    }
    yield {"what": "rule", "value": f"{document['rule']['id']} version {document['rule']['version']}"}
    yield {"what": "author", "value": ", ".join(document["rule"].get("author", []))}
    yield {"what": "technique", "value": ", ".join(threat.get("technique", {}).get("id", []))}
    for step in detail.get("runbook", []):
        yield {"what": "do", "value": step}
    for text in detail.get("false_positives", []):
        yield {"what": "false positive", "value": text}
    for event in alert.state.get("skytrail", {}).get("alert", {}).get("events", detail["events"]):
        yield {"what": "event", "value": f"{event['index']}/{event['id']} leaf {event['hash']}"}
    for record in alert.now("history") or ():
        yield {"what": "changed", "value": changed_line(record)}


def changed_line(record: dict[str, Any]) -> str:
    """A change that a person made, in one line."""
    steps = (f"{name} {part['from'] or '-'} → {part['to'] or '-'}" for name, part in record.items() if _is_step(part))
    told = ", ".join(steps)
    comment = record.get("comment", "")
    line = f"{record['at']} {record['by']}: {record['action']}"
    return line + (f" ({told})" if told else "") + (f": {comment}" if comment else "")


def _is_step(part: object) -> bool:
    return isinstance(part, dict) and part.keys() == {"from", "to"}


async def read_alerts(
    settings: ElasticsearchSettings, asked: Query, status: str | None = None, limit: int | None = None
) -> list[Alert]:
    """Alerts with their states, newest first."""
    async with reading(settings, asked.namespace) as client:
        return [a async for a in alert_reading.alerts(client, asked, status=status, limit=limit)]


async def _alert(settings: ElasticsearchSettings, alert_id: str) -> Alert | None:
    async with reading(settings) as client:
        return await alert_reading.alert_by_id(client, alert_id)
