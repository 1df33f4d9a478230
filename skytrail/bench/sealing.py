"""What the role seal does a second with one core, from Kafka to a signed checkpoint, and what it stores.

The records wait in Kafka before the role starts, so that it is never short of work. It is measured from its first
saved account to its last: what it takes to start is left out.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.schema.envelope import Envelope, Header, Origin, pack
from skytrail.bench.processor_time import ProcessorTime
from skytrail.bench.road import Road
from skytrail.bench.samples import SEED, everyday
from skytrail.demo.delivery import CLOUDTRAIL
from skytrail.settings import Settings
from streams.accounting import SEALED

NAMESPACE: Final = "bench"
DIFFERENT: Final = 20_000
"""Records that are generated; they are sent again and again. A segment holds at most half as many, so none twice."""
TIMEOUT_S: Final = 900.0
_SENT_AT_ONCE: Final = 50_000
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What a measurement says.

    Attributes:
        record_bytes: Mean size of a record.
        events_per_core_s: Records of a second of the role's processor time, all its threads together.
        events_per_s: Records of a second on the clock.
        cpu_us: Processor time per record, microseconds, of the role and of the broker.
        stored_bytes: Bytes of the archive per record, by what they are; the body is the records themselves.
        overhead_bytes: All of them but the body.
        segment_records: Mean number of records of a segment.
    """

    events: int
    record_bytes: int
    events_per_core_s: int
    events_per_s: int
    cpu_us: dict[str, float]
    stored_bytes: dict[str, float]
    overhead_bytes: float
    segment_records: int


def material(events: int, now: dt.datetime) -> tuple[list[Envelope], int]:
    """Envelopes with so many records, and the mean size of one."""
    records = everyday(CLOUDTRAIL, min(events, DIFFERENT), seed=SEED, end=now)
    records = [records[number % len(records)] for number in range(events)]
    origin = Origin(transport="bench", locator=f"bench/{now:%Y/%m/%d}/generated.json.gz", sha256="0" * 64)
    header = Header(format=CLOUDTRAIL, namespace=NAMESPACE, collector="bench", received_at=now, origin=origin)
    return list(pack(header, records)), sum(map(len, records)) // len(records)


async def measure(
    settings: Settings, events: int, start_role: Callable[[], dict[str, int]], alive: Callable[[], None], tell: Tell
) -> Result:
    """Fill Kafka, start the role and measure it.

    Args:
        settings: With brokers and an archive that nobody else uses.
        events: Records.
        start_role: Starts the role; gives the processes to account for.
        alive: Raises when the role has ended.
        tell: Hears about progress.

    Raises:
        EngineError: The role did not finish.
    """
    tell("generating records", 0, events)
    envelopes, record_bytes = material(events, dt.datetime.now(dt.UTC))
    tell("generating records", events, events)
    road = Road(settings.kafka, NAMESPACE, alive, role="seal", good=SEALED)
    await road.open()
    try:
        per_turn = max(1, len(envelopes) * _SENT_AT_ONCE // events)
        for at in range(0, len(envelopes), per_turn):
            tell("filling Kafka", await road.send(envelopes[at : at + per_turn]), events)
        processors = ProcessorTime(start_role())
        first = await road.reach(1, TIMEOUT_S)
        processors.spent()
        began = time.monotonic()
        done = first
        while done < events:
            done = await road.reach(min(done + 1, events), TIMEOUT_S)
            tell("sealing", done, events)
        seconds, spent = time.monotonic() - began, processors.spent()
    finally:
        await road.close()
    measured = events - first
    stored, segments = stored_bytes(settings.archive_dir)
    return Result(
        events=measured,
        record_bytes=record_bytes,
        events_per_core_s=round(measured / spent["role"]),
        events_per_s=round(measured / seconds),
        cpu_us={name: round(1e6 * each / measured, 1) for name, each in spent.items()},
        stored_bytes={name: round(size / events, 1) for name, size in stored.items()},
        overhead_bytes=round(sum(size for name, size in stored.items() if name != "body") / events, 1),
        segment_records=events // segments,
    )


def stored_bytes(archive: Path) -> tuple[Counter[str], int]:
    """Bytes of an archive by what they are, and how many segments there are."""
    sizes: Counter[str] = Counter()
    segments = 0
    for path in (each for each in archive.rglob("*") if each.is_file() and each.parent.name != ".staging"):
        part = {".ndz": "body", ".leaves": "leaves", ".headers": "headers"}.get(path.suffix)
        if path.name.endswith(".manifest.json"):
            part = "manifests"
            segments += 1
        elif "log" in path.parts or "anchor" in path.parts:
            part = "ledger"
        sizes[part or "hints"] += path.stat().st_size
    return sizes, segments


def rows(results: Sequence[Result]) -> list[dict[str, object]]:
    """A row for each measurement."""
    return [
        {
            "events": result.events,
            "record_bytes": result.record_bytes,
            "events_per_core_s": result.events_per_core_s,
            "events_per_s": result.events_per_s,
            **{f"{name}_cpu_us": each for name, each in result.cpu_us.items()},
            "stored_bytes": json.dumps(result.stored_bytes),
            "overhead_bytes": result.overhead_bytes,
            "segment_records": result.segment_records,
        }
        for result in results
    ]
