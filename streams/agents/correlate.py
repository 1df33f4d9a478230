"""Correlate: signals of one group meet in one partition; what they add up to goes to the detections topic.

The order of writes makes a crash harmless: signals for correlations upon others and detections first (both idempotent
by their members), then now and then a snapshot of the groups, then the count, then the acknowledgement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import faust
import structlog

from detectors.correlation.state import Signal
from detectors.correlation.wire import Clock, Signals, decode
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

    def forget(self) -> None:
        """After a rebalance."""
        self._accounts.forget()
        self._states.forget()

    async def handle(self, batch: Batch) -> None:
        """Step through a batch of signals, write what followed, acknowledge.

        Where another worker has newer rules, the batch waits until they are taken here, too.

        Raises:
            Abandoned: A rebalance began while it waited; nothing was done.
        """
        letters: list[DeadLetter] = []
        messages = [(event, self._read(event, letters)) for event in batch]
        await self._states.ready([signal for _, message in messages for signal in _signals(message)])
        await self._states.load(first_offsets(batch))
        detections: list[Detection] = []
        chained: list[Signal] = []
        with self._runtime.telemetry.stage.labels(ROLE, "correlate").time():
            for event, message in messages:
                if message is not None:
                    found = self._states.follow(event.message.partition, event.message.offset, message)
                    detections += found.detections
                    chained += found.chained
        producer = self._runtime.producer
        await self._runtime.bury(letters)
        await producer.send(SIGNALS, await place_signals(producer, chained))
        await producer.send(DETECTIONS, await place_detections(producer, detections))
        partitions = {event.message.partition for event in batch}
        await self._states.save(partitions)
        self._note(partitions)
        accounts = await self._accounts.of(partitions_of(batch))
        count = BatchCount(accounts, self._runtime.telemetry, ROLE)
        for event, message in messages:
            count.add(place_of(event), SOURCE, signals=len(_signals(message)))
        await self._accounts.save(count.finish(map(place_of, batch)))
        for event in batch:
            event.ack()
        self._runtime.progress.done()

    def _read(self, event: faust.EventT[bytes], letters: list[DeadLetter]) -> Signals | Clock | None:
        """What one message says; None, and a letter more, when it can't be read."""
        value = event.message.value or b""
        try:
            return decode(value)
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
            return None

    def _note(self, partitions: Iterable[int]) -> None:
        """Bring what could not be counted to the metrics and the log."""
        notes: Counter[str] = Counter()
        for partition in partitions:
            notes += self._states.notes(partition)
        for note, number in notes.items():
            self._runtime.telemetry.signals_left_out.labels(note).inc(number)
            log.warning("signals left out", why=note, number=number)


def _signals(message: Signals | Clock | None) -> tuple[Signal, ...]:
    return message.signals if isinstance(message, Signals) else ()
