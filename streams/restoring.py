"""Writes the documents that an index lacks, as the archive makes them: under the ids that the index role gives them.

Documents are only ever created, so what is there stays as it is, and a running index role may do the same at the same
time: whoever comes second finds the id taken.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ingest.document import utc_millis
from ingest.pseudonyms.pseudonyms import Pseudonyms
from storage.index.bulk import BulkItem
from storage.index.documents import serialise
from storage.verify.findings import Finding, Kind
from streams.agents.index import Writer
from streams.pseudonyms import NO_PSEUDONYMS
from streams.reconciling import Lost

WRITTEN = "written"
DUPLICATE = "duplicate"
REFUSED = "refused"
MOST_TOLD = 1000


class Restoring:
    """A `Restore`.

    Args:
        writer: Of the indexer identity; None: nothing is written, and what would be is counted.
        now: The present, as `event.ingested` has it.
        pseudonyms: Those that are on.

    Attributes:
        writer: May be given later.
        counts: Outcome → records.
        refused: The first records that Elasticsearch refuses for good.
    """

    def __init__(
        self, writer: Writer | None, now: Callable[[], dt.datetime], pseudonyms: Pseudonyms = NO_PSEUDONYMS
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.refused: list[Finding] = []
        self.writer = writer
        self._now = now
        self._pseudonyms = pseudonyms
        self._leaves: dict[tuple[str, str], str] = {}

    async def __call__(self, lost: Sequence[Lost]) -> None:
        """Write what is lost, or count it."""
        if self.writer is not None:
            self._leaves.clear()  # what was written before is found in the index from now on
        chosen = [(each, id_) for each in lost if (id_ := self._id_of(each)) is not None]
        self.counts[DUPLICATE] += len(lost) - len(chosen)
        if self.writer is None:
            self.counts[WRITTEN] += len(chosen)
            return
        items = [BulkItem(each.rebuilt.index, id_, serialise(self._document(each, id_))) for each, id_ in chosen]
        outcome = await self.writer.write(items)
        self.counts[WRITTEN] += len(outcome.created)
        self.counts[DUPLICATE] += len(outcome.duplicate) + len(outcome.uncertain)
        for place, kind, reason in outcome.refused:
            self.counts[REFUSED] += 1
            if len(self.refused) < MOST_TOLD:
                self.refused.append(_refusal(chosen[place][0], f"{items[place].index}/{items[place].id}", kind, reason))

    def _id_of(self, lost: Lost) -> str | None:
        """Under which id a record goes; None where an equal one just went there."""
        made = lost.rebuilt
        for id_ in (made.second_id,) if lost.taken else (made.id, made.second_id):
            before = self._leaves.setdefault((made.index, id_), "")
            if before == made.leaf:
                return None
            if not before:
                self._leaves[made.index, id_] = made.leaf
                return id_
        return None

    def _document(self, lost: Lost, id_: str) -> dict[str, Any]:
        made = lost.rebuilt
        assert made.document is not None
        document = made.document | {"event": made.document["event"] | {"ingested": utc_millis(self._now())}}
        if id_ == made.second_id:
            document["skytrail"] = document["skytrail"] | {"equivocation_of": made.id}
        return self._pseudonyms.document(document)


def _refusal(lost: Lost, document: str, kind: str, reason: str) -> Finding:
    place = lost.rebuilt.position
    return Finding(
        kind=Kind.UNCHECKED,
        detail=f"Elasticsearch refuses the document: {kind}: {reason}",
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        index=place.index,
        document=document,
    )
