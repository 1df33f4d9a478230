"""Stamps of retention, as the agents need them: documents get theirs before they are written, segments when sealed.

The ledger is read from the archive, now and then, and never waited for: what can't be read is told, and what is written
meanwhile has the stamp of the policies that are known, or none. A document without a stamp is kept as the ledger says.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from ingest.schema.errors import SkytrailError
from storage.archive.manifest import Retention
from storage.retention.stamping import Stamps
from storage.retention.verdict import Subject

PATIENCE_S = 5.0
"""How long a batch of documents waits for the ledgers to be read."""
ALERT_PATIENCE_S = 1.0
"""And a batch of alerts, which people wait for."""
AGAIN_S = 30.0
"""How long nobody asks again after a failure."""
log = structlog.get_logger("skytrail.stamps")


def subject_of(document: dict[str, Any], event: dt.datetime, received: dt.datetime) -> Subject:
    """What a document is to a policy."""
    stream = document["data_stream"]
    return Subject(namespace=stream["namespace"], dataset=stream["dataset"], event=event, received=received)


class DocumentStamps:
    """Stamps documents.

    Args:
        stamps: None: documents carry none.
        clock: Monotonic seconds.
        patience_s: How long a batch waits for the ledgers to be read.
    """

    def __init__(
        self,
        stamps: Stamps | None = None,
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._stamps = stamps
        self._clock = clock
        self._patience_s = patience_s
        self._reading: asyncio.Task[None] | None = None
        self._again_s = float("-inf")

    async def refresh(self, namespaces: Iterable[str]) -> None:
        """Learn of policies that were adopted since; an archive that does not answer is not waited for."""
        if self._stamps is None or not (stale := self._stamps.adopted.stale(sorted(set(namespaces)))):
            return
        if self._reading is None:
            if self._clock() < self._again_s:
                return
            self._reading = asyncio.create_task(asyncio.to_thread(self._stamps.adopted.refresh, stale))
            await asyncio.wait([self._reading], timeout=self._patience_s)
        if self._reading.done():
            done, self._reading = self._reading, None
            self._settle(done)

    def _settle(self, done: asyncio.Task[None]) -> None:
        try:
            done.result()
        except SkytrailError as exc:
            self._again_s = self._clock() + AGAIN_S
            log.warning("stamps of retention by an older policy, or none", kind=exc.kind, error=str(exc))

    def stamp(self, document: dict[str, Any], event: dt.datetime, received: dt.datetime) -> None:
        """Write the stamp into a document."""
        if self._stamps is None:
            return
        if made := self._stamps.newest(subject_of(document, event, received)):
            document["skytrail"]["retention"] = made.fields()


def segment_promise(stamps: Stamps, dataset: str) -> Callable[[str, dt.datetime], Retention | None]:
    """Stamps the segments of a data set; blocks while the ledger is read.

    What can't be read is raised as everything else that the archive refuses to the sealer.
    """

    def promise(namespace: str, received: dt.datetime) -> Retention | None:
        stamps.adopted.refresh([namespace])
        made = stamps.newest(Subject(namespace=namespace, dataset=dataset, event=received, received=received))
        return made.of_segment() if made else None

    return promise
