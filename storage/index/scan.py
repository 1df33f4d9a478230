"""Reads whole indices in the order of the records' places in Kafka, from one unchanging view."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from ingest.document import utc_millis
from storage.index.client import explain
from storage.index.names import OWN_ACTIONS, parse, pattern
from storage.index.pages import hits
from storage.index.search import Hit, Query, indices

PAGE: Final = 500
_PLACE: Final = ("topic", "partition", "offset", "index")
_MOST_INDICES: Final = 10_000
_MOST_PARTITIONS: Final = 10_000
_MOST_HITS: Final = 10_000  # of one answer
_TWINS: Final = 8  # documents of one id that are looked at


@dataclass(frozen=True, slots=True)
class Reach:
    """How far an index got.

    Attributes:
        offsets: Newest offset by topic and partition.
        ingested: When the newest document was written; None where there is none.
    """

    offsets: dict[tuple[str, int], int]
    ingested: dt.datetime | None


async def scan(
    client: AsyncElasticsearch, namespace: str, since: dt.datetime | None, until: dt.datetime | None
) -> AsyncGenerator[Hit, None]:
    """Every document of events of a namespace by topic, partition, offset and index; those without a place last.

    Args:
        client: Of the reader identity.
        namespace: Part of the names of the indices.
        since: Only received at or after this, as the documents say.
        until: Only received before this.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or refuses.
    """
    looked_into = _compared(namespace)
    found = hits(client, looked_into, _received(since, until), _order(), PAGE)
    try:
        async with contextlib.aclosing(found):
            async for hit in found:
                yield Hit(hit["_index"], hit["_id"], hit.get("_source", {}))
    except (ApiError, TransportError) as exc:
        raise explain(exc, "reading indices", ",".join(looked_into)) from exc


async def fetch(client: AsyncElasticsearch, wanted: Sequence[tuple[str, str]]) -> list[Hit | None]:
    """Documents by index and id, in order; None where there is none.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or refuses.
    """
    try:
        answer = await client.mget(docs=[{"_index": index, "_id": id_} for index, id_ in wanted])
    except (ApiError, TransportError) as exc:
        raise explain(exc, "reading documents") from exc
    return [
        Hit(each["_index"], each["_id"], each.get("_source", {})) if each.get("found") else None
        for each in answer["docs"]
    ]


async def twins(client: AsyncElasticsearch, namespace: str, ids: Sequence[str]) -> list[Hit]:
    """Documents of these ids in every index of a namespace; of each only its hash and place.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or refuses.
    """
    looked_into = _compared(namespace)
    try:
        answer = await client.search(
            index=looked_into,
            query={"ids": {"values": list(ids)}},
            size=min(_TWINS * len(ids), _MOST_HITS),
            source_includes=["event.hash"],
            ignore_unavailable=True,
            allow_no_indices=True,
            allow_partial_search_results=False,
        )
    except (ApiError, TransportError) as exc:
        raise explain(exc, "reading documents", ",".join(looked_into)) from exc
    return [Hit(each["_index"], each["_id"], each.get("_source", {})) for each in answer["hits"]["hits"]]


async def namespaces(client: AsyncElasticsearch) -> set[str]:
    """The namespaces that have an index with documents, by the names of the indices.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or refuses.
    """
    found = await _aggregated(client, None, {"names": {"terms": {"field": "_index", "size": _MOST_INDICES}}})
    names = [parse(bucket["key"]) for bucket in found.get("names", {}).get("buckets", [])]
    return {name.namespace for name in names if name is not None}


async def reach(client: AsyncElasticsearch, namespace: str) -> Reach:
    """How far the indices of a namespace got.

    Raises:
        IndexUnavailable: Elasticsearch does not answer, or refuses.
    """
    offsets = {"max": {"field": "skytrail.kafka.offset"}}
    partition = {"field": "skytrail.kafka.partition", "size": _MOST_PARTITIONS}
    asked: dict[str, dict[str, Any]] = {
        "newest": {"max": {"field": "event.ingested"}},
        "topics": {
            "terms": {"field": "skytrail.kafka.topic", "size": 1000},
            "aggs": {"partitions": {"terms": partition, "aggs": {"last": offsets}}},
        },
    }
    found = await _aggregated(client, namespace, asked)
    millis = found.get("newest", {}).get("value")
    return Reach(
        {
            (topic["key"], int(each["key"])): int(each["last"]["value"])
            for topic in found.get("topics", {}).get("buckets", [])
            for each in topic["partitions"]["buckets"]
        },
        dt.datetime.fromtimestamp(millis / 1000, dt.UTC) if millis is not None else None,
    )


async def _aggregated(
    client: AsyncElasticsearch, namespace: str | None, asked: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    try:
        answer = await client.search(
            index=_compared(namespace),
            size=0,
            aggs=asked,
            ignore_unavailable=True,
            allow_no_indices=True,
            allow_partial_search_results=False,
        )
    except (ApiError, TransportError) as exc:
        raise explain(exc, "reading indices") from exc
    return dict(answer.get("aggregations") or {})


def _compared(namespace: str | None) -> list[str]:
    """The indices whose documents the archive makes: those of events, and of what people did with the product."""
    return [*indices(Query(namespace=namespace)), pattern(OWN_ACTIONS, namespace)]


def _received(since: dt.datetime | None, until: dt.datetime | None) -> dict[str, Any]:
    span = {key: utc_millis(at) for key, at in (("gte", since), ("lt", until)) if at is not None}
    return {"range": {"event.created": span}} if span else {"match_all": {}}


def _order() -> list[dict[str, Any]]:
    types = ("keyword", "long", "long", "long")
    return [
        {f"skytrail.kafka.{name}": {"order": "asc", "missing": "_last", "unmapped_type": kind}}
        for name, kind in zip(_PLACE, types, strict=True)
    ]
