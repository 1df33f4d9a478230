"""What an event costs in the role detect: from the bytes of a Kafka message to detections, signals and the account.

The brokers are a stand-in that keeps nothing; Faust, the network and Elasticsearch are left out. Two ways take turns:
documents only for records that match, as the role works, and a document for every record, as it would work with an
engine that knows no shorter way. Rules that only serve correlations may match a third of all events, and each match is
a signal with its document; so both ways are measured with them and without.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from detectors.correlation.signals import Router
from detectors.correlation.wire import Signals
from detectors.correlation.wire import decode as decode_signals
from detectors.detection import decode
from detectors.proving import no_file
from detectors.rule import Rule
from detectors.rulebook import Rulebook, load
from detectors.sigma.choose import build_engine
from detectors.sigma.engine import DocumentOf, Engine, Examined
from ingest.formats.contract import Format, LogSource, View
from ingest.schema import envelope as envelopes
from ingest.schema.envelope import Header, Origin, pack
from ingest.settings import KafkaSettings
from skytrail.bench.rounds import Clock, Contender, Tell, best_of
from storage.settings import ElasticsearchSettings
from streams.accounts import Accounts
from streams.agents.detect import DetectAgent, Rules
from streams.naming import namer
from streams.preparing import Limits
from streams.produce import Message, Producer
from streams.runtime import Runtime
from streams.settings import WorkerSettings
from streams.topics import DETECTIONS, SIGNALS, raw_topic

PARTITIONS: Final = 3
LIMITS: Final = Limits.of(24, 3660)


@dataclass(frozen=True, slots=True)
class RoleRow:
    """One way through the role.

    Attributes:
        rules: Evaluated, those of all formats together.
        detections: Matches that go to alerts, of one run.
        signals: Matches that go to correlations.
        us_per_event: CPU time, microseconds.
    """

    format: str
    documents: str
    correlations: bool
    rules: int
    records: int
    detections: int
    signals: int
    us_per_event: float
    events_per_s: int


@dataclass(slots=True)
class Brokers:
    """Takes what is sent and keeps what the last run sent.

    Attributes:
        sent: Messages per topic.
    """

    sent: dict[str, list[bytes]] = field(default_factory=dict)

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        """As `Sink.send`."""
        self.sent.setdefault(topic, []).extend(value for _, value, _ in messages)

    async def partitions(self, _topic: str) -> int:
        """As `Sink.partitions`."""
        return PARTITIONS

    async def read(self, _topic: str) -> list[tuple[bytes, bytes]]:
        """Compacted topics are empty at the start of a run."""
        return []


@dataclass(frozen=True, slots=True)
class Kafka:
    """A message as agents see it."""

    topic: str
    partition: int
    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Event:
    """An event as agents see it; nobody commits it."""

    message: Kafka

    def ack(self) -> None:
        """As Faust's."""


class EveryDocument:
    """An engine that knows no shorter way than views with their documents."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def rules(self) -> Sequence[Rule]:
        """As `Engine.rules`."""
        return self._engine.rules

    def match(self, views: Sequence[View], source: LogSource) -> Iterator[tuple[int, Rule]]:
        """As `Engine.match`."""
        return self._engine.match(views, source)

    def examine(
        self, records: Sequence[bytes], format_: Format, document_of: DocumentOf | None = None
    ) -> Examined | None:
        """As `Engine.examine`."""
        del records, format_, document_of
        return None


def measure_role(
    given: dict[str, list[bytes]],
    rounds: int,
    now: dt.datetime,
    *,
    tell: Tell = lambda _done, _all: None,
    clock: Clock = time.process_time,
) -> list[RoleRow]:
    """Measure both ways on the records of some formats, with the rules and correlations that are shipped.

    Args:
        given: Format → records.
        rounds: Measured rounds; the best counts.
        now: What the role takes for the present.
        tell: Hears about progress.
        clock: Seconds of CPU.
    """
    whole = load(prove=no_file)
    alone = dataclasses.replace(whole, bases=(), correlations=())
    entries = [
        _Entry(name, way, book, records, Brokers())
        for name, records in given.items()
        for book in (whole, alone)
        for way in _WAYS
    ]
    best = best_of([Contender(entry.name, entry.runner(now)) for entry in entries], rounds, clock=clock, tell=tell)
    return [entry.row(best[entry.name]) for entry in entries]


_WAYS: Final[Mapping[str, Callable[[Engine], Engine]]] = {
    "of matches": lambda engine: engine,
    "of every record": EveryDocument,
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One contender."""

    format: str
    way: str
    book: Rulebook
    records: Sequence[bytes]
    brokers: Brokers

    @property
    def name(self) -> str:
        return f"{self.format}, {self.way}, {'with' if self.book.correlations else 'without'} correlations"

    def runner(self, now: dt.datetime) -> Callable[[], object]:
        """Runs all batches through an agent; accounts and routers are new each time, what engines remember stays."""
        book, brokers, batches = self.book, self.brokers, _batches(self.format, self.records, now)
        engine = _WAYS[self.way](build_engine(book.evaluated))
        silent = frozenset(rule.id for rule in book.bases)
        kafka, worker = KafkaSettings(bootstrap_servers="127.0.0.1:1"), WorkerSettings()

        async def run() -> None:
            brokers.sent.clear()
            runtime = Runtime("detect", kafka, worker, now=lambda: now)
            runtime.producer = cast("Producer", brokers)
            rules = Rules(engine, book.version, Router(book.correlations), silent)
            accounts = Accounts("detect", brokers.read, brokers)
            agent = DetectAgent(runtime, accounts, rules, namer=namer(ElasticsearchSettings()), limits=LIMITS)
            for batch in batches:
                await agent.handle(batch)

        return lambda: asyncio.run(run())

    def row(self, seconds: float) -> RoleRow:
        """The result, with what the last run sent."""
        sent, count = self.brokers.sent, len(self.records)
        return RoleRow(
            format=self.format,
            documents=self.way,
            correlations=bool(self.book.correlations),
            rules=len(self.book.evaluated),
            records=count,
            detections=sum(len(decode(value)) for value in sent.get(DETECTIONS, ())),
            signals=sum(map(_signals_in, sent.get(SIGNALS, ()))),
            us_per_event=round(seconds / count * 1e6, 2),
            events_per_s=round(count / seconds),
        )


def _batches(name: str, records: Sequence[bytes], now: dt.datetime) -> list[list[Any]]:
    """Events as a worker takes them."""
    origin = Origin(transport="bench", locator=f"bench/{name}/generated.json.gz", sha256="0" * 64)
    header = Header(format=name, namespace="bench", collector="bench", received_at=now, origin=origin)
    topic, size = raw_topic(name), WorkerSettings().envelopes_per_batch
    values = [envelopes.encode(one) for one in pack(header, records)]
    events = [Event(Kafka(topic, number % PARTITIONS, number // PARTITIONS, v)) for number, v in enumerate(values)]
    return [events[start : start + size] for start in range(0, len(events), size)]


def _signals_in(message: bytes) -> int:
    found = decode_signals(message)
    return len(found.signals) if isinstance(found, Signals) else 0
