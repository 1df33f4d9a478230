"""Where to begin in a partition of which the group has no offset.

`latest` means: leave out what was there before the first start, and nothing later. So where a partition begins is
committed as soon as it is chosen, or a restart before the first message of a quiet partition would choose a later end;
and a partition that was added since the group began is read from its first message.

A file remembers what was begun. No offset of such a partition means that the brokers forgot it: the topic was deleted,
and its offsets with it, or they expired while this collector was away.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from ingest.schema.errors import SkytrailError, SourceUnavailable, StoreUnavailable
from ingest.transports.checkpoints.document import Versioned, load, store


class _Document(Versioned, kw_only=True):
    group: str
    topics: dict[str, list[int]]


class Beginnings:
    """What one group has begun. Its brokers are asked once for each topic.

    Args:
        file: Where it is kept.
        group: The consumer group.
        warn: Hears that it could not be kept.

    Raises:
        ConfigError: The file is there and can't be read.
    """

    def __init__(self, file: Path, group: str, warn: Callable[[SkytrailError], None]) -> None:
        found = load(file, _Document, otherwise="offsets that the brokers forgot are then not noticed")
        self._file = file
        self._group = group
        self._warn = warn
        self._topics = found.topics if found and found.group == group else {}
        self._first: dict[str, frozenset[int]] = {}

    def is_known(self, partition: TopicPartition) -> bool:
        """Whether the partition was begun before."""
        return partition.partition in self._topics.get(partition.topic, ())

    def note(self, partition: TopicPartition) -> None:
        """The partition is begun."""
        if self.is_known(partition):
            return
        self._topics.setdefault(partition.topic, []).append(partition.partition)
        try:
            store(self._file, _Document(group=self._group, topics=self._topics))
        except OSError as exc:
            mend = "free space or correct permissions; until then offsets that the brokers forget are not noticed"
            what = f"saving checkpoint: {exc.strerror or exc}"
            self._warn(StoreUnavailable(what, where=str(self._file), mend=mend))

    async def is_new(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> bool:
        """Whether the topic had been begun by the group before it had this partition.

        Raises:
            KafkaError: The brokers can't be asked.
        """
        topic = partition.topic
        if topic not in self._first:
            there = frozenset(consumer.partitions_for_topic(topic) or ())
            begun = [await consumer.committed(TopicPartition(topic, number)) for number in sorted(there)]
            known = all(offset is None for offset in begun)
            self._first[topic] = there if known else frozenset()
        return partition.partition not in self._first[topic]


def forgotten(partition: TopicPartition) -> SourceUnavailable:
    """The brokers do not know any longer how far a partition was read."""
    return SourceUnavailable(
        "reading topic: the brokers forgot how far it was read, it was made anew or the offsets expired; "
        "reading its beginning",
        where=f"{partition.topic}/{partition.partition}",
        mend="find out who did it, or raise offsets.retention.minutes there; what was deleted and not read before is "
        "lost at the source, what was read before comes as duplicates",
    )


def left_out(partition: TopicPartition, first: int, end: int) -> SourceUnavailable:
    """What a start at the end does not read."""
    return SourceUnavailable(
        f"reading topic: the group has no offset there, so it begins at the end and leaves {end - first} messages out",
        where=f"{partition.topic}/{partition.partition}/{end}",
        mend="nothing at the first start of this collector; else set start_at to earliest, and give it a new group_id",
    )
