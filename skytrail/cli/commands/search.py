"""`skytrail search`, and how commands read the index."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer
from elasticsearch import AsyncElasticsearch

from skytrail.cli.context import context_of
from skytrail.cli.output import Output, OutputOption, chosen, emit_object, emit_rows, say
from skytrail.cli.times import stretch
from skytrail.recording import recorded
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


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(search)


@recorded("search", details=("query", "namespace", "dataset", "start", "end", "only_count", "limit", "purpose"))
def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="Lucene query string; * for all.")] = "*",
    namespace: NamespaceOption = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this data set.")] = None,
    start: FromOption = None,
    end: ToOption = None,
    only_count: Annotated[bool, typer.Option("--count", help="Only how many.")] = False,
    limit: LimitOption = 100,
    purpose: Annotated[str, typer.Option(help="Why, for the record of this search: a case, a request.")] = "",
    output: OutputOption = None,
) -> None:
    """Search events by Lucene query string, newest first. Who searched for what is recorded and sealed.

    Examples:  skytrail search 'event.action:StopLogging'   |   skytrail search '*' --count -o json
               skytrail search 'user.name:alice' --from 24h
    """
    del purpose  # goes into the record of this search
    found = context_of(context)
    settings = found.connected(kafka=False).elasticsearch
    now = dt.datetime.now(dt.UTC)
    asked = Query(query, namespace, dataset, *stretch(start, end, now))
    if only_count:
        emit_object({"count": asyncio.run(_count(settings, asked))}, output)
        return
    hits = asyncio.run(_hits(settings, asked, limit or None))
    found.told["result_count"] = len(hits)
    if chosen(output) in (Output.JSON, Output.JSONL):
        emit_rows(({"_index": h.index, "_id": h.id, **h.source} for h in hits), output, columns=())
    else:
        emit_rows((_event_row(h.id, h.source) for h in hits), output, columns=EVENT_COLUMNS)
    if limit and len(hits) == limit:
        total = asyncio.run(_count(settings, asked))
        say(f"{len(hits):,} of {total:,} shown; use --limit 0 for all")


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
