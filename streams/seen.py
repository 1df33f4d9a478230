"""Reads the evaluation ledger from Kafka: what a rule saw of the raw topics, and since when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from detectors.sigma.engine import applies
from ingest.formats.contract import LogSource
from ingest.formats.registry import all_formats
from ingest.kafka_client import client_options
from ingest.schema.errors import BrokerUnavailable
from ingest.settings import KafkaSettings
from streams.accounting import Account, merge_latest
from streams.accounts import read_compacted
from streams.evaluations import Runs, Seen, decode_runs, seen_by
from streams.rulesets import RuleSet, unpack
from streams.topics import ACCOUNTING, EVALUATIONS, RULESETS, raw_topic

_ROLE = "detect"


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that is written down.

    Attributes:
        accounts: Of the role detect, by raw topic and partition.
        sets: Rule sets by version.
    """

    accounts: Mapping[tuple[str, int], Account]
    runs: Runs
    sets: Mapping[str, RuleSet]

    def log_sources(self, rule: str) -> list[LogSource]:
        """What a rule was ever about, by id or UUID; nothing where no rule set has it."""
        found = (ruleset.find(rule) for ruleset in self.sets.values())
        return [source for entry in found if entry for source in entry.log_sources()]

    def seen(self, rule: str, spans: Mapping[tuple[str, int], tuple[int, int]]) -> list[Seen]:
        """What a rule saw of these spans, by topic, partition and offset; see `evaluations.seen_by`."""
        parts: list[Seen] = []
        for (topic, partition), span in sorted(spans.items()):
            account = self.accounts.get((topic, partition)) or Account(_ROLE, topic, partition)
            parts += seen_by(rule, account, self.runs, self.sets, span)
        return parts


def since(parts: Sequence[Seen]) -> str | None:
    """From when on a rule has seen everything, up to the newest record; None where it does not see all of it now.

    Args:
        parts: As `Ledger.seen` gives them.
    """
    begins: dict[tuple[str, int], str | None] = {}
    for part in parts:
        key = part.topic, part.partition
        if part.seen == "not yet":
            continue
        before = begins.get(key)
        begins[key] = (before or part.since) if part.seen == "yes" else None
    found = list(begins.values())
    return max(each for each in found if each) if found and all(found) else None


def topics_of(sources: Sequence[LogSource]) -> list[str]:
    """The raw topics of the formats that rules of these log sources see."""
    return [
        raw_topic(name)
        for name, format_ in all_formats().items()
        if any(applies(source, format_.log_source) for source in sources)
    ]


async def read_ledger(kafka: KafkaSettings) -> Ledger:
    """Read it.

    Raises:
        BrokerUnavailable: The brokers do not answer.
        UnsupportedEnvelope: It was written by a later version.
    """
    try:
        accounts = merge_latest([value for _, value in await read_compacted(kafka, ACCOUNTING)])
        runs = decode_runs(value for _, value in await read_compacted(kafka, EVALUATIONS))
        sets = unpack(await read_compacted(kafka, RULESETS))
    except KafkaError as exc:
        raise _away(kafka, exc) from exc
    ours = {(topic, partition): each for (role, topic, partition), each in accounts.items() if role == _ROLE}
    return Ledger(ours, runs, sets)


async def read_spans(
    kafka: KafkaSettings, topics: Sequence[str], start: dt.datetime | None, end: dt.datetime | None
) -> dict[tuple[str, int], tuple[int, int]]:
    """First offset, and the one behind the last, of what came within a time, by topic and partition.

    Where Kafka no longer has records of the beginning, everything that it lacks is taken for part of the time.

    Raises:
        BrokerUnavailable: The brokers do not answer.
    """
    consumer = AIOKafkaConsumer(**client_options(kafka), enable_auto_commit=False)
    try:
        await consumer.start()
        await consumer._client.force_metadata_update()  # noqa: SLF001 - no public call asks for all topics
        metadata = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - same
        places = [
            TopicPartition(topic, number) for topic in topics for number in metadata.partitions_for_topic(topic) or ()
        ]
        if not places:
            return {}
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        first = await _offsets_at(consumer, places, start)
        last = await _offsets_at(consumer, places, end)
    except KafkaError as exc:
        raise _away(kafka, exc) from exc
    finally:
        await consumer.stop()
    spans = {}
    for place in places:
        low = 0 if start is None else first.get(place, ends[place])
        high = last.get(place, ends[place])
        spans[place.topic, place.partition] = (0 if low <= begins[place] else low, high)
    return spans


async def _offsets_at(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], time: dt.datetime | None
) -> dict[TopicPartition, int]:
    """The first offset at or after a time; of partitions that have nothing so late there is none."""
    if time is None:
        return {}
    millis = int(time.timestamp() * 1000)
    found = await consumer.offsets_for_times(dict.fromkeys(places, millis))
    return {place: at.offset for place, at in found.items() if at is not None}


def _away(kafka: KafkaSettings, error: KafkaError) -> BrokerUnavailable:
    return BrokerUnavailable(f"reading the evaluation ledger: {error!r}", where=kafka.bootstrap_servers)
