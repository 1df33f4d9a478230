"""Alert: detections become alerts at once, or are counted into an alert that is open already.

The first match of a group is told without delay; later ones within the rule's window only raise its exact count. The
order of writes makes a crash harmless: index and topic first (both idempotent by the alert's id), then now and then a
snapshot of the windows, then the count, then the acknowledgement. A batch that comes again meets the windows as they
were before it, or as they were after it, and tells the same alerts under the same ids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import faust
import structlog

from detectors import suppression
from detectors.alert import alert_document, alert_growth, alert_state_document
from detectors.detection import Detection, decode
from detectors.rule import Rule, bare_rule
from detectors.suppression import Folded, Opened, Window
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.errors import UnsupportedEnvelope
from storage.index.alert_store import AlertDocument, AlertGrowth, AlertStore
from storage.index.bulk import Outcome
from storage.index.documents import serialise
from streams.accounts import Accounts
from streams.runtime import BatchCount, Runtime, first_offsets, partitions_of, place_of
from streams.stamping import DocumentStamps
from streams.topics import ALERTS
from streams.windows import Windows

ROLE = "alert"
SOURCE = "-|detections|-"
Batch = Sequence[faust.EventT[bytes]]
RuleOf = Callable[[str], Rule | None]

log = structlog.get_logger("skytrail.alert")


@dataclass(slots=True)
class _Changes:
    """What a batch changed.

    Attributes:
        opened: Alert → what opened it.
        grown: Alert → its newest window.
    """

    opened: dict[str, tuple[Rule, Detection, Window]] = field(default_factory=dict)
    grown: dict[str, tuple[Rule, Window]] = field(default_factory=dict)


class AlertAgent:
    """Handler of the detections topic in the role detect."""

    def __init__(
        self,
        runtime: Runtime,
        accounts: Accounts,
        windows: Windows,
        store: AlertStore,
        *,
        rule_of: RuleOf,
        stamps: DocumentStamps,
    ) -> None:
        """Compose.

        Args:
            rule_of: Finds the rule of a detection; None when it is not loaded here.
            stamps: Promise until when an alert is kept.
        """
        self._stamps = stamps
        self._runtime = runtime
        self._accounts = accounts
        self._windows = windows
        self._store = store
        self._rule_of = rule_of

    def forget(self) -> None:
        """After a rebalance."""
        self._accounts.forget()
        self._windows.forget()

    async def handle(self, batch: Batch) -> None:
        """Fold a batch of detections, write what changed, acknowledge."""
        await self._windows.load(first_offsets(batch))
        changes = _Changes()
        letters: list[DeadLetter] = []
        sizes: list[int] = []
        for event in batch:
            detections = self._read(event, letters)
            sizes.append(len(detections))
            for detection, outcomes in zip(detections, self._windows.follow(place_of(event), detections), strict=True):
                self._note(detection, outcomes, changes)
        await self._runtime.bury(letters)
        await self._write(changes)
        forgotten = await self._windows.save({event.message.partition for event in batch})
        self._runtime.telemetry.alerts_forgotten.inc(forgotten)
        accounts = await self._accounts.of(partitions_of(batch))
        count = BatchCount(accounts, self._runtime.telemetry, ROLE)
        for event, size in zip(batch, sizes, strict=True):
            count.add(place_of(event), SOURCE, detections=size)
        await self._accounts.save(count.finish(map(place_of, batch)))
        for event in batch:
            event.ack()
        self._runtime.progress.done()

    def _read(self, event: faust.EventT[bytes], letters: list[DeadLetter]) -> Sequence[Detection]:
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
            return ()

    def _note(self, detection: Detection, outcomes: Sequence[suppression.Outcome], changes: _Changes) -> None:
        """Add what became of a detection; one of a rule that another worker has and this one does not is told, too."""
        rule = self._rule_of(detection.rule_id)
        if rule is None:
            log.warning("the rule of a detection is not loaded here", rule_id=detection.rule_id)
            rule = bare_rule(detection.rule_id, detection.rule_version, detection.title, detection.level)
        for outcome in outcomes:
            if isinstance(outcome, Opened):
                changes.opened[outcome.alert_id] = (rule, detection, outcome.window)
                self._runtime.telemetry.alerts.labels(rule.level).inc()
            elif isinstance(outcome, Folded):
                self._runtime.telemetry.folded.labels(rule.level).inc()
            changes.grown[outcome.alert_id] = (rule, outcome.window)

    async def _write(self, changes: _Changes) -> None:
        """Index what opened, publish it for the outputs, and bring the counts up to date."""
        now = self._runtime.now()
        alerts = [
            AlertDocument(alert_id, detection.namespace, window.start, alert_document(rule, detection, alert_id, now))
            for alert_id, (rule, detection, window) in changes.opened.items()
        ]
        growths = [
            AlertGrowth(alert_id, alert_state_document(rule, window, now), alert_growth(window, now))
            for alert_id, (rule, window) in changes.grown.items()
        ]
        await self._stamps.refresh(alert.namespace for alert in alerts)
        for alert in alerts:
            self._stamps.stamp(alert.document, alert.opened, now)
        if alerts:
            await self._bury_refused(alerts, await self._store.add(alerts))
            await self._runtime.producer.send(
                ALERTS, [(alert.id.encode(), serialise(alert.document), None) for alert in alerts]
            )
        if growths:
            await self._store.grow(growths)
        for alert in alerts:
            log.info("alert", rule_id=alert.document["rule"]["id"], id=alert.id, namespace=alert.namespace)

    async def _bury_refused(self, alerts: Sequence[AlertDocument], outcome: Outcome) -> None:
        """A refused alert must not vanish: it becomes a dead letter, and stays in the alerts topic."""
        await self._runtime.bury(
            DeadLetter(
                stage=ROLE,
                reason="RefusedDocument",
                message=f"indexing alert: {kind}: {reason}",
                refused_at=self._runtime.now(),
                body=serialise(alerts[place].document),
                size=0,
                records=0,
                rule=str(alerts[place].document["rule"]["id"]),
            )
            for place, kind, reason in outcome.refused
        )
