"""Searches events with the reader identity, in Lucene's query string syntax.

A document can be searched `elasticsearch.refresh_interval_s` after it was written; the reader may not force a refresh.
Syntax: https://www.elastic.co/docs/reference/query-languages/query-dsl/query-dsl-query-string-query
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from ingest.document import utc_millis
from ingest.schema.errors import ConfigError, Refused, SkytrailError
from storage.index.client import error_of, explain, unavailable
from storage.index.names import OWN_DATASETS, naming_fault, pattern

PAGE: Final = 1000
"""Documents per request."""
_KEEP_ALIVE: Final = "2m"
_WRONG_QUERY: Final = frozenset({"query_shard_exception", "parse_exception", "number_format_exception"})


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for.

    Attributes:
        text: Lucene query string; `*` for everything.
        namespace: Only this one; None for all.
        dataset: Only this one; None for all but what we write about ourselves (alerts, our own audit).
        start: Earliest event time, inclusive.
        end: Latest event time, exclusive.
        oldest_first: Order of the hits.
    """

    text: str = "*"
    namespace: str | None = None
    dataset: str | None = None
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """One document found."""

    index: str
    id: str
    source: dict[str, Any]


async def search(client: AsyncElasticsearch, query: Query, *, limit: int | None = 100) -> AsyncGenerator[Hit, None]:
    """The documents by event time, from one unchanging view of the indices; none when there is no such index.

    Whoever stops early closes the iterator (`contextlib.aclosing`), which frees the view on the server.

    Args:
        client: Of the reader identity.
        query: See `Query`.
        limit: At most so many; None for all.

    Raises:
        ConfigError: The query can't be parsed; the message names the position.
        IndexUnavailable: Elasticsearch does not answer.
        Refused: This identity may not read there.
    """
    if limit is not None and limit <= 0:
        return
    looked_into = indices(query)
    try:
        opened = await client.open_point_in_time(
            index=looked_into, keep_alive=_KEEP_ALIVE, ignore_unavailable=True, expand_wildcards="open"
        )
    except (ApiError, TransportError) as exc:
        raise _failure(exc, query) from exc
    view = opened["id"]
    try:
        left, after = limit, None
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            answer = await _page(client, query, view, size, after)
            view, hits = answer.get("pit_id", view), answer["hits"]["hits"]
            for hit in hits:
                yield Hit(hit["_index"], hit["_id"], hit.get("_source", {}))
            if len(hits) < size:
                return
            after = hits[-1]["sort"]
            left = None if left is None else left - len(hits)
    finally:
        await _close(client, view)


async def count(client: AsyncElasticsearch, query: Query) -> int:
    """How many documents there are; 0 when there is no such index.

    Raises:
        ConfigError: The query can't be parsed; the message names the position.
        IndexUnavailable: Elasticsearch does not answer.
        Refused: This identity may not read there.
    """
    looked_into = indices(query)
    try:
        answer = await client.count(
            index=looked_into, query=body(query), ignore_unavailable=True, allow_no_indices=True
        )
    except (ApiError, TransportError) as exc:
        raise _failure(exc, query) from exc
    if answer["_shards"]["failed"]:  # a part of the truth is not an answer
        failures = answer["_shards"].get("failures") or [{}]
        told = failures[0].get("reason", {})
        error = {"error": {**told, "failed_shards": failures}}
        if failures[0].get("status") == 400 or told.get("type") in _WRONG_QUERY:  # noqa: PLR2004 - HTTP status
            raise _wrong_query(error, "", "", query)
        raise unavailable("searching", 503, str(told.get("type", "")), _deepest_reason(error))
    return int(answer["count"])


async def document_by_id(client: AsyncElasticsearch, document_id: str) -> Hit | None:
    """The event of this id, whatever index it lies in; None when there is none (yet).

    Raises:
        IndexUnavailable: Elasticsearch does not answer.
        Refused: This identity may not read there.
    """
    everything = Query()
    try:
        answer = await client.search(
            index=indices(everything), query={"ids": {"values": [document_id]}}, size=1, ignore_unavailable=True
        )
    except (ApiError, TransportError) as exc:
        raise _failure(exc, everything) from exc
    return next((Hit(hit["_index"], hit["_id"], hit["_source"]) for hit in answer["hits"]["hits"]), None)


def indices(query: Query) -> list[str]:
    """The index patterns a query looks into.

    Raises:
        ConfigError: The namespace or data set can't be part of an index name.
    """
    for part in filter(None, (query.namespace, query.dataset)):
        if fault := naming_fault(part.replace("*", "x")):
            mend = "name a namespace or data set; `*` is allowed in it"
            raise ConfigError(f"searching in {part!r}: {fault}", mend=mend)
    if query.dataset:
        return [pattern(query.dataset, query.namespace)]
    return [pattern(None, query.namespace), "-" + pattern(OWN_DATASETS, None)]


def body(query: Query) -> dict[str, Any]:
    """The query in Elasticsearch's terms."""
    filters: list[dict[str, Any]] = []
    if query.text.strip() not in ("", "*"):
        text = {"query": query.text, "default_operator": "AND", "analyze_wildcard": True}
        filters.append({"query_string": text})
    span = {key: utc_millis(at) for key, at in (("gte", query.start), ("lt", query.end)) if at is not None}
    if span:
        filters.append({"range": {"@timestamp": span}})
    return {"bool": {"filter": filters}} if filters else {"match_all": {}}


async def _page(client: AsyncElasticsearch, query: Query, view: str, size: int, after: Any) -> dict[str, Any]:
    order = "asc" if query.oldest_first else "desc"
    try:
        answer = await client.search(
            pit={"id": view, "keep_alive": _KEEP_ALIVE},
            query=body(query),
            sort=[{"@timestamp": {"order": order, "unmapped_type": "date"}}, {"_shard_doc": "asc"}],
            size=size,
            search_after=after,
            track_total_hits=False,
            allow_partial_search_results=False,
        )
    except (ApiError, TransportError) as exc:
        raise _failure(exc, query) from exc
    return dict(answer.body)


async def _close(client: AsyncElasticsearch, view: str) -> None:
    try:
        await client.close_point_in_time(id=view)
    except (ApiError, TransportError):  # it expires by itself after its keep-alive
        return


def _failure(exc: ApiError | TransportError, query: Query) -> SkytrailError:
    """What a failed search means: a wrong query, a missing right, or Elasticsearch away."""
    if isinstance(exc, TransportError):
        return explain(exc, "searching")
    kind, reason = error_of(exc.body)
    if exc.status_code == 400:  # noqa: PLR2004 - HTTP status
        return _wrong_query(exc.body, kind, reason, query)
    if exc.status_code == 403 and kind == "security_exception":  # noqa: PLR2004 - HTTP status
        return Refused(f"searching: {reason}", where=",".join(indices(query)), mend="search with elasticsearch.reader")
    return explain(exc, "searching", ",".join(indices(query)))


def _wrong_query(answer: object, kind: str, reason: str, query: Query) -> ConfigError:
    """Elasticsearch nests the parser's own message; its line and column are what helps."""
    deepest = _deepest_reason(answer) or f"{kind}: {reason}"
    found = re.search(r"at line (\d+), column (\d+)", deepest)
    place = f"line {found[1]}, column {int(found[2]) + 1} of the query" if found else "the query"  # it counts from 0
    told = deepest.splitlines()[0].replace(f" {found[0]}", "") if found else deepest
    return ConfigError(
        f"parsing query {query.text!r}: {told.rstrip('.')}",
        where=place,
        mend='quote values with special characters: user.name:"a:b"; fields, AND, OR, NOT, ( ) and * are Lucene\'s',
    )


def _deepest_reason(answer: object) -> str:
    node: Any = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(node, dict) and node.get("failed_shards"):
        node = node["failed_shards"][0].get("reason", node)
    reason = ""
    while isinstance(node, dict):
        reason = str(node.get("reason") or reason)
        node = node.get("caused_by")
    return reason
