"""What of a collector has arrived: the count of the roles, and when the watch last saw it grow."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from ingest.schema.errors import BrokerUnavailable
from ingest.settings import KafkaSettings
from streams.accounting import merge_latest
from streams.accounts import read_compacted
from streams.source_watch import received_by_source, remembered
from streams.status import summarise
from streams.topics import ACCOUNTING, SOURCE_WATCH


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Of one collector, all its senders and formats together.

    Attributes:
        records: Received by the roles since the installation began.
        last_at: When the watch over sources last saw that number grow (UTC); None before it did.
        refused: How many of them are dead letters.
        silent: Of it, what the watch holds silent: the collector, or senders of it.
    """

    records: int
    last_at: dt.datetime | None
    refused: int = 0
    silent: tuple[str, ...] = ()


async def read_arrivals(kafka: KafkaSettings, collector: str) -> Arrivals:
    """Read accounts and the watch's memory.

    Raises:
        BrokerUnavailable: Kafka does not answer.
        IntegrityError: The watch's memory can't be read.
    """
    try:
        accounts = merge_latest([value for _, value in await read_compacted(kafka, ACCOUNTING)])
        memory = await read_compacted(kafka, SOURCE_WATCH)
    except KafkaError as exc:
        raise BrokerUnavailable(f"reading accounts: {exc!r}", where=kafka.bootstrap_servers) from exc
    found = list(accounts.values())
    records = sum(count for source, count in received_by_source(found).items() if is_of(source, collector))
    rows = [row for row in summarise(found, {}, (), None).sources if is_of(f"||{row.collector}", collector)]
    states = [state for source, state in remembered(memory).sources.items() if is_of(source, collector)]
    last = max((state.grew_at for state in states), default=0)
    return Arrivals(
        records,
        dt.datetime.fromtimestamp(last / 1000, dt.UTC) if last else None,
        sum(row.dead_lettered for row in rows),
        tuple(sorted({state.sender for state in states if state.silent_since})),
    )


def is_of(source: str, collector: str) -> bool:
    """Whether a source (`namespace|format|collector`, perhaps `…/sender`) is of a collector."""
    return source.split("|", 2)[-1].partition("/")[0] == collector
