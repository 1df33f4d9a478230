"""Stamps of retention, as the agents need them: documents get theirs before they are written, segments when sealed.

The ledger is read from the archive, now and then, and never waited for: what can't be read is told, and what is written
meanwhile has the stamp of the policies that are known, or none. A document without a stamp is kept as the ledger says.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from ingest.schema.errors import SkytrailError
from storage.archive.manifest import Retention
from storage.retention.stamping import Stamps
from storage.retention.verdict import Subject

log = structlog.get_logger("skytrail.stamps")


def subject_of(document: dict[str, Any], event: dt.datetime, received: dt.datetime) -> Subject:
    """What a document is to a policy."""
    stream = document["data_stream"]
    return Subject(namespace=stream["namespace"], dataset=stream["dataset"], event=event, received=received)


class DocumentStamps:
    """Stamps documents.

    Args:
        stamps: None: documents carry none.
    """

    def __init__(self, stamps: Stamps | None = None) -> None:
        self._stamps = stamps
        self._failed = ""

    async def refresh(self, namespaces: Iterable[str]) -> None:
        """Learn of policies that were adopted since; a failure is told once, and tried again with the next batch."""
        if self._stamps is None or not (stale := self._stamps.adopted.stale(sorted(set(namespaces)))):
            return
        try:
            await asyncio.to_thread(self._stamps.adopted.refresh, stale)
        except SkytrailError as exc:
            if str(exc) != self._failed:
                log.warning("stamps by an older policy, or none", kind=exc.kind, error=str(exc))
            self._failed = str(exc)
        else:
            self._failed = ""

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
