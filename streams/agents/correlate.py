"""Correlate: signals of one group meet in one partition; what they add up to goes to the detections topic.

The order of writes makes a crash harmless: signals for correlations upon others and detections first (both idempotent
by their members), then now and then a snapshot of the groups, then the count, then the acknowledgement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import faust
import structlog

from detectors.correlation.correlator import Found
from detectors.correlation.signals import Router
from detectors.correlation.state import Signal
from detectors.correlation.wire import Clock, decode
from detectors.detection import Detection
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.errors import UnsupportedEnvelope
from streams.accounts import Accounts
from streams.agents.detect import place_detections
from streams.correlation_state import CorrelationStates
from streams.runtime import BatchCount, Runtime, first_offsets, partitions_of, place_of
from streams.signal_messages import place_signals
from streams.topics import DETECTIONS, SIGNALS

ROLE = "correlate"
SOURCE = "-|signals|-"
Batch = Sequence[faust.EventT[bytes]]

log = structlog.get_logger("skytrail.correlate")


class CorrelateAgent:
    """Handler of the signals topic in the role detect."""

    def __init__(self, runtime: Runtime, accounts: Accounts, states: CorrelationStates) -> None:
        """Compose."""
        self._runtime = runtime
        self._accounts = accounts
        self._states = states
        self._router: Router | None = None

    def use(self, router: Router) -> None:
        """Take other correlations from the next batch on."""
        self._router = router

    def forget(self) -> None:
        """After a rebalance."""
        self._accounts.forget()
        self._states.forget()

    async def handle(self, batch: Batch) -> None:
        """Step through a batch of signals, write what followed, acknowledge."""
        if self._router is not None:
            self._states.use(self._router)
            self._router = None
        await self._states.load(first_offsets(batch))
        detections: list[Detection] = []
        chained: list[Signal] = []
        letters: list[DeadLetter] = []
        sizes: list[int] = []
        with self._runtime.telemetry.stage.labels(ROLE, "correlate").time():
            for event in batch:
                found, size = self._take(event, letters)
                detections += found.detections
                chained += found.chained
                sizes.append(size)
        producer = self._runtime.producer
        await self._runtime.bury(letters)
        await producer.send(SIGNALS, await place_signals(producer, chained))
        await producer.send(DETECTIONS, await place_detections(producer, detections))
        partitions = {event.message.partition for event in batch}
        await self._states.save(partitions)
        self._note(partitions)
        accounts = await self._accounts.of(partitions_of(batch))
        count = BatchCount(accounts, self._runtime.telemetry, ROLE)
        for event, size in zip(batch, sizes, strict=True):
            count.add(place_of(event), SOURCE, signals=size)
        await self._accounts.save(count.finish(map(place_of, batch)))
        for event in batch:
            event.ack()
        self._runtime.progress.done()

    def _take(self, event: faust.EventT[bytes], letters: list[DeadLetter]) -> tuple[Found, int]:
        """What one message leads to, and the number of signals in it."""
        value = event.message.value or b""
        try:
            message = decode(value)
        except UnsupportedEnvelope as exc:
            letters.append(
                DeadLetter(
                    stage=ROLE,
                    reason=exc.kind,
                    message=str(exc),
                    refused_at=self._runtime.now(),
                    body=value,
                    size=len(value),
                    position=place_of(event),
                    records=0,
                )
            )
            return Found(), 0
        found = self._states.follow(event.message.partition, event.message.offset, message)
        return found, 0 if isinstance(message, Clock) else len(message.signals)

    def _note(self, partitions: Iterable[int]) -> None:
        """Bring what could not be counted to the metrics and the log."""
        notes: Counter[str] = Counter()
        for partition in partitions:
            notes += self._states.notes(partition)
        for note, number in notes.items():
            self._runtime.telemetry.signals_left_out.labels(note).inc(number)
            log.warning("signals left out", why=note, number=number)
