"""Compares the documents that were refused as duplicates with what is stored under their ids.

The writer can't read, so this runs beside the index path with the reader identity. Reading by id sees documents at
once, before any refresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from ingest.schema.envelope import Position
from storage.index.client import explain

Verdict = Literal["replay", "duplicate", "equivocation", "missing"]
"""What a conflict was.

* `replay`: the stored document is of the same place in Kafka: we wrote it ourselves, earlier;
* `duplicate`: the same bytes came again by another way;
* `equivocation`: other bytes under an id already taken: someone rewrote an event;
* `missing`: not found or not readable now: ask again later.
"""

BATCH: Final = 500
"""Ids per request."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A document whose id was taken.

    Attributes:
        index: Where it was to be created.
        id: Its document id.
        leaf_hex: Leaf hash of its record, as in `event.hash`.
        position: Its place in Kafka.
    """

    index: str
    id: str
    leaf_hex: str
    position: Position


async def compare(client: AsyncElasticsearch, conflicts: Sequence[Conflict]) -> list[Verdict]:
    """The verdict on each conflict, in order.

    Args:
        client: Of the reader identity.
        conflicts: Any number; they are read in batches.

    Raises:
        IndexUnavailable: Elasticsearch does not answer; ask again with the same conflicts.
    """
    verdicts: list[Verdict] = []
    for start in range(0, len(conflicts), BATCH):
        part = conflicts[start : start + BATCH]
        try:
            answer = await client.mget(
                docs=[{"_index": conflict.index, "_id": conflict.id} for conflict in part],
                source_includes=["event.hash", "skytrail.kafka"],
            )
        except (ApiError, TransportError) as exc:
            raise explain(exc, "comparing duplicates with what is stored") from exc
        verdicts.extend(verdict(conflict, stored) for conflict, stored in zip(part, answer["docs"], strict=True))
    return verdicts


def verdict(conflict: Conflict, stored: dict[str, Any]) -> Verdict:
    """The verdict on one conflict, from one element of the answer to a multi-get."""
    if not stored.get("found"):
        return "missing"
    source = stored["_source"]
    if source.get("event", {}).get("hash") != conflict.leaf_hex:
        return "equivocation"
    kafka = source.get("skytrail", {}).get("kafka", {})
    here = conflict.position
    same = (kafka.get("topic"), kafka.get("partition"), kafka.get("offset"), kafka.get("index")) == (
        here.topic,
        here.partition,
        here.offset,
        here.index,
    )
    return "replay" if same else "duplicate"
