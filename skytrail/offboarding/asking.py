"""Asks for what a final statement says: the roles' accounts, the index, the ledger, the digests of CloudTrail."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Callable

from ingest.formats.registry import all_formats
from ingest.schema.errors import ConfigError, EngineError, SkytrailError, StoreUnavailable
from ingest.settings import CollectorSettings
from skytrail.cli.places import opened
from skytrail.offboarding.retention_clock import kept, state_of
from skytrail.offboarding.statement import Digests, Kept, LastEvent, Position, Statement, missing_of, row_of
from skytrail.settings import Settings
from storage.archive.manifest import digest
from storage.archive.opening import open_archive
from storage.index.client import connect
from storage.index.search import Query, search
from storage.index.visibility import make_visible
from storage.ledger.checkpoint import parse_head
from storage.ledger.log import LogIdentity
from storage.ledger.note import parse
from storage.ledger.published import PublishedLog
from storage.verify.cloudtrail.keys import PinnedKeys
from storage.verify.cloudtrail.trail import Trail
from storage.verify.findings import Summary
from storage.verify.scope import Scope
from streams.arrivals import read_arrivals
from streams.handled import wait_until_handled

Connect = Callable[[], Settings]


class Asking:
    """What one run asks.

    Args:
        name: Of the collector.
        settings: Of the collector.
        found: All settings, with the way to Kafka.
        searching: Gives the settings with the way to Elasticsearch; raises where there is none.
    """

    def __init__(self, name: str, settings: CollectorSettings, found: Settings, searching: Connect) -> None:
        self._name = name
        self._settings = settings
        self._found = found
        self._searching = searching
        self._notes: list[str] = []

    async def statement(
        self,
        closed_at: str,
        now: Callable[[], dt.datetime],
        *,
        running: bool,
        spooled: int,
        digests: Digests | None,
        timeout_s: float,
    ) -> Statement:
        """The statement, as far as it can be made now.

        Args:
            closed_at: When the collector was closed.
            now: The present.
            running: A collector of this name still runs here.
            spooled: Bodies in its spool that are not in Kafka.
            digests: What CloudTrail's digests say, where that was asked for.
            timeout_s: Seconds to wait for the roles.

        Raises:
            BrokerUnavailable: Kafka does not answer.
        """
        kafka = self._found.kafka
        handled = await wait_until_handled(kafka, list(all_formats()), self._name, timeout_s=timeout_s)
        seen = await read_arrivals(kafka, self._name)
        ledger = self._position()
        last = await self._last_event()
        formats = sorted({source.format for source in handled.sources})
        return Statement(
            collector=self._name,
            transport=self._settings.transport,
            format=self._settings.format,
            namespace=self._settings.namespace,
            closed_at=closed_at,
            stated_at=now().isoformat(timespec="microseconds"),
            sources=[row_of(source) for source in handled.sources],
            lag=dict(handled.lag),
            last_seen_at=seen.last_at.isoformat() if seen.last_at else None,
            last_event=last,
            ledger=ledger,
            digests=digests,
            retention_from=closed_at,
            kept=self._kept(formats, last, dt.datetime.fromisoformat(closed_at), now),
            missing=list(missing_of(handled.sources, handled.lag, digests, running=running, spooled=spooled)),
            notes=self._notes,
        )

    def _position(self) -> Position | None:
        """Where the ledger of the namespace stands now."""
        own = self._found.ledger
        identity = LogIdentity(own.organisation, own.epoch, self._settings.namespace)
        store = open_archive(self._found.archive, self._found.archive_dir)
        raw = PublishedLog(store, identity).checkpoint()
        if raw is None:
            self._notes.append(f"the namespace {self._settings.namespace} has no ledger here")
            return None
        text = parse(raw).text
        head = parse_head(text)
        return Position(origin=head.origin, size=head.size, root=text.split("\n")[2], checkpoint=digest(raw))

    def _kept(
        self, formats: list[str], last: LastEvent | None, closed: dt.datetime, now: Callable[[], dt.datetime]
    ) -> list[Kept]:
        """Until when its last events are kept; a note where the ledger can't be asked."""
        try:
            state = state_of(self._found, self._settings.namespace, now)
        except (ConfigError, StoreUnavailable) as exc:
            self._notes.append(f"until when it is kept was not asked: {exc.what}")
            return []
        at = dt.datetime.fromisoformat(last.at) if last else None
        return list(kept(state, self._settings.namespace, formats, at, closed))

    async def _last_event(self) -> LastEvent | None:
        """The newest event in the index; a note where it can't be asked."""
        try:
            client = connect(self._searching().elasticsearch, "reader")
        except (ConfigError, EngineError) as exc:
            self._notes.append(f"the index was not asked for the last event: {exc.what}")
            return None
        name = re.sub(r"(\W)", r"\\\1", self._name)  # in a Lucene query, any character may be escaped
        query = Query(f"skytrail.collector:({name} OR {name}\\/*)", self._settings.namespace)
        try:
            if not await make_visible(client, self._settings.namespace):
                self._notes.append("the login reader may not refresh indices: the newest events may not be seen yet")
            async with contextlib.aclosing(search(client, query, limit=1)) as hits:
                async for hit in hits:
                    received = hit.source.get("event", {}).get("created")
                    return LastEvent(id=hit.id, at=str(hit.source["@timestamp"]), received_at=received)
        except SkytrailError as exc:
            self._notes.append(f"the index was not asked for the last event: {exc.what}")
        finally:
            await client.close()
        return None


def digests_of(place: str, keys: PinnedKeys, now: dt.datetime, jobs: int) -> Digests:
    """What CloudTrail delivered, held against its own digests.

    Args:
        place: A directory or s3://bucket/prefix.
        keys: CloudTrail's public keys.
        now: The present.
        jobs: Files read at once.
    """
    summary = Summary()
    scope = Scope(jobs=jobs, now=now)
    for _ in Trail(opened(place), keys, scope, now, summary).check():
        pass
    verdict = "clean" if summary.ok else "tampered" if summary.tampered else "incomplete"
    return Digests(
        place=place,
        verdict=verdict,
        digests=summary.digests,
        log_files=summary.log_files,
        findings=summary.findings,
    )
