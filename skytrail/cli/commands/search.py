"""`skytrail search` and `skytrail alerts`."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer
from elasticsearch import AsyncElasticsearch

from ingest.schema.errors import ConfigError
from skytrail.cli.context import context_of
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say
from skytrail.cli.times import moment
from storage.index import alerts as alert_reading
from storage.index.alerts import Alert
from storage.index.client import connect
from storage.index.search import Hit, Query, count
from storage.index.search import search as search_events
from storage.index.visibility import make_visible
from storage.settings import ElasticsearchSettings

NamespaceOption = Annotated[str | None, typer.Option("--namespace", "-n", help="Only this namespace.")]
FromOption = Annotated[str | None, typer.Option("--from", help="Earliest event time: ISO 8601 or an age such as 24h.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Event time before which to end.")]
LimitOption = Annotated[int, typer.Option(help="Most results; 0 for all.")]
EVENT_COLUMNS = ("timestamp", "dataset", "action", "outcome", "user", "source", "account", "id")
ALERT_COLUMNS = ("time", "severity", "count", "title", "principal", "status", "reason", "id")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(search)
    group = typer.Typer(help="Alerts and their state.", no_args_is_help=True)
    group.command("list")(alerts_list)
    group.command("show")(alerts_show)
    app.add_typer(group, name="alerts")


def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="Lucene query string; * for all.")] = "*",
    namespace: NamespaceOption = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this data set.")] = None,
    start: FromOption = None,
    end: ToOption = None,
    only_count: Annotated[bool, typer.Option("--count", help="Only how many.")] = False,
    limit: LimitOption = 100,
    output: OutputOption = None,
) -> None:
    """Search events by Lucene query string, newest first.

    Examples:  skytrail search 'event.action:StopLogging'   |   skytrail search '*' --count -o json
               skytrail search 'user.name:alice' --from 24h
    """
    settings = context_of(context).connected(kafka=False).elasticsearch
    now = dt.datetime.now(dt.UTC)
    asked = Query(query, namespace, dataset, moment(start, now), moment(end, now))
    if only_count:
        emit_object({"count": asyncio.run(_count(settings, asked))}, output)
        return
    hits = asyncio.run(_hits(settings, asked, limit or None))
    if chosen(output) in (Output.JSON, Output.JSONL):
        emit_rows(({"_index": h.index, "_id": h.id, **h.source} for h in hits), output, columns=())
    else:
        emit_rows((_event_row(h.id, h.source) for h in hits), output, columns=EVENT_COLUMNS)
    if limit and len(hits) == limit:
        total = asyncio.run(_count(settings, asked))
        say(f"{len(hits):,} of {total:,} shown; use --limit 0 for all")


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
    settings = context_of(context).connected(kafka=False).elasticsearch
    now = dt.datetime.now(dt.UTC)
    text = f'rule.id:"{rule}"' if rule else "*"
    asked = Query(text, namespace, None, moment(start, now), moment(end, now))
    found = asyncio.run(read_alerts(settings, asked, status, limit or None))
    emit_rows(map(alert_row, found), output, columns=ALERT_COLUMNS)
    if limit and len(found) == limit:
        say(f"the first {limit} are shown; use --limit 0 for all")


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
        "reason": document["event"]["reason"],
        "namespace": document["data_stream"]["namespace"],
    }


def severity_word(number: int) -> str:
    """The word of a severity number."""
    return {0: "info", 21: "low", 47: "medium", 73: "high", 99: "critical"}.get(int(number), str(number))


def _event_row(document_id: str, source: dict[str, Any]) -> dict[str, Any]:
    def at(path: str) -> Any:
        node: Any = source
        for part in path.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        return node

    return {
        "timestamp": at("@timestamp"),
        "dataset": at("data_stream.dataset"),
        "action": at("event.action"),
        "outcome": at("event.outcome"),
        "user": at("skytrail.principal.display") or at("user.name"),
        "source": at("source.address"),
        "account": at("cloud.account.id") or at("orchestrator.cluster.name"),
        "id": document_id,
    }


def _details(alert: Alert) -> Iterator[dict[str, Any]]:
    document, detail = alert.document, alert.document["skytrail"]["alert"]
    threat = document.get("threat", {})
    yield {"what": "alert", "value": document["message"]}
    yield {"what": "why", "value": document["event"]["reason"]}
    yield {"what": "severity", "value": severity_word(document["event"]["severity"])}
    yield {"what": "count", "value": alert.count}
    yield {"what": "status", "value": alert.status}
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


@asynccontextmanager
async def reading(settings: ElasticsearchSettings, namespace: str | None = None) -> AsyncIterator[AsyncElasticsearch]:
    """A client of the reader identity that sees what was written up to now."""
    client = connect(settings, "reader")
    try:
        if not await make_visible(client, namespace):
            age = settings.refresh_interval_s
            say(f"note: elasticsearch.reader may not refresh; what is younger than {age} s may not be found yet")
        yield client
    finally:
        await client.close()


async def _count(settings: ElasticsearchSettings, asked: Query) -> int:
    async with reading(settings, asked.namespace) as client:
        return await count(client, asked)


async def _hits(settings: ElasticsearchSettings, asked: Query, limit: int | None) -> list[Hit]:
    async with reading(settings, asked.namespace) as client:
        return [hit async for hit in search_events(client, asked, limit=limit)]


async def read_alerts(
    settings: ElasticsearchSettings, asked: Query, status: str | None = None, limit: int | None = None
) -> list[Alert]:
    """Alerts with their states, newest first."""
    async with reading(settings, asked.namespace) as client:
        return [a async for a in alert_reading.alerts(client, asked, status=status, limit=limit)]


async def _alert(settings: ElasticsearchSettings, alert_id: str) -> Alert | None:
    async with reading(settings) as client:
        return await alert_reading.alert_by_id(client, alert_id)
