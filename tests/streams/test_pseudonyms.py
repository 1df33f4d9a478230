"""A namespace under pseudonyms: documents, alerts and signals have tokens, rules hold, and the archive proves them."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from detectors.detection import Detection, decode
from ingest.pseudonyms.pseudonyms import PseudonymKey, Pseudonyms
from ingest.schema.envelope import Position, encode, pack
from storage.index.alert_store import AlertStore
from storage.index.documents import serialise
from storage.index.product import product_mend
from storage.index.scan import Reach
from storage.settings import ElasticsearchSettings
from storage.verify.findings import Finding, Kind
from streams.agents.alert import AlertAgent
from streams.agents.detect import DetectAgent, Rules
from streams.agents.index import IndexAgent
from streams.agents.resolve import ResolveAgent
from streams.keep_out import nothing
from streams.naming import namer
from streams.preparing import Limits, prepare
from streams.pseudonyms import NO_PSEUDONYMS
from streams.reconciling import Reconciling, Restore, Sides
from streams.restoring import Restoring
from streams.stamping import DocumentStamps
from streams.topics import ALERT_STATE, CONFLICTS, DETECTIONS, raw_topic
from streams.windows import Windows
from tests.faults.material import CLOUDTRAIL, cloudtrail, header, rewritten
from tests.streams.fakes import Brokers, Faults, accounts_on, runtime_on, snapshots_on
from tests.streams.fakes import Index as FakeIndex
from tests.streams.test_detect_and_alert import engine, rules
from tests.streams.test_reconciling import NOW, Index, rebuilt_of
from tests.streams.test_restoring import IndexWriter

KEY, OTHER = PseudonymKey(b"\x01" * 64), PseudonymKey(b"\x02" * 64)
ON = Pseudonyms(["acme", "unit"], keys=[KEY])
RAW = raw_topic(CLOUDTRAIL)
NAMER, LIMITS = namer(ElasticsearchSettings()), Limits.of(24, 3660)
RECORDS = cloudtrail(random.Random(3), 400, dt.datetime.now(dt.UTC))
CHANGES = [record for record in RECORDS if b'"readOnly":false' in record][:8]


def people(records: Sequence[bytes]) -> set[str]:
    """Names and addresses in records, as CloudTrail has them."""
    found: set[str] = set()
    for record in records:
        told = json.loads(record)
        identity = told["userIdentity"]
        found |= {str(identity.get("userName", "")), str(identity.get("principalId", "")), told["sourceIPAddress"]}
    return {each for each in found if len(each) > 4 and not each.endswith(".amazonaws.com")}


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """Documents of acme as the index role writes them under pseudonyms."""
    material = cloudtrail(random.Random(4), 12, NOW)
    plain = Index(rebuilt_of(tmp_path, [material[:4], [*material[4:8], b"not json"], [*material[8:], material[0]]]))
    plain.documents = {key: ON.document(document) for key, document in plain.documents.items()}
    return plain


async def compared(
    index: Index, pseudonyms: Pseudonyms, restore: Restore | None = None
) -> tuple[list[Finding], Reconciling]:
    reach = Reach({(RAW, 0): 9}, NOW + dt.timedelta(hours=1))
    sides = Sides(reach, {(RAW, 0): 9}, frozenset)
    now = NOW + dt.timedelta(days=1)
    comparison = Reconciling("acme", sides, index.fetch, product_mend(), now, restore, pseudonyms)
    return [each async for each in comparison.compare(index.scan(), iter(index.rebuilt))], comparison


async def test_with_the_key_every_document_is_as_the_archive_makes_it(index: Index) -> None:
    found, comparison = await compared(index, ON)
    assert found == []
    assert (comparison.counts.documents, comparison.counts.duplicates, comparison.counts.not_indexed) == (12, 1, 1)


async def test_with_an_older_key_beside_and_with_pseudonyms_off_by_now_it_is_the_same(index: Index) -> None:
    for pseudonyms in (Pseudonyms(["acme"], ["user"], [OTHER, KEY]), Pseudonyms(keys=[KEY])):
        assert (await compared(index, pseudonyms))[0] == []


async def test_documents_from_before_are_compared_as_they_are(index: Index) -> None:
    first = index.hits()[0]
    plain = next(each for each in index.rebuilt if each.id == first.id)
    assert plain.document is not None
    index.documents[first.index, first.id] = copy.deepcopy(plain.document)
    assert (await compared(index, ON))[0] == []
    index.documents[first.index, first.id]["user"] = {"name": "somebody.else"}
    (finding,) = (await compared(index, ON))[0]
    assert finding.kind is Kind.ALTERED


@pytest.mark.parametrize("pseudonyms", [NO_PSEUDONYMS, Pseudonyms(["acme"], keys=[OTHER])], ids=["none", "another"])
async def test_without_the_key_nothing_is_found_and_nothing_is_called_right(
    index: Index, pseudonyms: Pseudonyms
) -> None:
    found, comparison = await compared(index, pseudonyms)
    assert {finding.kind for finding in found} == {Kind.UNCHECKED}
    assert all("pseudonyms of a key" in finding.detail for finding in found)
    assert comparison.counts.other_key == 12


async def test_an_altered_token_is_found_with_the_key_and_an_altered_hash_without(index: Index) -> None:
    hit = index.hits()[3]
    hit.source["source"]["ip"] = hit.source["source"]["address"] = "fd04::1"
    (finding,) = (await compared(index, ON))[0]
    assert (finding.kind, finding.document) == (Kind.ALTERED, f"{hit.index}/{hit.id}")
    hit.source["skytrail"]["integrity"]["leaf_hash"] = "00" * 32
    kinds = {finding.kind for finding in (await compared(index, NO_PSEUDONYMS))[0]}
    assert kinds == {Kind.ALTERED, Kind.UNCHECKED}


async def test_what_is_written_again_from_the_archive_is_under_pseudonyms(index: Index) -> None:
    gone = index.hits()[2]
    del index.documents[gone.index, gone.id]
    restoring = Restoring(IndexWriter(index, ()), lambda: NOW, ON)
    assert (await compared(index, ON, restoring))[0] == []
    again = index.documents[gone.index, gone.id]
    assert again["skytrail"]["pseudonyms"]["key"] == KEY.id
    assert again["user"] == gone.source["user"]
    assert (await compared(index, ON))[0] == []


def indexed(brokers: Brokers, pseudonyms: Pseudonyms) -> FakeIndex:
    index = FakeIndex(brokers.faults)

    async def live() -> None:
        agent = IndexAgent(
            runtime_on("index", brokers),
            accounts_on("index", brokers),
            index,
            namer=NAMER,
            limits=LIMITS,
            keep_out=nothing,
            stamps=DocumentStamps(),
            pseudonyms=pseudonyms,
        )
        for batch in brokers.batches("index", RAW, 4):
            await agent.handle(batch)
        assert agent._pending is not None
        await agent._pending
        resolver = ResolveAgent(
            runtime_on("index", brokers),
            accounts_on("resolve", brokers),
            compare=index.compare,
            fetch=brokers.fetch,
            writer=index,
            namer=NAMER,
            limits=LIMITS,
            stamps=DocumentStamps(),
            pseudonyms=pseudonyms,
        )
        for batch in brokers.batches("resolve", CONFLICTS, 4):
            await resolver.handle(batch)

    asyncio.run(live())
    return index


def detections(brokers: Brokers, pseudonyms: Pseudonyms) -> list[Detection]:
    async def live() -> None:
        agent = DetectAgent(
            runtime_on("detect", brokers),
            accounts_on("detect", brokers),
            Rules(engine(), "1"),
            namer=NAMER,
            limits=LIMITS,
            pseudonyms=pseudonyms,
        )
        for batch in brokers.batches("detect", RAW, 4):
            await agent.handle(batch)

    asyncio.run(live())
    return [detection for value in brokers.values(DETECTIONS) for detection in decode(value)]


def with_records(records: Sequence[bytes]) -> Brokers:
    brokers = Brokers(Faults([]))
    for number in range(0, len(records), 3):
        brokers.append(RAW, (None, encode(pack(header("unit", CLOUDTRAIL), records[number : number + 3])[0]), 0))
    return brokers


def test_documents_leave_the_index_role_under_pseudonyms_and_the_second_version_of_a_record_too() -> None:
    records = [*CHANGES, rewritten(CHANGES[0])]
    plain, under = indexed(with_records(records), NO_PSEUDONYMS), indexed(with_records(records), ON)
    assert plain.documents.keys() == under.documents.keys()
    assert len(under.documents) == 9
    text = json.dumps(list(under.documents.values()))
    assert people(records)
    assert [name for name in people(records) if name in text] == []
    assert all(document["skytrail"]["pseudonyms"]["key"] == KEY.id for document in under.documents.values())


def test_the_same_rules_match_under_pseudonyms_and_what_they_tell_names_nobody() -> None:
    plain, under = detections(with_records(CHANGES), NO_PSEUDONYMS), detections(with_records(CHANGES), ON)
    assert plain
    assert sorted((each.rule_id, each.event.id, each.member) for each in plain) == sorted(
        (each.rule_id, each.event.id, each.member) for each in under
    )
    groups = {(each.rule_id, each.group_key) for each in plain}
    assert len(groups) == len({(each.rule_id, each.group_key) for each in under})
    told = b"".join(orjson.dumps([each.reason, each.group_key, each.context, each.principal.key]) for each in under)
    assert [name for name in people(CHANGES) if name.encode() in told] == []
    assert any(b"psn-u-" in each.reason.encode() for each in under)


def test_alerts_and_their_state_name_nobody_and_join_with_the_documents() -> None:
    brokers = with_records(CHANGES)
    detections(brokers, ON)
    index = FakeIndex(brokers.faults)

    async def live() -> None:
        agent = AlertAgent(
            runtime_on("detect", brokers),
            accounts_on("alert", brokers),
            Windows(snapshots_on(brokers, ALERT_STATE, DETECTIONS, 0.0), lambda: dt.datetime.now(dt.UTC)),
            AlertStore(index, {}),
            rule_of=rules().get,
            stamps=DocumentStamps(),
        )
        for batch in brokers.batches("alert", DETECTIONS, 4):
            await agent.handle(batch)

    asyncio.run(live())
    text = json.dumps(list(index.documents.values()))
    assert [name for name in people(CHANGES) if name in text] == []
    alerts: list[Any] = [each for (name, _), each in index.documents.items() if name != "skytrail-alert-state"]
    assert alerts
    assert {each["skytrail"]["pseudonyms"]["key"] for each in alerts} == {KEY.id}
    known = {document["skytrail"]["principal"]["key"] for document in indexed(brokers, ON).documents.values()}
    assert {each["skytrail"]["principal"]["key"] for each in alerts} <= known


def test_a_replay_tells_the_same_detections() -> None:
    assert detections(with_records(CHANGES), ON) == detections(with_records(CHANGES), ON)


def test_odd_characters_are_replaced_as_they_will_be_when_the_document_is_made_again() -> None:
    record = json.loads(cloudtrail(random.Random(4), 1, dt.datetime.now(dt.UTC))[0])
    record["userIdentity"]["userName"] = "al\ud800ice.odd"
    record["requestParameters"] = {"userName": 2**80, "x": "by al\ud800ice.odd"}
    brokers = with_records([json.dumps(record).encode()])
    ((document),) = indexed(brokers, ON).documents.values()
    (raw,) = brokers.values(RAW)
    (prepared,) = prepare(raw, Position(RAW, 0, 0), dt.datetime.now(dt.UTC), LIMITS).records
    again = ON.document(orjson.loads(serialise(prepared.identified.document)))
    again["event"]["ingested"] = document["event"]["ingested"]
    assert document == again
    assert "ice.odd" not in json.dumps(document)
