"""What the agents of a worker share: connections, accounts, progress, metrics."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import faust
import structlog
from aiokafka.errors import KafkaError

from ingest.backoff import Backoff
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.dead_letter import encode as encode_letter
from ingest.schema.envelope import Position
from ingest.schema.errors import BrokerUnavailable, TransientError
from ingest.settings import KafkaSettings
from streams.accounting import Account
from streams.accounts import Accounts, read_compacted
from streams.partition_log import KafkaLog
from streams.produce import Producer
from streams.progress import Progress
from streams.settings import WorkerSettings
from streams.telemetry import Telemetry
from streams.topics import DEAD_LETTERS

T = TypeVar("T")

log = structlog.get_logger("skytrail.worker")


def utc_now() -> dt.datetime:
    """The clock of the edges."""
    return dt.datetime.now(dt.UTC)


@dataclass(slots=True)
class Runtime:
    """Everything a role's agents need and none of them owns.

    Attributes:
        on_failure: Ends the worker when work in the background failed; set by whoever runs it.
    """

    role: str
    kafka: KafkaSettings
    worker: WorkerSettings
    telemetry: Telemetry = field(default_factory=Telemetry)
    progress: Progress = field(default_factory=Progress)
    now: Callable[[], dt.datetime] = utc_now
    producer: Producer = field(init=False)
    on_failure: Callable[[BaseException], None] = lambda _: None

    def __post_init__(self) -> None:
        self.producer = Producer(self.kafka, self.waiting)

    def waiting(self, reason: str) -> None:
        """Note why work does not go on; seen in the log, the metrics and by the watchdog."""
        if reason != self.progress.waiting_for:
            log.warning("waiting", reason=reason)
        self.telemetry.waits.labels(self.role, reason.partition(" ")[0]).inc()
        self.progress.waiting(reason)

    def fail(self, error: BaseException) -> None:
        """Work in the background failed: end the worker, nothing of it was acknowledged."""
        self.progress.fail(f"work in the background failed: {error!r}")
        self.on_failure(error)

    def complain(self, doing: str, place: Position, error: Exception) -> None:
        """Note something unreadable that is not a record: it is kept by Kafka and seen by people in the log."""
        log.error(doing, place=str(place), error=str(error))

    def accounts(self, role: str) -> Accounts:
        """The accounts of an agent of this worker."""
        return Accounts(role, self.read, self.producer)

    @property
    def log(self) -> KafkaLog:
        """What single partitions hold."""
        return KafkaLog(self.kafka, self.patiently)

    async def read(self, topic: str) -> list[tuple[bytes, bytes]]:
        """Read a compacted topic to its end; waits for brokers that are away."""
        return await self.patiently(lambda: read_compacted(self.kafka, topic))

    async def patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call until Kafka and everything else answers; says what it waits for."""

        async def one() -> T:
            try:
                return await attempt()
            except TransientError as exc:
                self.waiting(str(exc))
                raise
            except KafkaError as exc:
                self.waiting(f"Kafka does not answer: {exc!r}")
                raise BrokerUnavailable(f"reading from Kafka: {exc!r}", where=self.kafka.bootstrap_servers) from exc

        return await Backoff().forever(one)

    async def bury(self, letters: Iterable[DeadLetter]) -> None:
        """Write dead letters; returns when the brokers have them."""
        kept = list(letters)
        if kept:
            await self.producer.send(
                DEAD_LETTERS, [(letter.id.encode(), encode_letter(letter), None) for letter in kept]
            )
        for letter in kept:
            self.telemetry.dead_letters.labels(self.role, letter.reason).inc()
            log.warning(
                "dead letter", id=letter.id, stage=letter.stage, reason=letter.reason, place=str(letter.position)
            )


def place_of(event: faust.EventT[bytes]) -> Position:
    """Where the message of an event lies."""
    message = event.message
    return Position(message.topic, message.partition, message.offset)


def partitions_of(batch: Iterable[faust.EventT[bytes]]) -> set[tuple[str, int]]:
    """The (topic, partition) pairs of a batch."""
    return {(event.message.topic, event.message.partition) for event in batch}


def first_offsets(batch: Iterable[faust.EventT[bytes]]) -> dict[int, int]:
    """Partition → the first message of it in a batch; for agents of one topic."""
    first: dict[int, int] = {}
    for event in batch:
        first.setdefault(event.message.partition, event.message.offset)
    return first


def publish_counts(telemetry: Telemetry, role: str, source: str, counts: dict[str, int]) -> None:
    """Add a batch's outcomes to the metrics."""
    for outcome, number in counts.items():
        if number:
            telemetry.records.labels(role, source, outcome).inc(number)


class BatchCount:
    """Counts a batch into accounts: only messages not counted before."""

    def __init__(self, accounts: dict[tuple[str, int], Account], telemetry: Telemetry, role: str) -> None:
        """Work on these accounts; they are changed in place and must be saved afterwards."""
        self._accounts = accounts
        self._telemetry = telemetry
        self._role = role

    def is_new(self, place: Position) -> bool:
        """Whether the message at this place has not been counted yet."""
        return self._accounts[place.topic, place.partition].counts(place.offset)

    def add(self, place: Position, source: str, **outcomes: int) -> None:
        """Count the outcomes of one message, unless an earlier pass did."""
        account = self._accounts[place.topic, place.partition]
        if account.counts(place.offset):
            account.add(source, **outcomes)
            publish_counts(self._telemetry, self._role, source, outcomes)

    def recount(self, place: Position, raw: Position, outcomes: Mapping[str, Mapping[str, int]]) -> None:
        """Count what the message at `place` tells of a raw message, in place of what an earlier pass told of it."""
        account = self._accounts[place.topic, place.partition]
        if account.counts(place.offset):
            account.recount(f"{raw.topic}|{raw.partition}", raw.offset, outcomes)
            for source, counts in outcomes.items():
                publish_counts(self._telemetry, self._role, source, dict(counts))

    def finish(self, places: Iterable[Position]) -> Iterable[Account]:
        """State that these messages are counted; returns the accounts to save."""
        for place in places:
            self._accounts[place.topic, place.partition].counted_to(place.offset)
        return self._accounts.values()
