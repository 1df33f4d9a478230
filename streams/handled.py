"""Whether every role is done with what a collector that ended has brought, while others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from ingest.schema.errors import BrokerUnavailable
from ingest.settings import KafkaSettings
from streams.accounting import Account, merge_latest
from streams.accounts import read_compacted
from streams.arrivals import is_of
from streams.status import SourceStatus, ends_of, lag_of, summarise, topics_read
from streams.topics import ACCOUNTING

_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of the records of one collector.

    Attributes:
        sources: Of it, with their counts.
        lag: Messages per role that lay in Kafka at the beginning and are not done.
    """

    sources: Sequence[SourceStatus]
    lag: Mapping[str, int]

    @property
    def done(self) -> bool:
        """Whether every role is done with what lay there, and no record is unaccounted for."""
        return not any(self.lag.values()) and not any(any(source.residue.values()) for source in self.sources)


async def wait_until_handled(
    kafka: KafkaSettings, formats: Sequence[str], collector: str, *, timeout_s: float
) -> Handled:
    """Wait until every role is done with what lies in Kafka now, or the time is over.

    Args:
        kafka: How to reach it.
        formats: All that there are.
        collector: It has ended: what it brought lies in Kafka.
        timeout_s: Seconds.

    Raises:
        BrokerUnavailable: Kafka does not answer or topics are missing.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    try:
        ends = await ends_of(kafka, topics_read(formats))
        while True:
            accounts = merge_latest([value for _, value in await read_compacted(kafka, ACCOUNTING)])
            found = handled(list(accounts.values()), ends, formats, collector)
            if found.done or asyncio.get_running_loop().time() >= deadline:
                return found
            await asyncio.sleep(_LOOK_EVERY_S)
    except KafkaError as exc:
        raise BrokerUnavailable(f"reading accounts: {exc!r}", where=kafka.bootstrap_servers) from exc


def handled(
    accounts: Sequence[Account], ends: Mapping[tuple[str, int], int], formats: Sequence[str], collector: str
) -> Handled:
    """What the accounts say of a collector, held against earlier ends of the topics. Pure."""
    status = summarise(accounts, ends, formats, None)
    own = [source for source in status.sources if is_of(f"||{source.collector}", collector)]
    return Handled(own, lag_of(accounts, ends, formats))
