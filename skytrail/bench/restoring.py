"""How long a worker takes to have the state of correlations that another one had: from real brokers, all of it.

One partition is filled as the role fills it: signals lie in their topic, the state of all but the last of them in a
snapshot. What is timed is what a worker does when it gets the partition: reading the snapshot, then what came since.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from detectors.correlation.correlator import MAX_WEIGHT
from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import Signal
from detectors.correlation.wire import decode, encode_signals
from detectors.detection import EventRef, Principal
from ingest.schema.errors import EngineError
from ingest.settings import KafkaSettings
from streams.correlation_state import CorrelationStates
from streams.partition_log import KafkaLog, PartitionLog
from streams.produce import Producer, Sink
from streams.snapshots import Snapshots
from streams.topics import CORRELATION_STATE, SIGNALS

PARTITION: Final = 0
_AT_ONCE: Final = 500
_MESSAGE_BYTES: Final = 500_000
T = TypeVar("T")
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What one round says.

    Attributes:
        groups: In the state of the partition.
        signals: In the snapshot.
        since: Signals that came after it, read again.
        saved_s: Seconds on the clock to write the snapshot.
        restored_s: Seconds on the clock until the state was there.
        cpu_s: Processor time of that.
    """

    groups: int
    signals: int
    since: int
    saved_s: float
    restored_s: float
    cpu_s: float


async def on_brokers(
    settings: KafkaSettings, correlations: Sequence[Correlation], groups: int, each: int, since: int, tell: Tell
) -> Result:
    """As `measure`, on brokers that nobody else uses.

    Raises:
        EngineError: The brokers do not answer, or the state that was restored is another one.
    """
    async with Producer(settings, _fail) as producer:
        return await measure(KafkaLog(settings, _once), producer, correlations, groups, each, since, tell)


async def measure(
    log: PartitionLog, sink: Sink, correlations: Sequence[Correlation], groups: int, each: int, since: int, tell: Tell
) -> Result:
    """Fill a partition, and take it over.

    Args:
        log: Reads the topics, which are empty.
        sink: Writes into them.
        correlations: Those whose signals have no values.
        groups: Groups, spread over the correlations.
        each: Signals of a group.
        since: Signals after the snapshot.
        tell: Hears about progress.

    Raises:
        EngineError: The state that was restored is another one.
    """
    router = Router(correlations)
    made = list(_signals(correlations, groups, each, int(time.time() * 1000)))
    messages = encode_signals(made[: len(made) - since], _AT_ONCE, _MESSAGE_BYTES)
    later = encode_signals(made[len(made) - since :], _AT_ONCE, _MESSAGE_BYTES) if since else []
    first = CorrelationStates(router, Snapshots(CORRELATION_STATE, SIGNALS, log, sink))
    await first.load({PARTITION: 0})
    for offset, message in enumerate(messages):
        await sink.send(SIGNALS, [(None, message, PARTITION)])
        first.follow(PARTITION, offset, decode(message))
        tell("filling the state", offset + 1, len(messages))
    began = time.perf_counter()
    await first.save({PARTITION})
    saved_s = time.perf_counter() - began
    for number, message in enumerate(later):
        await sink.send(SIGNALS, [(None, message, PARTITION)])
        first.follow(PARTITION, len(messages) + number, decode(message))
    second = CorrelationStates(router, Snapshots(CORRELATION_STATE, SIGNALS, log, sink))
    began, cpu = time.perf_counter(), time.process_time()
    await second.load({PARTITION: len(messages) + len(later)})
    restored_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    if dict(second.states(PARTITION)) != dict(first.states(PARTITION)):
        raise EngineError("measuring how a state is restored: it differs from what was saved", where=CORRELATION_STATE)
    return Result(
        groups=sum(1 for _ in second.states(PARTITION)),
        signals=len(made) - since,
        since=since,
        saved_s=round(saved_s, 2),
        restored_s=round(restored_s, 2),
        cpu_s=round(cpu_s, 2),
    )


def valueless(correlations: Sequence[Correlation]) -> list[Correlation]:
    """Those that count what matches and look at no values of it, and build upon no other correlation."""
    return [one for one in correlations if one.kind == "event_count" and not one.chained]


def fits(groups: int, each: int) -> bool:
    """Whether a worker keeps so much."""
    return groups * each <= MAX_WEIGHT


def _signals(correlations: Sequence[Correlation], groups: int, each: int, now_ms: int) -> Iterator[Signal]:
    """Signals in the order of time; those of a group lie within half its timespan."""
    for turn in range(each):
        for group in range(groups):
            one = correlations[group % len(correlations)]
            member = f"{group:08x}-{turn:04x}-4000-8000-000000000000"
            at = now_ms - one.timespan_ms // 2 + one.timespan_ms * turn // (2 * each)
            yield Signal(
                correlation=one.id,
                namespace="bench",
                by=tuple(f'"arn:aws:sts::123456789012:assumed-role/r/{group}-{field}"' for field in one.group_by),
                rule=one.rules[turn % len(one.rules)],
                at=at,
                seen=at,
                member=member,
                unit=member,
                event=EventRef("logs-aws.cloudtrail-bench-2026.11.28", f"{group:032x}{turn:08x}", "0" * 64),
                format="aws.cloudtrail",
                ruleset_version="bench",
                principal=Principal(key=f"p{group}", type="user", display=f"user {group}"),
            )


async def _once(attempt: Callable[[], Awaitable[T]]) -> T:
    return await attempt()


def _fail(reason: str) -> None:
    raise EngineError(f"measuring how a state is restored: {reason}", where=SIGNALS)
