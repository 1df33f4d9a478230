"""Creates the topics and says what differs between what they are and what they should be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.new_partitions import NewPartitions
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from ingest.kafka_client import client_options
from ingest.schema.errors import BrokerUnavailable
from ingest.settings import KafkaSettings
from streams.topics import Topic

HOUR_MS = 3600 * 1000
MINUTE_MS = 60 * 1000
VISIBLE_TRIES = 100


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic: what was done, and what differs from the settings.

    Attributes:
        state: `created`, `same`, `changed` (settings applied) or `differs`.
        differences: In words, e.g. `partitions: 4, should be 8`.
    """

    name: str
    partitions: int
    state: str
    differences: tuple[str, ...] = ()


def wanted_config(topic: Topic, kafka: KafkaSettings) -> dict[str, str]:
    """Kafka's own settings of a topic."""
    retention = topic.retention_ms if topic.retention_ms is not None else kafka.raw_retention_h * HOUR_MS
    config = {
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "retention.ms": str(retention),
        "min.insync.replicas": str(kafka.min_insync_replicas),
        "max.message.bytes": str(kafka.max_message_bytes),
        "compression.type": "producer",
        "message.timestamp.type": "LogAppendTime",  # clocks of senders decide neither what came when nor when it goes
    }
    if topic.compacted:
        config |= {
            "segment.ms": str(HOUR_MS),
            "segment.bytes": str(8 * 1024 * 1024),
            "min.cleanable.dirty.ratio": "0.2",
            # until then a late write of a worker that was taken for dead is told from the newer one by its offset
            "min.compaction.lag.ms": str(MINUTE_MS * 10),
        }
    return config


async def ensure_topics(kafka: KafkaSettings, topics: Sequence[Topic], *, apply: bool = True) -> list[TopicState]:
    """Create what is missing; add partitions and correct settings where `apply`; report every topic.

    Partitions are never fewer than they are: Kafka can't take them back, and keys would move.

    Raises:
        BrokerUnavailable: The brokers do not answer or refuse.
    """
    admin = AIOKafkaAdminClient(**client_options(kafka), request_timeout_ms=20_000)
    try:
        await admin.start()
        known = await _known(admin)
        states = [await _ensure(admin, kafka, topic, known, apply=apply) for topic in topics]
        await _until_visible(admin, {state.name for state in states if state.state == "created"})
    except KafkaError as exc:
        raise BrokerUnavailable(f"creating topics: {exc!r}", where=kafka.bootstrap_servers) from exc
    else:
        return states
    finally:
        await admin.close()


async def _known(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Topic → partitions."""
    return {row["topic"]: len(row["partitions"]) for row in await admin.describe_topics() if not row["error_code"]}


async def _until_visible(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Brokers learn of a new topic a moment after its creation; clients that ask earlier get an error."""
    for _ in range(VISIBLE_TRIES):
        if names <= (await _known(admin)).keys():
            return
        await asyncio.sleep(0.1)
    raise BrokerUnavailable(f"creating topics: {', '.join(sorted(names))} created but not visible after 10 s")


async def _ensure(
    admin: AIOKafkaAdminClient, kafka: KafkaSettings, topic: Topic, known: Mapping[str, int], *, apply: bool
) -> TopicState:
    config = wanted_config(topic, kafka)
    if topic.name not in known:
        if not apply:
            return TopicState(topic.name, 0, "missing", ("does not exist",))
        await _create(admin, NewTopic(topic.name, kafka.partitions, kafka.replication_factor, topic_configs=config))
        return TopicState(topic.name, kafka.partitions, "created")
    differences = [
        f"{name}: {actual}, should be {config[name]}"
        for name, actual in sorted((await _config(admin, topic.name)).items())
        if name in config and actual != config[name]
    ]
    partitions = known[topic.name]
    if differences and apply:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=config)])
    if partitions < kafka.partitions and apply:
        await admin.create_partitions({topic.name: NewPartitions(total_count=kafka.partitions)})
    if partitions != kafka.partitions:
        differences.append(f"partitions: {partitions}, should be {kafka.partitions}")
    return TopicState(topic.name, partitions, _state(differences, partitions, kafka, apply=apply), tuple(differences))


def _state(differences: list[str], partitions: int, kafka: KafkaSettings, *, apply: bool) -> str:
    if not differences:
        return "same"
    return "changed" if apply and partitions <= kafka.partitions else "differs"


async def _create(admin: AIOKafkaAdminClient, topic: NewTopic) -> None:
    response = await admin.create_topics([topic])
    for row in response.topic_errors:
        error = for_code(row[1])
        if row[1] and error is not TopicAlreadyExistsError:
            raise error(f"{row[0]}: {row[2] if len(row) > 2 else ''}")  # noqa: PLR2004 - older protocol without message


async def _config(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for response in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]):
        for resource in response.resources:
            found |= {entry[0]: entry[1] for entry in resource[4]}
    return found
