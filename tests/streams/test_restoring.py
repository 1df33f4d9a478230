"""What an index lacks is written under the ids that the index role gives, once, and nothing else is touched."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from storage.index.bulk import BulkItem, Outcome
from storage.verify.findings import Kind
from streams.restoring import DUPLICATE, REFUSED, WRITTEN, Restoring
from tests.streams.test_reconciling import NOW, Index, material, rebuilt_of

__all__ = ["material"]
LATER = NOW + dt.timedelta(days=2)


class IndexWriter:
    """Creates documents in the index of the test; refuses those of some ids."""

    def __init__(self, index: Index, refused: Sequence[str] = ()) -> None:
        self.index = index
        self.refused = refused

    async def write(self, items: Sequence[BulkItem]) -> Outcome:
        outcome = Outcome()
        for place, item in enumerate(items):
            if item.id in self.refused:
                outcome.refused.append((place, "mapper_parsing_exception", "no"))
            elif (item.index, item.id) in self.index.documents:
                outcome.duplicate.append(place)
            else:
                self.index.documents[item.index, item.id] = orjson.loads(item.body)
                outcome.created.append(place)
        return outcome


@pytest.fixture
def index(tmp_path: Path, material: list[bytes]) -> Index:
    """Two messages; an event of the first comes rewritten in the second, and once more as it was."""
    rewritten = material[1].replace(b'"eventName"', b'"eventname" : "x", "eventName"', 1)
    return Index(rebuilt_of(tmp_path, [material[:4], [*material[4:8], rewritten, material[1]]]))


async def restored(index: Index, refused: Sequence[str] = (), *, dry_run: bool = False) -> tuple[Restoring, list[Kind]]:
    restoring = Restoring(None if dry_run else IndexWriter(index, refused), lambda: LATER)
    found, _ = await index.compare(restore=restoring)
    return restoring, [each.kind for each in found]


async def test_an_index_that_was_dropped_is_there_again_as_it_was(index: Index) -> None:
    before = copy.deepcopy(index.documents)
    index.documents.clear()
    restoring, kinds = await restored(index)
    assert kinds == []
    assert (restoring.counts[WRITTEN], restoring.counts[DUPLICATE]) == (9, 1)
    assert {each["event"]["ingested"] for each in index.documents.values()} == {"2026-11-22T12:00:00.000Z"}
    for document in (*before.values(), *index.documents.values()):
        document["event"]["ingested"] = ""
    assert index.documents == before
    assert sum("equivocation_of" in each["skytrail"] for each in before.values()) == 1
    assert (await index.compare())[0] == []


async def test_single_documents_come_back_and_the_rest_stays_as_it_is(index: Index) -> None:
    kept = copy.deepcopy(index.documents)
    second = next(key for key, each in index.documents.items() if "equivocation_of" in each["skytrail"])
    for gone in (index.key(0, 0), second):
        del index.documents[gone]
    restoring, kinds = await restored(index)
    assert (restoring.counts[WRITTEN], kinds) == (2, [])
    assert index.documents.keys() == kept.keys()
    assert index.documents[second]["skytrail"] == kept[second]["skytrail"]


async def test_a_dry_run_counts_the_same_and_writes_nothing(index: Index) -> None:
    index.documents.clear()
    restoring, kinds = await restored(index, dry_run=True)
    assert (restoring.counts[WRITTEN], restoring.counts[DUPLICATE], kinds) == (9, 1, [])
    assert index.documents == {}


async def test_what_was_edited_or_added_is_told_and_not_overwritten(index: Index) -> None:
    edited, removed = index.key(0, 0), index.key(0, 2)
    index.documents[edited]["user"] = {"name": "somebody.else"}
    forged = copy.deepcopy(index.documents[removed])
    del index.documents[removed]
    index.documents[edited[0], "forged"] = forged
    restoring, kinds = await restored(index)
    assert sorted(kinds) == [Kind.ALTERED, Kind.INSERTED]
    assert restoring.counts[WRITTEN] == 1
    assert index.documents[edited]["user"] == {"name": "somebody.else"}


async def test_what_elasticsearch_refuses_is_named(index: Index) -> None:
    gone = index.key(0, 3)
    index.documents.clear()
    restoring, _ = await restored(index, refused=[gone[1]])
    assert (restoring.counts[WRITTEN], restoring.counts[REFUSED]) == (8, 1)
    (finding,) = restoring.refused
    assert (finding.kind, finding.document, finding.offset, finding.index) == (Kind.UNCHECKED, "/".join(gone), 0, 3)
