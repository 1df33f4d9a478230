"""Index against an archive from which one person was erased: nothing of it is missed, and nothing of it may be left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pytest

from ingest.schema.envelope import Position
from storage.archive.reader import ArchiveReader
from storage.datakeys.keys import DataKeys
from storage.index.product import product_mend
from storage.index.scan import Reach
from storage.verify.findings import Finding, Kind
from streams.reconciling import Lost, Reconciling, Restore, Sides
from tests.storage.archive.people import ANN, of_people
from tests.storage.archive.samples import START, TOPIC, Clock, open_store, seal_in_batches
from tests.storage.datakeys.samples import made_keys
from tests.streams.test_reconciling import REBUILDER, Index

LATER = START + dt.timedelta(days=40)
OF_ANN = {(offset, index) for offset in range(6) for index in (0, 4)}


class Scene:
    """Documents of everybody, made before ann was erased from the archive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        clock = Clock()
        self.keys: DataKeys = made_keys(root / "datakeys", now=clock, by_subject=True)
        seal_in_batches(open_store(root / "archive"), of_people(), [2], clock, self.keys)
        self.index = Index(list(REBUILDER.rebuild(self.reader().records("acme"))))
        self.month = next(self.keys.entries()).id
        (self.ann,) = self.keys.of_subject("acme", ANN)
        clock.now = LATER

    def reader(self) -> ArchiveReader:
        return ArchiveReader(open_store(self.root / "archive"), self.keys)

    def drop(self, offset: int, index: int) -> tuple[str, str]:
        """Delete the document of a record; gives its index and id."""
        key = self.index.key(offset, index)
        del self.index.documents[key]
        return key

    async def compare(
        self, shredded: frozenset[str] = frozenset(), restore: Restore | None = None
    ) -> tuple[list[Finding], Reconciling]:
        reader = self.reader()
        sides = Sides(
            Reach({(TOPIC, 0): 9}, START + dt.timedelta(hours=1)),
            reader.ends("acme"),
            frozenset,
            gone_key=lambda position: reader.gone_key("acme", position),
            shredded=shredded,
        )
        comparison = Reconciling("acme", sides, self.index.fetch, product_mend(), LATER, restore)
        rebuilt = REBUILDER.rebuild(reader.records("acme"))
        return [each async for each in comparison.compare(self.index.scan(), rebuilt)], comparison


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def places(findings: Sequence[Finding]) -> set[tuple[int | None, int | None]]:
    return {(finding.offset, finding.index) for finding in findings}


async def test_before_anybody_is_erased_nothing_is_found(scene: Scene) -> None:
    found, comparison = await scene.compare()
    assert (found, comparison.counts.documents, comparison.counts.not_indexed) == ([], 24, 6)


async def test_documents_of_somebody_erased_are_not_missed_and_all_others_are_as_they_were(scene: Scene) -> None:
    for place in OF_ANN:
        scene.drop(*place)
    scene.keys.destroy("acme", scene.ann)
    found, comparison = await scene.compare(frozenset({scene.ann}))
    assert (found, comparison.counts.documents, comparison.counts.not_indexed) == ([], 12, 6)


async def test_a_document_that_is_left_of_somebody_erased_is_named(scene: Scene) -> None:
    for place in OF_ANN - {(2, 4)}:
        scene.drop(*place)
    left = scene.index.key(2, 4)
    scene.keys.destroy("acme", scene.ann)
    (finding,) = (await scene.compare(frozenset({scene.ann})))[0]
    assert (finding.kind, finding.document) == (Kind.KEPT, "/".join(left))
    assert (finding.topic, finding.partition, finding.offset, finding.index) == (TOPIC, 0, 2, 4)
    assert scene.ann in finding.detail


async def test_without_an_entry_of_the_ledger_what_is_left_is_no_leftover_but_the_last_copy(scene: Scene) -> None:
    scene.keys.destroy("acme", scene.ann)
    found, _ = await scene.compare()
    assert {finding.kind for finding in found} == {Kind.UNCHECKED}
    assert places(found) == OF_ANN
    assert all("the last that is left" in finding.detail for finding in found)


async def test_the_same_is_told_of_a_month_that_was_destroyed(scene: Scene) -> None:
    scene.keys.destroy("acme", scene.month)
    found, _ = await scene.compare(frozenset({scene.month}))
    assert {finding.kind for finding in found} == {Kind.KEPT}
    assert len(found) == 24


async def test_others_are_still_missed_and_only_they_are_brought_back(scene: Scene) -> None:
    for place in OF_ANN:
        scene.drop(*place)
    bob = scene.drop(3, 2)
    scene.keys.destroy("acme", scene.ann)
    found, _ = await scene.compare(frozenset({scene.ann}))
    assert [(finding.kind, finding.document) for finding in found] == [(Kind.MISSING, "/".join(bob))]
    lost: list[Lost] = []

    async def restore(brought: Sequence[Lost]) -> None:
        lost.extend(brought)

    assert (await scene.compare(frozenset({scene.ann}), restore))[0] == []
    assert [(each.rebuilt.index, each.rebuilt.id) for each in lost] == [bob]


async def test_a_forged_document_is_no_leftover(scene: Scene) -> None:
    forged = {**scene.index.documents[scene.index.key(0, 2)]}
    forged["skytrail"] = {**forged["skytrail"], "kafka": {**forged["skytrail"]["kafka"], "index": 5}}
    scene.index.documents[scene.index.key(0, 2)[0], "forged"] = forged
    found, _ = await scene.compare()
    assert [(finding.kind, finding.offset, finding.index) for finding in found] == [(Kind.INSERTED, 0, 5)]


def test_the_reader_tells_which_key_is_gone_of_a_record_and_nothing_of_others(scene: Scene) -> None:
    scene.keys.destroy("acme", scene.ann)
    reader = scene.reader()
    told = {(o, i): reader.gone_key("acme", Position(TOPIC, 0, o, i)) for o in range(6) for i in range(5)}
    assert {place for place, key in told.items() if key == scene.ann} == OF_ANN
    assert {key for place, key in told.items() if place not in OF_ANN} == {None}
    for beyond in (Position(TOPIC, 0, 6, 0), Position(TOPIC, 0, 5, 5), Position(TOPIC, 1, 0, 0)):
        assert reader.gone_key("acme", beyond) is None
