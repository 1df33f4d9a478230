"""How much of what Elasticsearch takes the road Kafka → role index → Elasticsearch reaches, beside a bare replay.

Both ways write the same documents, each into indices of its own, in turns: first one way begins, then the other.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from elasticsearch import AsyncElasticsearch

from ingest.schema import envelope as envelopes
from ingest.schema.envelope import Envelope, Header, Origin, Position, pack
from skytrail.bench.processor_time import ProcessorTime
from skytrail.bench.replay import Pair, bulks, replay
from skytrail.bench.road import Road
from skytrail.bench.samples import FORMATS, everyday
from skytrail.settings import Settings
from storage.index.bulk import BulkItem
from storage.index.client import connect
from storage.index.documents import serialise
from storage.index.names import pattern
from storage.index.visibility import make_visible
from streams.naming import namer
from streams.preparing import Limits, prepare
from streams.topics import raw_topic

BARE: Final = "bare replay"
ROAD: Final = "whole road"
BARE_NAMESPACE: Final = "bench_bare"
ROAD_NAMESPACE: Final = "bench_road"
WARM_UP: Final = 4000
"""Documents of the round before the first: it makes the indices and wakes everybody up."""
TIMEOUT_S: Final = 300.0
_SETTLE_S: Final = 20.0

Tell = Callable[[str, int, int], None]
"""What is being done, rounds done, rounds in all."""


@dataclass(frozen=True, slots=True)
class Load:
    """The documents of one round, ready for both ways.

    Attributes:
        documents: How many.
        document_bytes: Mean size as JSON.
        bare: For the bare replay.
        road: For the whole road.
    """

    documents: int
    document_bytes: int
    bare: list[list[Pair]]
    road: list[Envelope]


@dataclass(frozen=True, slots=True)
class Lap:
    """One way in one round.

    Attributes:
        cpu_us: Processor time per document and process, microseconds.
    """

    round: int
    way: str
    documents: int
    seconds: float
    documents_per_s: int
    cpu_us: dict[str, float]


@dataclass(frozen=True, slots=True)
class Result:
    """What a measurement says.

    Attributes:
        ratio: Whole road to bare replay: the median of the rounds, each with its own ratio.
        bare_documents_per_s: The best round of the bare replay.
        road_documents_per_s: The best round of the whole road.
    """

    document_bytes: int
    bulk_max_bytes: int
    bulk_in_flight: int
    bare_documents_per_s: int
    road_documents_per_s: int
    ratio: float
    ratios: list[float]
    laps: list[Lap]


def prepare_load(settings: Settings, documents: int, round_: int, now: dt.datetime) -> Load:
    """Generate a round's records, other ones for each round, and make both ways' input of them."""
    bare: list[BulkItem] = []
    road: list[Envelope] = []
    each = documents // len(FORMATS)
    for name in FORMATS:
        records = everyday(name, each, seed=round_, end=now)
        road += pack(_header(name, ROAD_NAMESPACE, now), records)
        for number, one in enumerate(pack(_header(name, BARE_NAMESPACE, now), records)):
            bare += _items(settings, one, Position(raw_topic(name), number % settings.kafka.partitions, number), now)
    size = sum(len(item.body) for item in bare)
    return Load(len(bare), size // len(bare), list(bulks(bare, settings.elasticsearch.bulk_max_bytes)), road)


def _header(format_name: str, namespace: str, now: dt.datetime) -> Header:
    origin = Origin(transport="bench", locator=f"bench/{format_name}/{now:%Y/%m/%d}/generated.json.gz", sha256="0" * 64)
    return Header(format=format_name, namespace=namespace, collector="bench", received_at=now, origin=origin)


def _items(settings: Settings, one: Envelope, position: Position, now: dt.datetime) -> list[BulkItem]:
    """What the role index would write for an envelope."""
    limits = Limits.of(settings.worker.max_future_h, settings.worker.max_age_d)
    name = namer(settings.elasticsearch)
    found = []
    for prepared in prepare(envelopes.encode(one), position, now, limits).records:
        stream = prepared.identified.document["data_stream"]
        index = name(stream["dataset"], stream["namespace"], prepared.event_time)
        found.append(BulkItem(index, prepared.identified.id, serialise(prepared.identified.document)))
    return found


class Measurement:
    """Runs the laps."""

    def __init__(self, settings: Settings, pids: dict[str, int], alive: Callable[[], None]) -> None:
        """Compose.

        Args:
            settings: With engines that nobody else uses, and a role index running on them.
            pids: Of the engines and of the role, for the account of processor time.
            alive: Raises when the role has ended.
        """
        self._settings = settings
        self._pids = pids
        self._alive = alive

    async def run(self, documents: int, rounds: int, tell: Tell) -> Result:
        """Measure.

        Args:
            documents: Of each lap.
            rounds: Measured rounds, two laps each.
            tell: Hears about progress.

        Raises:
            IndexUnavailable: Elasticsearch refused something.
            EngineError: The role did not finish.
        """
        search = self._settings.elasticsearch
        indexer, reader = connect(search, "indexer"), connect(search, "reader")
        road = Road(self._settings.kafka, ROAD_NAMESPACE, self._alive)
        laps: list[Lap] = []
        size = 0
        try:
            await road.open()
            for number in range(rounds + 1):
                tell("generating documents", number, rounds + 1)
                now = dt.datetime.now(dt.UTC)
                load = prepare_load(self._settings, documents if number else min(WARM_UP, documents), number, now)
                size = load.document_bytes
                gc.collect()
                for way in (BARE, ROAD) if number % 2 else (ROAD, BARE):
                    await self._settle(reader)
                    tell(way, number, rounds + 1)
                    laps.append(await self._lap(number, way, load, indexer, road))
            tell("done", rounds + 1, rounds + 1)
        finally:
            await road.close()
            await indexer.close()
            await reader.close()
        return result_of([lap for lap in laps if lap.round], size, search.bulk_max_bytes, search.bulk_in_flight)

    async def _lap(self, number: int, way: str, load: Load, indexer: AsyncElasticsearch, road: Road) -> Lap:
        processors = ProcessorTime(self._pids)
        began = time.monotonic()
        if way == BARE:
            await replay(indexer, load.bare, self._settings.elasticsearch.bulk_in_flight)
        else:
            await road.travel(load.road, TIMEOUT_S)
        seconds = time.monotonic() - began
        cpu_us = {name: round(spent / load.documents * 1e6, 1) for name, spent in processors.spent().items()}
        return Lap(number, way, load.documents, round(seconds, 2), round(load.documents / seconds), cpu_us)

    async def _settle(self, reader: AsyncElasticsearch) -> None:
        """Let Elasticsearch finish what the lap before left to it: refreshes and merges are part of no other lap."""
        deadline = time.monotonic() + _SETTLE_S
        for namespace in (BARE_NAMESPACE, ROAD_NAMESPACE):
            await make_visible(reader, namespace)
        while time.monotonic() < deadline:
            answer = await reader.indices.stats(index=pattern(None, "bench_*"), metric="merge")
            if not answer["_all"]["total"].get("merges", {}).get("current", 0):
                break
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.5)


def result_of(laps: Sequence[Lap], document_bytes: int, bulk_max_bytes: int, bulk_in_flight: int) -> Result:
    """Sum up the measured laps. Pure."""
    rates = {way: {lap.round: lap.documents_per_s for lap in laps if lap.way == way} for way in (BARE, ROAD)}
    ratios = [round(rates[ROAD][number] / rates[BARE][number], 3) for number in sorted(rates[ROAD])]
    return Result(
        document_bytes=document_bytes,
        bulk_max_bytes=bulk_max_bytes,
        bulk_in_flight=bulk_in_flight,
        bare_documents_per_s=max(rates[BARE].values()),
        road_documents_per_s=max(rates[ROAD].values()),
        ratio=round(median(ratios), 3),
        ratios=ratios,
        laps=sorted(laps, key=lambda lap: (lap.round, lap.way)),
    )


def rows(result: Result) -> list[dict[str, object]]:
    """A row per lap."""
    return [
        {
            **{name: value for name, value in dataclasses.asdict(lap).items() if name != "cpu_us"},
            **{f"{name}_cpu_us": spent for name, spent in lap.cpu_us.items()},
        }
        for lap in result.laps
    ]
