"""Sets up the comparison of Elasticsearch with an archive (`skytrail verify --index`)."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from dataclasses import dataclass

from elasticsearch import AsyncElasticsearch

from detectors.rulebook import load
from detectors.sigma.engine import InterpretedEngine
from ingest.document import whole_millis
from ingest.pseudonyms.key_file import open_where_possible
from ingest.pseudonyms.pseudonyms import Pseudonyms
from ingest.schema import dead_letter
from ingest.schema.envelope import Position
from ingest.schema.errors import IntegrityError, StoreUnavailable, UnsupportedEnvelope
from skytrail.data_keys import data_keys
from skytrail.settings import Settings
from storage.archive.reader import ArchiveReader
from storage.archive.store import ArchiveStore
from storage.index.client import connect
from storage.index.product import product_mend
from storage.index.scan import fetch, namespaces, reach, scan, twins
from storage.index.visibility import make_visible
from storage.retention.stamping import open_stamps
from storage.verify.findings import Finding, Kind, Progress, Summary
from storage.verify.ledger.retention import Lawful
from storage.verify.scope import Scope
from streams.keep_out import keep_out
from streams.naming import namer, rotating
from streams.preparing import Limits
from streams.rebuilding import Rebuilder, Rebuilt
from streams.reconciling import Reconciling, Restore, Sides
from streams.rewritten import Rewritten
from streams.topics import DEAD_LETTERS

_TELL_EVERY = 1000
_UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """The comparison of all namespaces, one after the other.

    Args:
        settings: How to reach Elasticsearch, and all that decides what a document looks like.
        archive: Where the archive lies.
        scope: Which time of receipt.
        now: The present.
        summary: Is brought up to date.
        progress: Is told of it.
        restore: See `streams.reconciling.Reconciling`.
        namespaces: Only these; empty: all that the archive or Elasticsearch has.
        lawful: What the ledger of a namespace says about retention.
    """

    settings: Settings
    archive: ArchiveStore
    scope: Scope
    now: dt.datetime
    summary: Summary
    progress: Progress
    restore: Restore | None = None
    namespaces: Collection[str] = ()
    lawful: Callable[[str], Lawful] = Lawful

    def check(self) -> Iterator[Finding]:
        """Everything that differs, as it is found.

        Raises:
            IndexUnavailable: Elasticsearch does not answer, or refuses.
            ConfigError: There is no login for the reader, or a filter can't be loaded.
        """
        yield from in_own_loop(self.findings())

    async def findings(self) -> AsyncGenerator[Finding, None]:
        """The same, within a loop that runs."""
        async for finding in self._found():
            self.summary.note(finding)
            yield finding

    async def _found(self) -> AsyncGenerator[Finding, None]:
        client = connect(self.settings.elasticsearch, "reader")
        try:
            await make_visible(client)
            lawful = functools.cache(self.lawful)
            keys = data_keys(self.settings)
            reader = ArchiveReader(self.archive, keys, lambda namespace: lawful(namespace).segments)
            known = {*reader.namespaces(), *await namespaces(client)} - {_UNREADABLE}
            for namespace in sorted(known & set(self.namespaces) if self.namespaces else known):
                try:
                    async for finding in self._namespace(client, reader, namespace, lawful(namespace)):
                        yield finding
                except (IntegrityError, StoreUnavailable) as exc:
                    detail = f"the archive can't be read, so its index was not compared: {exc.what}"
                    yield Finding(kind=Kind.UNCHECKED, detail=detail, namespace=namespace, key=exc.where)
        finally:
            await client.close()

    async def _namespace(
        self, client: AsyncElasticsearch, reader: ArchiveReader, namespace: str, lawful: Lawful
    ) -> AsyncGenerator[Finding, None]:
        since, until = whole_millis(self.scope.since), whole_millis(self.scope.until)
        reached = await reach(client, namespace)
        comparison = Reconciling(
            namespace,
            Sides(
                reached,
                reader.ends(namespace),
                _once(lambda: _buried(reader, namespace)),
                frozenset(lawful.indices),
                functools.partial(reader.gone_key, namespace),
                lawful.shredded,
            ),
            functools.partial(fetch, client),
            product_mend(),
            self.now,
            self.restore,
            self._pseudonyms(),
        )
        records = reader.records(namespace, since=since, until=until)
        before = self.summary.documents

        def told(rebuilt: Iterator[Rebuilt]) -> Iterator[Rebuilt]:
            for number, each in enumerate(rebuilt):
                if number % _TELL_EVERY == 0:
                    self.summary.documents = before + comparison.counts.documents
                    self.progress(self.summary)
                yield each

        rebuilt = told(self._rebuilder().rebuild(records))
        rewritten = Rewritten(namespace, functools.partial(twins, client, namespace))
        stored = rewritten.watched(scan(client, namespace, since, until))
        async for finding in comparison.compare(stored, rebuilt):
            yield finding
        for finding in rewritten.findings:
            yield finding
        counts = comparison.counts
        self.summary.documents = before + counts.documents
        self.summary.unindexed += counts.duplicates + counts.not_indexed + counts.young

    def _pseudonyms(self) -> Pseudonyms:
        settings = self.settings
        return open_where_possible(settings.pseudonyms, settings.state_dir, settings.archive_dir)

    def _rebuilder(self) -> Rebuilder:
        settings = self.settings
        filters = load(settings.detection.index_filters, settings.detection.placeholders, strict=True)
        limits = Limits.of(settings.worker.max_future_h, settings.worker.max_age_d)
        return Rebuilder(
            namer(settings.elasticsearch, rotating(settings.retention)),
            limits,
            keep_out(InterpretedEngine(filters.rules)),
            open_stamps(self.archive, settings.retention),
        )


def in_own_loop(findings: AsyncGenerator[Finding, None]) -> Iterator[Finding]:
    """What an asynchronous check finds, for callers that have no loop."""
    with asyncio.Runner() as runner:
        try:
            while (finding := runner.run(_next(findings))) is not None:
                yield finding
        finally:
            runner.run(findings.aclose())


async def _next(findings: AsyncGenerator[Finding, None]) -> Finding | None:
    return await anext(findings, None)


def _once(make: Callable[[], frozenset[Position]]) -> Callable[[], frozenset[Position]]:
    return functools.cache(make)


def _buried(reader: ArchiveReader, namespace: str) -> frozenset[Position]:
    """Places of the records of which the archive has a dead letter."""
    found: set[Position] = set()
    for record in reader.records(namespace, topics=[DEAD_LETTERS]):
        try:
            position = dead_letter.decode(record.body).position
        except UnsupportedEnvelope:
            continue  # of another version: it speaks for nothing
        if position is not None:
            found.add(position)
    return frozenset(found)
