"""Reads what a query finds from one unchanging view of indices, page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from elasticsearch import AsyncElasticsearch

_KEEP_ALIVE: Final = "5m"


async def hits(
    client: AsyncElasticsearch,
    looked_into: Sequence[str],
    query: Mapping[str, Any] | None,
    sort: Sequence[Mapping[str, Any]],
    page: int,
    fields: Sequence[str] | None = None,
) -> AsyncGenerator[Mapping[str, Any], None]:
    """Every hit, in order; none where there is no such index. Whoever stops early closes it, which frees the view.

    Args:
        client: Of an identity that may read.
        looked_into: Patterns of indices.
        query: In Elasticsearch's terms; None: all.
        sort: What comes first; the order of the shards breaks ties.
        page: Hits of a request.
        fields: Only these of the documents; None: all.

    Raises:
        ApiError: Elasticsearch refuses.
        TransportError: It does not answer.
    """
    opened = await client.open_point_in_time(
        index=list(looked_into), keep_alive=_KEEP_ALIVE, ignore_unavailable=True, expand_wildcards="open"
    )
    view, after = opened["id"], None
    try:
        while True:
            answer = await client.search(
                pit={"id": view, "keep_alive": _KEEP_ALIVE},
                query=query,
                sort=[*sort, {"_shard_doc": "asc"}],
                size=page,
                search_after=after,
                source_includes=fields,
                track_total_hits=False,
                allow_partial_search_results=False,
            )
            view, found = answer.get("pit_id", view), answer["hits"]["hits"]
            for hit in found:
                yield hit
            if len(found) < page:
                return
            after = found[-1]["sort"]
    finally:
        await client.close_point_in_time(id=view)
