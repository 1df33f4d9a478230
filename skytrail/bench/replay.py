"""The bare way into Elasticsearch: documents that are bytes already, sent by the plain client, with nothing around it.

What it reaches is what Elasticsearch on this machine takes; the whole road is judged by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson
from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from ingest.schema.errors import IndexUnavailable
from storage.index.bulk import BulkItem
from storage.index.client import explain

Pair = tuple[bytes, bytes]
"""A line that says where a document goes, and the document."""


def bulks(items: Iterable[BulkItem], bulk_bytes: int) -> Iterator[list[Pair]]:
    """The documents in bulks of at most that many bytes, as the bulk API takes them."""
    pairs: list[Pair] = []
    size = 0
    for item in items:
        action = orjson.dumps({"create": {"_index": item.index, "_id": item.id}})
        if pairs and size + len(action) + len(item.body) > bulk_bytes:
            yield pairs
            pairs, size = [], 0
        pairs.append((action, item.body))
        size += len(action) + len(item.body)
    if pairs:
        yield pairs


async def replay(client: AsyncElasticsearch, ready: Sequence[list[Pair]], in_flight: int) -> None:
    """Send every bulk; returns when all are answered.

    Args:
        client: Of the indexer.
        ready: See `bulks`.
        in_flight: Requests at once.

    Raises:
        IndexUnavailable: A document was not created: what was measured is not what was meant.
    """
    rest = iter(ready)

    async def send() -> None:
        for pairs in rest:
            operations: Any = [
                line for pair in pairs for line in pair
            ]  # bytes go as they are; the types know maps only
            answer = await client.bulk(operations=operations, filter_path="errors,items.*.error.reason")
            if answer["errors"]:
                told = next(item["create"]["error"]["reason"] for item in answer["items"] if item)
                raise IndexUnavailable(f"replaying documents: one was refused: {told}")

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(send())
    except* (ApiError, TransportError) as failed:
        first = failed.exceptions[0]
        assert isinstance(first, ApiError | TransportError)
        raise explain(first, "replaying documents") from first
