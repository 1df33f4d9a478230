"""Agent of the role rotate: on a timer it lets go of what the adopted policy no longer keeps, and watches disks.

One worker does it, the one that has the first partition of the role's topic. Two that both believe to be it do no harm:
every step is in the ledger before it is done, and done once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import faust
import msgspec
import structlog

from ingest.schema.errors import SkytrailError, TransientError
from storage.archive.manifest import instant
from storage.index.disk import Disk
from storage.retention.applying import Outcome
from storage.retention.rotation import GoOn, Round
from storage.settings import RetentionSettings
from streams.own_actions import Tell
from streams.rotation import FAILED, KEY, OFF, DiskReport, RotationReport, disk_reports, report_of
from streams.runtime import Runtime
from streams.topics import ROTATION

log = structlog.get_logger("skytrail.rotate")


class Rounds(Protocol):
    """What rotates: the archive, its ledgers and Elasticsearch. Calls block."""

    def run(self, go_on: GoOn) -> Round | None:
        """One round; None where no namespace has a policy.

        Raises:
            TransientError: Something is away; what was announced is finished by the next round.
            SkytrailError: A person must look at it; nothing further was destroyed.
        """
        ...

    def disks(self) -> list[Disk]:
        """The disks of Elasticsearch.

        Raises:
            IndexUnavailable: It does not answer.
        """
        ...


class RotateAgent:
    """Looks, rotates when it is time, tells.

    Args:
        runtime: Of the role.
        rounds: See `Rounds`.
        settings: Intervals and watermark.
        tell: Records a round that destroyed something.
        running: Whether the worker goes on.
    """

    def __init__(
        self, runtime: Runtime, rounds: Rounds, settings: RetentionSettings, tell: Tell, running: Callable[[], bool]
    ) -> None:
        self._runtime = runtime
        self._rounds = rounds
        self._settings = settings
        self._tell = tell
        self._running = running
        self._due = self._next_look = 0.0
        self._last: RotationReport | None = None
        self._full: frozenset[str] = frozenset()

    async def handle(self, batch: Sequence[faust.EventT[bytes]]) -> None:
        """The topic is for those who ask for the state; whoever leads has nothing to do with it."""
        for event in batch:
            event.ack()
        self._runtime.progress.done()

    def forget(self) -> None:
        """After a rebalance another worker may have rotated: begin with a round."""
        self._due = self._next_look = 0.0

    @property
    def leads(self) -> bool:
        """Whether this worker is the one that rotates."""
        return (ROTATION, 0) in self._runtime.progress.lag

    async def look(self) -> None:
        """One look: at the disks, and a round if it is time, or if a disk has just become full."""
        if not self.leads:
            self._rest()
            return
        now_s = self._runtime.progress.clock()
        if now_s < self._next_look:
            return
        self._next_look = now_s + self._settings.disk_interval_s
        disks, fuller = await self._look_at_disks()
        report = self._last
        if report is None or fuller or now_s >= self._due:
            report = await self._round()
            retry_s = self._settings.disk_interval_s
            self._due = now_s + (retry_s if report.outcome == FAILED else self._settings.rotate_interval_s)
            if report.outcome != FAILED:
                self._runtime.progress.done()
        self._last = msgspec.structs.replace(report, at=instant(self._runtime.now()), disks=disks)
        await self._runtime.producer.send(ROTATION, [(KEY, msgspec.json.encode(self._last), 0)])

    async def _round(self) -> RotationReport:
        telemetry = self._runtime.telemetry
        try:
            found = await asyncio.to_thread(self._rounds.run, lambda: self._running() and self.leads)
        except SkytrailError as exc:
            telemetry.rotation_rounds.labels(FAILED).inc()
            if isinstance(exc, TransientError):
                self._runtime.waiting(str(exc))
            else:
                log.error("rotation failed", kind=exc.kind, error=str(exc))  # noqa: TRY400 - the message names the next step
            report = self._last or RotationReport(at=instant(self._runtime.now()))
            return msgspec.structs.replace(report, outcome=FAILED, detail=str(exc))
        report = report_of(found, self._runtime.now())
        telemetry.rotation_rounds.labels(report.outcome).inc()
        telemetry.rotation_time.set(self._runtime.now().timestamp())
        if found is None:
            if self._last is None or self._last.outcome != OFF:
                log.info("rotation is off", reason="no policy is adopted", mend="skytrail retention adopt")
            return report
        self._measure(found)
        self._log(found)
        if report.done:
            places = sorted({each.place for each in found.results if each.outcome is Outcome.DONE})
            await self._tell([], {"done": str(report.done), "places": " ".join(places)[:4000]})
        return report

    def _measure(self, found: Round) -> None:
        telemetry = self._runtime.telemetry
        for outcome in Outcome:
            telemetry.rotation_results.labels(outcome).inc(found.count(outcome))
        telemetry.rotation_left.labels("approval").set(sum(len(each.offer.plan.items) for each in found.waiting))
        telemetry.rotation_left.labels("blocked").set(len(found.blocked))
        telemetry.rotation_left.labels("undecided").set(found.undecided)
        for outcome in (Outcome.WAITS, Outcome.NOT_EXECUTED, Outcome.SKIPPED):
            telemetry.rotation_left.labels(outcome).set(found.count(outcome))
        telemetry.rotation_overdue.set(found.overdue.total_seconds())

    def _log(self, found: Round) -> None:
        for result in found.results:
            tell = log.info if result.outcome is Outcome.DONE else log.warning
            tell("rotated", outcome=result.outcome, place=result.place, tombstone=result.tombstone, why=result.detail)
        for waiting in found.waiting:
            offer = waiting.offer
            log.warning(
                "destruction waits for people",
                namespace=offer.namespace,
                plan=str(offer.path),
                items=len(offer.plan.items),
                why=waiting.why,
                mend=f"skytrail retention request {offer.path} -n {offer.namespace} --out {offer.request_path} …",
            )
        if found.store_held or found.store_freed:
            log.info("holds of the store follow the ledger", held=found.store_held, freed=found.store_freed)
        for item in found.blocked:
            log.warning("over, but kept", place=item.place, decision=item.decision, why=item.blocked)

    async def _look_at_disks(self) -> tuple[tuple[DiskReport, ...], bool]:
        """The disks, and whether one has come above the watermark since the last look."""
        try:
            disks = await asyncio.to_thread(self._rounds.disks)
        except TransientError as exc:
            self._runtime.waiting(str(exc))
            return (self._last.disks if self._last else ()), False
        reports = disk_reports(disks, self._settings.disk_warning_percent)
        for report in reports:
            self._runtime.telemetry.disk_used.labels(report.node).set(report.used_percent / 100)
            self._runtime.telemetry.disk_warning.labels(report.node).set(report.warning)
        full = frozenset(report.node for report in reports if report.warning)
        for report in reports:
            if report.warning and report.node not in self._full:
                log.warning(
                    "a disk of Elasticsearch fills up",
                    node=report.node,
                    used_percent=report.used_percent,
                    watermark_percent=self._settings.disk_warning_percent,
                    mend="docs/runbook.md#elasticsearch-is-read-only-or-full",
                )
        fuller, self._full = bool(full - self._full), full
        return reports, fuller

    def _rest(self) -> None:
        """Another worker rotates now: tell nothing that may be out of date."""
        if self._last is not None:
            self._last, self._full, self._due = None, frozenset(), 0.0
            self._next_look = 0.0
            telemetry = self._runtime.telemetry
            for gauge in (telemetry.rotation_left, telemetry.disk_used, telemetry.disk_warning):
                gauge.clear()
            telemetry.rotation_overdue.set(0)
