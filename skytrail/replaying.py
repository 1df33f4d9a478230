"""Sets up `skytrail replay index`: the comparison of `verify --index`, and a writer for what it finds lacking."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from dataclasses import dataclass, field

from ingest.pseudonyms.key_file import open_pseudonyms
from skytrail.reconciliation import IndexCheck, in_own_loop
from skytrail.settings import Settings
from storage.archive.store import ArchiveStore
from storage.index.client import connect
from storage.index.product import product_mend
from storage.index.writer import Writer
from storage.verify.findings import Finding, Progress, Summary
from storage.verify.ledger.retention import Lawful
from storage.verify.scope import Scope
from streams.restoring import Restoring
from streams.runtime import utc_now


@dataclass(slots=True)
class IndexReplay:
    """One replay.

    Args:
        settings: How to reach Elasticsearch, and all that decides what a document looks like.
        archive: Where the records lie.
        scope: Which time of receipt.
        now: The present.
        namespaces: Only these; empty: all.
        dry_run: Write nothing.
        lawful: What the ledger of a namespace says about retention: what was dropped by it is not brought back.

    Attributes:
        restoring: What was lacking, and what became of it.
    """

    settings: Settings
    archive: ArchiveStore
    scope: Scope
    now: dt.datetime
    namespaces: Collection[str] = ()
    dry_run: bool = False
    lawful: Callable[[str], Lawful] = Lawful
    restoring: Restoring = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        pseudonyms = open_pseudonyms(settings.pseudonyms, settings.state_dir, settings.archive_dir)
        self.restoring = Restoring(None, utc_now, pseudonyms)

    def run(self, summary: Summary, progress: Progress) -> Iterator[Finding]:
        """Compare and write; everything that differs and that no writing mends, as it is found.

        Raises:
            IndexUnavailable: Elasticsearch does not answer, or refuses.
            ConfigError: There is no login, or a filter can't be loaded.
        """
        return in_own_loop(self._run(summary, progress))

    async def _run(self, summary: Summary, progress: Progress) -> AsyncGenerator[Finding, None]:
        search = self.settings.elasticsearch
        client = None if self.dry_run else connect(search, "indexer")
        if client is not None:
            self.restoring.writer = Writer(
                client,
                bulk_bytes=search.bulk_max_bytes,
                in_flight=search.bulk_in_flight,
                timeout_s=search.request_timeout_s,
                mend=product_mend(),
            )
        check = IndexCheck(
            self.settings,
            self.archive,
            self.scope,
            self.now,
            summary,
            progress,
            self.restoring,
            self.namespaces,
            self.lawful,
        )
        try:
            async for finding in check.findings():
                yield finding
            for finding in self.restoring.refused:
                summary.note(finding)
                yield finding
        finally:
            if client is not None:
                await client.close()
