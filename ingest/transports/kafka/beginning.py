"""Where to begin in a partition of which the group has no offset.

`latest` means: leave out what was there before the first start, and nothing later. So the end of each partition is
committed as soon as it is chosen, or a restart before the first message of a quiet partition would choose a later
one; and a partition that was added since the group began is read from its first message.
"""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition

from ingest.schema.errors import SourceUnavailable


class Beginnings:
    """What one group has begun. Its brokers are asked once for each topic."""

    def __init__(self) -> None:
        self._first: dict[str, frozenset[int]] = {}

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


def left_out(partition: TopicPartition, first: int, end: int) -> SourceUnavailable:
    """What a start at the end does not read."""
    return SourceUnavailable(
        f"reading topic: the group has no offset there, so it begins at the end and leaves {end - first} messages out",
        where=f"{partition.topic}/{partition.partition}/{end}",
        mend="nothing at the first start; later it says that the brokers forgot the group's offsets: set start_at to "
        "earliest, or what arrived while this collector was away is not read",
    )
