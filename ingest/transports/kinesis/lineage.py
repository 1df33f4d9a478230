"""Which shards may be read now. Pure.

A shard is split, or merged with its neighbour: it is closed then, and its children go on. They are read after their
parents are acknowledged to the end, so that the records of one partition key keep their order.

https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-after-resharding.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ingest.transports.kinesis.checkpoint import Mark


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard that the stream knows, closed ones included.

    Attributes:
        parents: None, the one that was split, or the two that were merged.
    """

    id: str
    parents: tuple[str, ...] = ()


def shard_of(answer: Mapping[str, Any]) -> Shard:
    """As ListShards tells it."""
    parents = (answer.get("ParentShardId"), answer.get("AdjacentParentShardId"))
    return Shard(answer["ShardId"], tuple(parent for parent in parents if parent))


def readable(shards: Iterable[Shard], marks: Mapping[str, Mark]) -> Iterator[str]:
    """The shards to read, in the order given: not done, and no parent of theirs is left to be read.

    A parent that the stream no longer knows has expired: nothing of it can be read.
    """
    known = {shard.id: shard for shard in shards}
    done = {shard for shard, mark in marks.items() if mark.done}
    for shard in known.values():
        if shard.id not in done and all(parent in done or parent not in known for parent in shard.parents):
            yield shard.id
