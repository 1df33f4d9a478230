"""Index against archive: every document that is not what the archive makes is named, and nothing else is."""

from __future__ import annotations

import copy
import datetime as dt
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from ingest.schema.envelope import Envelope, Position, encode
from storage.archive.reader import ArchiveReader
from storage.index.bulk import Mend
from storage.index.product import product_mend
from storage.index.scan import Reach
from storage.index.search import Hit
from storage.retention.stamping import Stamps
from storage.retention.verdict import InForce
from storage.settings import ElasticsearchSettings
from storage.verify.findings import Finding, Kind
from streams.keep_out import nothing
from streams.naming import namer
from streams.preparing import Limits
from streams.rebuilding import Rebuilder, Rebuilt
from streams.reconciling import Reconciling, Restore, Sides, key_of
from streams.topics import raw_topic
from tests.faults.material import CLOUDTRAIL, cloudtrail, header
from tests.storage.archive.samples import Clock, open_store, sealer
from tests.storage.retention.samples import since

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
TOPIC = raw_topic(CLOUDTRAIL)
NAMER = namer(ElasticsearchSettings())
REBUILDER = Rebuilder(NAMER, Limits.of(24, 3660), nothing)
MEND = product_mend()
HEADER = msgspec.structs.replace(header("acme", CLOUDTRAIL), received_at=NOW)


class Index:
    """Documents as the index role would have written them, and what an administrator does to them."""

    def __init__(self, rebuilt: Sequence[Rebuilt]) -> None:
        self.rebuilt = rebuilt
        self.documents: dict[tuple[str, str], dict[str, Any]] = {}
        for each in rebuilt:
            if each.document is None:
                continue
            document = copy.deepcopy(each.document)
            document["event"]["ingested"] = "2026-11-20T12:00:05.000Z"
            before = self.documents.get((each.index, each.id))
            if before is None:
                self.documents[each.index, each.id] = document
            elif before["event"]["hash"] != each.leaf:
                document["skytrail"]["equivocation_of"] = each.id
                self.documents[each.index, each.second_id] = document

    def key(self, offset: int, index: int) -> tuple[str, str]:
        """Index and id of the document of a record."""
        return next((e.index, e.id) for e in self.rebuilt if (e.position.offset, e.position.index) == (offset, index))

    def hits(self) -> list[Hit]:
        found = [Hit(index, id_, document) for (index, id_), document in self.documents.items()]
        return sorted(found, key=lambda hit: (key_of(hit.source) is None, key_of(hit.source) or (), hit.id))

    async def scan(self) -> AsyncIterator[Hit]:
        for hit in self.hits():
            yield hit

    async def fetch(self, wanted: Sequence[tuple[str, str]]) -> list[Hit | None]:
        return [Hit(*each, self.documents[each]) if each in self.documents else None for each in wanted]

    async def compare(
        self,
        *,
        now: dt.datetime = NOW + dt.timedelta(days=1),
        buried: frozenset[Position] = frozenset(),
        mend: Mend = MEND,
        ingested: dt.datetime = NOW + dt.timedelta(hours=1),
        restore: Restore | None = None,
    ) -> tuple[list[Finding], Reconciling]:
        offsets: dict[tuple[str, int], int] = {}
        for hit in self.hits():
            if (key := key_of(hit.source)) is not None:
                offsets[key[:2]] = max(offsets.get(key[:2], -1), key[2])
        reach = Reach(offsets, ingested)
        comparison = Reconciling("acme", Sides(reach, {(TOPIC, 0): 9}, lambda: buried), self.fetch, mend, now, restore)
        found = [each async for each in comparison.compare(self.scan(), iter(self.rebuilt))]
        return found, comparison


def rebuilt_of(root: Path, messages: Sequence[Sequence[bytes]], rebuilder: Rebuilder = REBUILDER) -> list[Rebuilt]:
    """Seal messages of acme, and what the archive makes of them."""
    store = open_store(root)
    one = sealer(store, Clock(NOW))
    one._topic = TOPIC
    one.restore()
    for offset, records in enumerate(messages):
        one.add(offset, encode(Envelope(header=HEADER, records=tuple(records))))
    one.seal()
    return list(rebuilder.rebuild(ArchiveReader(store).records("acme")))


@pytest.fixture(scope="module")
def material() -> list[bytes]:
    return cloudtrail(random.Random(4), 12, NOW)


@pytest.fixture
def index(tmp_path: Path, material: list[bytes]) -> Index:
    """Three messages; the last record came before, and one is no event."""
    return Index(rebuilt_of(tmp_path, [material[:4], [*material[4:8], b"not json"], [*material[8:], material[0]]]))


async def test_what_was_indexed_and_not_touched_is_right(index: Index):
    found, comparison = await index.compare()
    assert found == []
    counts = comparison.counts
    assert (counts.documents, counts.duplicates, counts.not_indexed, counts.young) == (12, 1, 1, 0)


def _edit(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *above, last = path.split(".")
        for name in above:
            document = document[name]
        if value is None:
            del document[last]
        else:
            document[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("event.action", "ListBuckets", "event.action"),
        ("event.original", "{}", "event.original"),
        ("event.hash", "00" * 32, "event.hash"),
        ("@timestamp", "2026-11-20T11:00:00.000Z", "@timestamp"),
        ("event.outcome", None, "event.outcome"),
        ("tags", ["harmless"], "tags"),
        ("skytrail.kafka.offset", 2, "skytrail.kafka.offset"),
        ("skytrail.kafka.offset", 77, "skytrail.kafka.offset"),
        ("skytrail.kafka.offset", "1", "skytrail.kafka.offset"),
        ("skytrail.kafka", None, "skytrail.kafka"),
        ("log.offset", 99, "log.offset"),
    ],
)
async def test_an_edited_document_is_named_with_its_field(index: Index, path: str, value: Any, named: str):
    key = index.key(1, 2)
    _edit(path, value)(index.documents[key])
    (finding,), _ = await index.compare()
    assert (finding.kind, finding.namespace, finding.document) == (Kind.ALTERED, "acme", "/".join(key))
    assert (finding.topic, finding.partition, finding.offset, finding.index) == (TOPIC, 0, 1, 2)
    assert named in finding.detail


async def test_a_deleted_document_is_missing(index: Index):
    key = index.key(1, 2)
    del index.documents[key]
    (finding,), _ = await index.compare()
    assert (finding.kind, finding.document, finding.offset, finding.index) == (Kind.MISSING, "/".join(key), 1, 2)


async def test_the_newest_document_is_missing_too_if_the_index_went_on(index: Index):
    key = index.key(2, 3)
    del index.documents[key]
    (finding,), _ = await index.compare()
    assert (finding.kind, finding.document) == (Kind.MISSING, "/".join(key))


@pytest.mark.parametrize("place", [(0, 1), (5, 0), (99, 0), None])
async def test_a_forged_document_is_named_whatever_place_it_claims(index: Index, place: tuple[int, int] | None):
    name, _ = index.key(0, 1)
    forged = copy.deepcopy(index.documents[index.key(0, 1)])
    forged["event"]["action"] = "CreateUser"
    if place:
        forged["skytrail"]["kafka"] |= {"offset": place[0], "index": place[1]}
    else:
        del forged["skytrail"]
    index.documents[name, "forged"] = forged
    (finding,), _ = await index.compare()
    assert (finding.kind, finding.document) == (Kind.INSERTED, f"{name}/forged")


async def test_a_document_that_was_moved_to_another_index_is_altered(index: Index):
    name, id_ = index.key(0, 1)
    index.documents["logs-aws.cloudtrail-acme-2020.01.01", id_] = index.documents.pop((name, id_))
    (finding,), _ = await index.compare()
    assert (finding.kind, finding.document) == (Kind.ALTERED, f"logs-aws.cloudtrail-acme-2020.01.01/{id_}")


async def test_a_document_in_place_of_another_is_two_findings(index: Index):
    one, other = index.key(0, 1), index.key(1, 1)
    index.documents[one] = index.documents.pop(other)
    found, _ = await index.compare()
    assert {(f.kind, f.document) for f in found} == {(Kind.ALTERED, "/".join(one)), (Kind.MISSING, "/".join(other))}


async def test_of_an_event_that_was_rewritten_both_documents_must_be_there(tmp_path: Path, material: list[bytes]):
    other = material[1].replace(b'"eventSource"', b'"eventSource" ', 1)
    assert other != material[1]
    index = Index(rebuilt_of(tmp_path, [material[:3], [other]]))
    assert len(index.documents) == 4
    assert (await index.compare())[0] == []
    second = next(key for key, document in index.documents.items() if "equivocation_of" in document["skytrail"])
    del index.documents[second]
    (finding,), _ = await index.compare()
    assert (finding.kind, finding.offset, finding.index) == (Kind.MISSING, 1, 0)


async def test_a_record_with_a_dead_letter_needs_no_document(index: Index):
    del index.documents[index.key(1, 2)]
    assert (await index.compare(buried=frozenset({Position(TOPIC, 0, 1, 2)})))[0] == []


async def test_what_is_young_may_be_on_one_side_only(index: Index):
    for place in range(3):
        del index.documents[index.key(2, place)]  # of the last message nothing is indexed yet
    found, comparison = await index.compare(now=NOW + dt.timedelta(minutes=14))
    # The index was busy an hour later, in this sample: so it passed them by.
    assert [f.kind for f in found] == [Kind.MISSING] * 3
    found, comparison = await index.compare(now=NOW + dt.timedelta(minutes=14), ingested=NOW)
    assert (found, comparison.counts.young) == ([], 3)
    (finding,), _ = await index.compare(now=NOW + dt.timedelta(minutes=16), ingested=NOW)
    assert (finding.kind, finding.offset, finding.detail[:4]) == (Kind.UNCHECKED, 2, "3 of")


async def test_a_young_document_whose_record_is_not_sealed_yet_is_no_forgery(index: Index):
    name, _ = index.key(0, 1)
    ahead = copy.deepcopy(index.documents[index.key(0, 1)])
    ahead["skytrail"]["kafka"]["offset"] = 12
    index.documents[name, "ahead"] = ahead
    found, comparison = await index.compare(now=NOW + dt.timedelta(minutes=14))
    assert (found, comparison.counts.young) == ([], 1)
    (finding,), _ = await index.compare(now=NOW + dt.timedelta(minutes=16))
    assert (finding.kind, finding.offset) == (Kind.INSERTED, 12)


async def test_documents_of_another_version_are_compared_by_their_original(index: Index):
    key = index.key(1, 2)
    index.documents[key]["skytrail"]["format_version"] = "0"
    index.documents[key]["event"]["action"] = "as an older version read it"
    (finding,), _ = await index.compare()
    assert (finding.kind, finding.document) == (Kind.UNCHECKED, key[0])
    index.documents[key]["event"]["original"] = "{}"
    found, _ = await index.compare()
    assert {f.kind for f in found} == {Kind.UNCHECKED, Kind.ALTERED}


async def test_a_document_that_was_changed_to_fit_the_index_is_right(index: Index):
    def fitted(body: bytes, reason: str) -> bytes:
        return orjson.dumps(
            orjson.loads(body) | {"tags": "cut", "error": {"message": [f"changed to fit the index: {reason}"]}}
        )

    document = index.documents[index.key(1, 2)]
    document |= orjson.loads(fitted(orjson.dumps(document), "too long"))
    assert (await index.compare(mend=fitted))[0] == []
    # Where nothing of it needs a change the writer never says so: then the remark is forged.
    assert [f.kind for f in (await index.compare())[0]] == [Kind.ALTERED]


class Known:
    """Two policies that were adopted before anything was received."""

    def refresh(self, namespaces: Sequence[str]) -> None:
        del namespaces

    def of(self, namespace: str) -> list[InForce]:
        del namespace
        return [
            since("2026-01-01", {"name": "one", "cold": "P1Y"}),
            since("2026-11-01", {"name": "two", "cold": "P2Y"}),
        ]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, ""),
        ({"class": "one"}, "skytrail.retention.class"),
        ({"retain_until": "2026-12-01T00:00:00.000Z"}, "skytrail.retention.retain_until"),
        ({"policy": "0" * 64}, "skytrail.retention.policy"),
    ],
    ids=["untouched", "class", "shorter", "policy"],
)
async def test_a_stamp_that_no_policy_gives_is_named(
    tmp_path: Path, material: list[bytes], change: dict[str, str], named: str
):
    stamps = Stamps(Known())  # type: ignore[arg-type]
    index = Index(rebuilt_of(tmp_path, [material[:2]], Rebuilder(NAMER, Limits.of(24, 3660), nothing, stamps)))
    document = index.documents[index.key(0, 0)]
    assert document["skytrail"]["retention"]["class"] == "two"
    document["skytrail"]["retention"] |= change
    found, _ = await index.compare()
    assert [each.detail for each in found if named not in each.detail] == []
    assert len(found) == len(change)


@pytest.mark.parametrize("which", [None, 0], ids=["none", "of-the-policy-before"])
async def test_a_document_from_before_a_policy_was_known_is_right(
    tmp_path: Path, material: list[bytes], which: int | None
):
    stamps = Stamps(Known())  # type: ignore[arg-type]
    index = Index(rebuilt_of(tmp_path, [material[:2]], Rebuilder(NAMER, Limits.of(24, 3660), nothing, stamps)))
    for each in index.rebuilt:
        skytrail = index.documents[each.index, each.id]["skytrail"]
        if which is None:
            del skytrail["retention"]
        else:
            skytrail["retention"] = each.stamps[which]
            assert skytrail["retention"]["class"] == "one"
    found, _ = await index.compare()
    assert found == []
