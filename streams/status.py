"""The state of the whole road: accounts of every role, lag, residue.

Received is counted by the sealer from the archive, the outcomes by the other roles: at rest they must agree exactly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ingest.kafka_client import client_options
from ingest.schema.errors import BrokerUnavailable
from ingest.settings import KafkaSettings
from streams import accounting as a
from streams.accounting import Account, merge_latest
from streams.accounts import read_compacted
from streams.topics import ACCOUNTING, CONFLICTS, DEAD_LETTERS, DETECTIONS, SIGNALS, raw_topic

_NAMED = 3  # topics that a message lists
ROLES = ("seal", "detect", "index")


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What became of the records of one source. `residue` is 0 when every record is accounted for."""

    namespace: str
    format: str
    collector: str
    received: int
    indexed: int
    duplicate: int
    dead_lettered: int
    filtered: int
    sealed: int
    evaluated: int
    residue: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Status:
    """Everything `skytrail status` shows.

    Attributes:
        lag: Messages not yet done per role (the resolver and the alert agent count to index and detect).
    """

    sources: Sequence[SourceStatus]
    lag: Mapping[str, int]
    equivocations: int
    totals: Mapping[str, int] = field(default_factory=dict)

    @property
    def caught_up(self) -> bool:
        """Whether nothing is under way and nothing is unaccounted for."""
        return not any(self.lag.values()) and not self.totals.get("residue", 0)


async def read_status(kafka: KafkaSettings, formats: Sequence[str], namespace: str | None = None) -> Status:
    """Read the accounts and the lag: caught up is a road that has done all that was there when it was asked.

    The ends come first. The other way round, what arrives and is done between the two would look like a lag: agents
    tell each other the time every few seconds, so a road at rest would hardly ever seem to be.

    Raises:
        BrokerUnavailable: Kafka does not answer or the topics are missing.
    """
    try:
        ends = await ends_of(kafka, topics_read(formats))
        values = [value for _, value in await read_compacted(kafka, ACCOUNTING)]
    except KafkaError as exc:
        raise BrokerUnavailable(f"reading accounts: {exc!r}", where=kafka.bootstrap_servers) from exc
    return summarise(list(merge_latest(values).values()), ends, formats, namespace)


def topics_read(formats: Sequence[str]) -> list[str]:
    """The topics whose ends tell the lag."""
    return [*(raw_topic(name) for name in formats), DEAD_LETTERS, CONFLICTS, DETECTIONS, SIGNALS]


def summarise(
    accounts: Sequence[Account], ends: Mapping[tuple[str, int], int], formats: Sequence[str], namespace: str | None
) -> Status:
    """Join the roles' accounts into one row per source. Pure."""
    merged: dict[str, dict[str, dict[str, int]]] = {}
    for account in accounts:
        for source, counts in account.sources.items():
            into = merged.setdefault(source, {}).setdefault(account.role, {})
            for outcome, number in counts.items():
                into[outcome] = into.get(outcome, 0) + number
    rows = [_row(source, roles) for source, roles in sorted(merged.items())]
    rows = [row for row in rows if namespace in (None, row.namespace)]
    names = ("received", "indexed", "duplicate", "dead_lettered", "filtered", "sealed", "evaluated")
    totals = {name: sum(getattr(row, name) for row in rows) for name in names}
    totals["residue"] = sum(abs(n) for row in rows for n in row.residue.values())
    equivocations = sum(
        roles.get("resolve", {}).get(a.EQUIVOCATION, 0)
        for source, roles in merged.items()
        if namespace in (None, source.partition("|")[0])
    )
    return Status(rows, lag_of(accounts, ends, formats), equivocations, totals)


def _row(source: str, roles: Mapping[str, Mapping[str, int]]) -> SourceStatus:
    namespace, format_name, collector = source.split("|", 2)
    seal, index, detect, resolve = (roles.get(role, {}) for role in ("seal", "index", "detect", "resolve"))
    at_collect = seal.get(a.COLLECT_REFUSED, 0)
    received = max(seal.get(a.RECEIVED, 0), index.get(a.RECEIVED, 0), detect.get(a.RECEIVED, 0)) + at_collect
    again = resolve.get(a.REPLAY, 0) + resolve.get(a.EQUIVOCATION, 0)
    indexed = index.get(a.CREATED, 0) + again
    late = resolve.get(a.DEAD_LETTERED, 0)
    duplicate = index.get(a.CONFLICT, 0) - again - late
    dead = index.get(a.DEAD_LETTERED, 0) + late + at_collect
    filtered = index.get(a.FILTERED, 0)
    sealed = seal.get(a.SEALED, 0) + at_collect
    evaluated = detect.get(a.EVALUATED, 0) + detect.get(a.DEAD_LETTERED, 0) + detect.get(a.FILTERED, 0)
    return SourceStatus(
        namespace,
        format_name,
        collector,
        received,
        indexed,
        duplicate,
        dead,
        filtered,
        sealed,
        evaluated,
        {
            "index": received - indexed - duplicate - dead - filtered,
            "seal": received - sealed,
            "detect": received - at_collect - evaluated,
        },
    )


def lag_of(accounts: Sequence[Account], ends: Mapping[tuple[str, int], int], formats: Sequence[str]) -> dict[str, int]:
    """Messages not yet done per role, from the accounts and the ends of the topics. Pure."""
    done = {(acc.role, acc.topic, acc.partition): acc.next_offset for acc in accounts}
    raw = [raw_topic(name) for name in formats]
    reads = {
        "seal": [("seal", topic) for topic in [*raw, DEAD_LETTERS]],
        "detect": [*(("detect", topic) for topic in raw), ("alert", DETECTIONS), ("correlate", SIGNALS)],
        "index": [*(("index", topic) for topic in raw), ("resolve", CONFLICTS)],
    }
    return {
        role: sum(
            max(0, end - done.get((reader, topic, partition), 0))
            for reader, topic in pairs
            for (t, partition), end in ends.items()
            if t == topic
        )
        for role, pairs in reads.items()
    }


async def ends_of(kafka: KafkaSettings, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """End offsets of every partition of these topics."""
    admin = AIOKafkaAdminClient(**client_options(kafka))
    await admin.start()
    try:
        rows = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    missing = [row["topic"] for row in rows if row["error_code"]]
    if missing:
        more = f" and {len(missing) - _NAMED} others" if len(missing) > _NAMED else ""
        told = f"reading offsets: no topic {', '.join(sorted(missing)[:_NAMED])}{more}"
        raise BrokerUnavailable(told, mend="create the topics: `skytrail topics`")
    partitions = [TopicPartition(row["topic"], p["partition"]) for row in rows for p in row["partitions"]]
    consumer = AIOKafkaConsumer(**client_options(kafka), enable_auto_commit=False)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()
    return {(tp.topic, tp.partition): end for tp, end in ends.items()}


async def wait_until_caught_up(
    kafka: KafkaSettings, formats: Sequence[str], *, timeout_s: float, namespace: str | None = None
) -> Status:
    """Poll until every role has caught up twice in a row, or the time is over; returns the last status."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    quiet = 0
    while True:
        status = await read_status(kafka, formats, namespace)
        quiet = quiet + 1 if status.caught_up else 0
        if quiet > 1 or asyncio.get_running_loop().time() >= deadline:
            return status
        await asyncio.sleep(0.5)
