"""Alert: detections become alerts at once, or are counted into an alert that is open already.

The first match of a group is told without delay; later ones within the rule's window only raise its exact count. The
order of writes makes a crash harmless: index and topic first (both idempotent by the alert's id), then the windows,
then the count, then the acknowledgement. A replay finds its members known and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import faust
import structlog

from detectors.alert import alert_document, alert_growth, alert_state_document
from detectors.detection import Detection, decode
from detectors.rule import Rule
from detectors.suppression import Folded, Opened, Window
from ingest.schema.dead_letter import DeadLetter
from ingest.schema.errors import UnsupportedEnvelope
from storage.index.alert_store import AlertDocument, AlertGrowth, AlertStore
from storage.index.bulk import Outcome
from storage.index.documents import serialise
from streams.accounts import Accounts
from streams.runtime import BatchCount, Runtime, partitions_of, place_of
from streams.topics import ALERTS
from streams.windows import Windows

ROLE = "alert"
SOURCE = "-|detections|-"
Batch = Sequence[faust.EventT[bytes]]
RuleOf = Callable[[str], Rule | None]

log = structlog.get_logger("skytrail.alert")


class AlertAgent:
    """Handler of the detections topic in the role detect."""

    def __init__(
        self, runtime: Runtime, accounts: Accounts, windows: Windows, store: AlertStore, *, rule_of: RuleOf
    ) -> None:
        """Compose.

        Args:
            rule_of: Finds the rule of a detection; None when it was removed meanwhile.
        """
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
        await self._windows.load({event.message.partition for event in batch})
        opened: dict[str, tuple[Rule, Window]] = {}
        grown: dict[str, tuple[Rule, Window]] = {}
        letters: list[DeadLetter] = []
        sizes: list[int] = []
        for event in batch:
            detections = self._read(event, letters)
            sizes.append(len(detections))
            for detection in detections:
                self._fold(event, detection, opened, grown)
        await self._runtime.bury(letters)
        await self._write(opened, grown)
        await self._windows.save()
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

    def _fold(
        self,
        event: faust.EventT[bytes],
        detection: Detection,
        opened: dict[str, tuple[Rule, Window]],
        grown: dict[str, tuple[Rule, Window]],
    ) -> None:
        rule = self._rule_of(detection.rule_id)
        if rule is None:  # removed after it matched: another worker has it, or the match is of no more interest
            log.warning("detection of an unknown rule", rule_id=detection.rule_id, place=str(place_of(event)))
            self._runtime.telemetry.rule_errors.labels(detection.rule_id).inc()
            return
        outcome = self._windows.step(detection, place_of(event))
        if isinstance(outcome, Opened):
            opened[outcome.alert_id] = (rule, outcome.window)
            self._runtime.telemetry.alerts.labels(rule.level).inc()
        elif isinstance(outcome, Folded):
            self._runtime.telemetry.folded.labels(rule.level).inc()
        grown[outcome.alert_id] = (rule, outcome.window)

    async def _write(self, opened: dict[str, tuple[Rule, Window]], grown: dict[str, tuple[Rule, Window]]) -> None:
        """Index what opened, publish it for the outputs, and bring the counts up to date."""
        now = self._runtime.now()
        alerts = [
            AlertDocument(
                alert_id,
                window.opened_by.namespace,
                window.start,
                alert_document(rule, window.opened_by, alert_id, now),
            )
            for alert_id, (rule, window) in opened.items()
        ]
        growths = [
            AlertGrowth(alert_id, alert_state_document(rule, window, now), alert_growth(window, now))
            for alert_id, (rule, window) in grown.items()
        ]
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
