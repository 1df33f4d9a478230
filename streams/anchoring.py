"""Anchors the ledgers of an archive: one worker of the seal role does it for all of them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import faust
import structlog

from storage.archive.store import ArchiveStore
from storage.ledger.anchor_settings import open_anchors
from storage.ledger.anchoring import Anchors, LogAnchors
from storage.ledger.cosigning import Outcome
from storage.ledger.log import LogIdentity
from storage.ledger.posting import HttpPost
from storage.ledger.published import PublishedLog
from storage.settings import LedgerSettings
from streams.runtime import Runtime, utc_now
from streams.telemetry import Telemetry
from streams.topics import DEAD_LETTERS

log = structlog.get_logger("skytrail.worker")


def keep_anchored(
    app: faust.App, runtime: Runtime, store: ArchiveStore, ledger: LedgerSettings
) -> Callable[[], Awaitable[None]]:
    """Let the worker that has the first partition of the dead letters anchor the ledgers of all namespaces.

    Returns:
        Closes the connections.

    Raises:
        ConfigError: As for `open_anchors`.
    """
    post = HttpPost(ledger.request_timeout_s)
    anchorer = Anchorer(store, ledger, open_anchors(ledger, post), runtime.telemetry, utc_now)

    @app.task  # type: ignore[untyped-decorator]
    async def anchor_ledgers() -> None:
        while not app.should_stop:
            await asyncio.sleep(ledger.witness_interval_s)
            if (DEAD_LETTERS, 0) in runtime.progress.lag:
                await runtime.patiently(anchorer.look)
            else:
                anchorer.rest()

    return post.close


class Anchorer:
    """Looks after the anchors of every ledger.

    Args:
        store: The archive.
        ledger: Names the logs.
        anchors: Who is asked.
        telemetry: Is told.
        clock: Gives the present time, with zone.
    """

    def __init__(
        self,
        store: ArchiveStore,
        ledger: LedgerSettings,
        anchors: Anchors,
        telemetry: Telemetry,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._anchors = anchors
        self._telemetry = telemetry
        self._clock = clock
        self._logs: dict[str, LogAnchors] = {}
        self._last: dict[tuple[str, str], Outcome] = {}

    async def look(self) -> None:
        """Anchor what is to be anchored now.

        Raises:
            StoreUnavailable: Call it again.
            IntegrityError: A ledger is damaged.
        """
        for namespace in await asyncio.to_thread(self._namespaces):
            if namespace not in self._logs:
                identity = LogIdentity(self._ledger.organisation, self._ledger.epoch, namespace)
                published = PublishedLog(self._store, identity)
                self._logs[namespace] = LogAnchors(published, self._anchors, self._clock, self)
        found = await asyncio.gather(*(each.look() for each in self._logs.values()), return_exceptions=True)
        # All have ended: the next look at a log must not meet this one.
        for each in found:
            if each is not None:
                raise each

    def rest(self) -> None:
        """Another worker does it now."""
        self._logs.clear()
        self._telemetry.anchor_waits.clear()

    def answered(self, kind: str, who: str, outcome: Outcome, detail: str) -> None:
        """See `Observer`; the log tells of changes only."""
        self._telemetry.anchor_answers.labels(kind, who, outcome).inc()
        before = self._last.get((kind, who), Outcome.GIVEN)
        self._last[kind, who] = outcome
        if outcome is before:
            return
        if outcome is Outcome.GIVEN:
            log.info("anchored again", kind=kind, who=who)
        elif outcome is Outcome.OTHER_HISTORY:
            log.critical(
                "a witness has seen another history of this ledger",
                who=who,
                detail=detail,
                mend="docs/runbook.md#a-witness-has-seen-another-history",
            )
        else:
            log.warning("not anchored", kind=kind, who=who, outcome=outcome, detail=detail)

    def anchored(self, kind: str, namespace: str, waited_s: float) -> None:
        """See `Observer`."""
        self._telemetry.anchored.labels(kind, namespace).observe(waited_s)

    def waits(self, kind: str, namespace: str, waits_s: float) -> None:
        """See `Observer`."""
        self._telemetry.anchor_waits.labels(kind, namespace).set(waits_s)

    def _namespaces(self) -> list[str]:
        epoch = str(self._ledger.epoch)
        return [name for name in self._store.folders("") if epoch in self._store.folders(f"{name}/log/")]
