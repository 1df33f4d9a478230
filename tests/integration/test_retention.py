"""Retention on a real Elasticsearch: what is planned follows from its indices, and one event can be explained."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from elasticsearch import AsyncElasticsearch

from ingest.schema.envelope import Envelope, encode
from skytrail.cli.commands.retention import adopted
from skytrail.deleting import ElasticIndices, means
from skytrail.explaining import of_document
from skytrail.reconciliation import IndexCheck
from skytrail.retaining import Retaining, planned
from skytrail.settings import Settings
from storage.archive.chain import Chain
from storage.archive.reader import ArchiveReader
from storage.archive.sealer import PartitionSealer
from storage.index.bulk import BulkItem
from storage.index.client import Identity, connect
from storage.index.documents import serialise
from storage.index.install import ensure_templates
from storage.index.product import product_mend
from storage.index.search import Query, search
from storage.index.visibility import make_visible
from storage.index.writer import Writer
from storage.ledger.keyring import KeyRing
from storage.ledger.notary import Notary
from storage.retention.applying import Applier, Approved, Outcome, Result
from storage.retention.entries import Hold, Selector, entry_of
from storage.retention.inventory import closed
from storage.retention.plan import Item, Plan
from storage.settings import ArchiveSettings, ElasticsearchSettings, LedgerSettings, Login
from storage.verify.archive import check
from storage.verify.findings import Summary
from storage.verify.ledger.namespace import lawful_of
from storage.verify.places import Directory
from storage.verify.scope import Scope
from streams.keep_out import nothing
from streams.naming import namer
from streams.preparing import Limits
from streams.rebuilding import Rebuilder
from streams.topics import raw_topic
from tests.faults.material import CLOUDTRAIL, cloudtrail, header
from tests.storage.archive.samples import Clock, open_store
from tests.storage.retention.samples import policy

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]

RECEIVED = dt.datetime(2024, 11, 20, 12, tzinfo=dt.UTC)
TOPIC = raw_topic(CLOUDTRAIL)


class Scene:
    """A namespace with three sealed and indexed days, under a policy."""

    def __init__(self, root: Path, settings: ElasticsearchSettings) -> None:
        self.namespace = f"r{uuid.uuid4().hex[:10]}"
        self.settings = settings
        self.clock = Clock(RECEIVED)
        KeyRing(root / "keys" / "keys.json").add_first(RECEIVED, days=3650)
        self.moved_to(root)
        self.reader = connect(settings, "reader")

    def moved_to(self, root: Path) -> None:
        """Work on what lies in a directory."""
        self.root = root
        self.store = open_store(root / "archive", allow_delete=True)
        keys = KeyRing(root / "keys" / "keys.json")
        self.retaining = Retaining(
            self.store, Notary(self.store, keys, LedgerSettings(), {}, self.clock, lambda _: None)
        )

    def seal(self) -> None:
        rng = random.Random(3)
        one = PartitionSealer(self.store, TOPIC, 0, ArchiveSettings(), self.clock)
        one.restore()
        for day in range(3):
            at = RECEIVED + dt.timedelta(days=day)
            of = msgspec.structs.replace(header(self.namespace, CLOUDTRAIL), received_at=at)
            one.add(day, encode(Envelope(header=of, records=tuple(cloudtrail(rng, 5, at)))))
            self.clock.now = at
            one.seal()
        chain = Chain(self.store, self.namespace, TOPIC, 0)
        chain.restore()
        self.retaining.notary.record([chain])

    async def index(self) -> None:
        rebuilder = Rebuilder(namer(self.settings), Limits.of(24, 3660), nothing)
        items = []
        for each in rebuilder.rebuild(ArchiveReader(self.store).records(self.namespace)):
            assert each.document is not None
            event = each.document["event"] | {"ingested": "2024-11-22T13:00:00.000Z"}
            items.append(BulkItem(each.index, each.id, serialise(each.document | {"event": event})))
        client = connect(self.settings, "indexer")
        await Writer(client, mend=product_mend()).write(items)
        await client.close()
        await make_visible(self.reader)

    async def items(self, now: dt.datetime) -> dict[str, Item]:
        plan = await planned(self.retaining, self.reader, now)
        return {item.place: item for item in plan.items if item.namespace == self.namespace and item.tier == "hot"}

    def hold(self, id_: str, **selector: Any) -> None:
        told = Hold(id=id_, at="", reason="claim", placed_by="alice", selector=Selector(**selector))
        record = self.retaining.record(self.namespace)
        record.enter(lambda state: [] if id_ in state.holds else [entry_of(self.namespace, self.clock(), told)])


@pytest_asyncio.fixture
async def scene(engines, tmp_path: Path) -> AsyncIterator[Scene]:
    users = engines.elasticsearch_users
    logins = {
        name: Login(username=name, password=users[name]) for name in ("bootstrap", "indexer", "reader", "retention")
    }
    settings = ElasticsearchSettings(url=engines.elasticsearch_url, **logins)
    bootstrap = connect(settings, "bootstrap")
    await ensure_templates(bootstrap, settings)
    await bootstrap.close()
    made = Scene(tmp_path, settings)
    made.seal()
    await made.index()
    adopted(made.retaining, made.namespace, policy({"name": "cards", "regimes": ["pci-dss"]}))
    yield made
    await made.reader.close()
    admin = AsyncElasticsearch(settings.url, basic_auth=("admin", users["admin"]))
    names = list((await admin.indices.get(index=f"logs-*-{made.namespace}-*")).body)
    if names:
        await admin.indices.delete(index=names)
    await admin.close()


def name(scene: Scene, day: int) -> str:
    return f"logs-aws.cloudtrail-{scene.namespace}-2024.11.{day}"


async def test_indices_are_planned_by_their_day_their_receipt_and_what_is_sealed(scene: Scene) -> None:
    early = await scene.items(dt.datetime(2025, 2, 22, tzinfo=dt.UTC))
    assert {place: item.action for place, item in early.items()} == {name(scene, day): "keep" for day in (20, 21, 22)}
    assert [item.records for item in early.values()] == [5, 5, 5]
    late = await scene.items(dt.datetime(2025, 2, 23, tzinfo=dt.UTC))
    # All were written on 22 November, so all have been searchable long enough on the same day, but for the last.
    assert {place[-2:]: item.action for place, item in late.items()} == {
        "20": "drop_index",
        "21": "drop_index",
        "22": "keep",
    }
    scene.hold("case-7", principal="nobody-of-them")
    scene.hold("case-8", account="no-account", until="2024-11-21T00:00:00Z")
    assert (await scene.items(dt.datetime(2025, 2, 23, tzinfo=dt.UTC)))[name(scene, 20)].action == "drop_index"
    async for hit in search(scene.reader, Query(namespace=scene.namespace), limit=1):
        account = hit.source["cloud"]["account"]["id"]
    scene.hold("case-9", account=account, until="2024-11-21T00:00:00Z")
    held = await scene.items(dt.datetime(2025, 2, 23, tzinfo=dt.UTC))
    assert {place[-2:]: item.decision for place, item in held.items()} == {
        "20": "HELD",
        "21": "HOT_EXPIRE",
        "22": "KEEP",
    }
    assert held[name(scene, 20)].because == "legal hold case-9"
    hit.source["skytrail"]["retention"] = {"class": "cards", "hot_until": "2026-01-01T00:00:00.000Z"}
    client = connect(scene.settings, "indexer")
    await Writer(client).write([BulkItem(name(scene, 21), "stamped", serialise(hit.source))])
    await client.close()
    await make_visible(scene.reader)
    stamped = (await scene.items(dt.datetime(2025, 2, 23, tzinfo=dt.UTC)))[name(scene, 21)]
    assert (stamped.decision, stamped.because) == ("KEEP", "its own stamp promises to keep it")


async def test_one_document_is_explained_with_what_keeps_it_in_both_tiers(scene: Scene) -> None:
    (hit,) = [hit async for hit in search(scene.reader, Query(namespace=scene.namespace, oldest_first=True), limit=1)]
    found = of_document(scene.retaining, hit, dt.datetime(2025, 2, 1, tzinfo=dt.UTC))
    assert (found["class"], found["holds"]) == ("cards", [])
    assert (found["hot"]["decision"], found["hot"]["until"]) == ("KEEP", "2025-02-23T00:00:00.000000Z")
    assert (found["cold"]["segment"], found["cold"]["until"]) == (0, "2025-11-21T00:00:00.000000Z")
    scene.hold("case-6", resource="nobody's")
    key = hit.source["skytrail"]["principal"]["key"]
    assert key != key.upper()
    scene.hold("case-7", account=hit.source["cloud"]["account"]["id"], principal=key.upper())
    held = of_document(scene.retaining, hit, dt.datetime(2030, 2, 1, tzinfo=dt.UTC))
    assert held["holds"] == ["case-7"]
    assert (held["hot"]["decision"], held["cold"]["decision"]) == ("HELD", "HELD")
    planned_now = await scene.items(dt.datetime(2030, 2, 1, tzinfo=dt.UTC))
    assert planned_now[hit.index].because == "legal hold case-7"  # Elasticsearch says the same


def applied(scene: Scene, plan: Plan, now: dt.datetime, dropper: Identity = "retention") -> list[Result]:
    """What `retention apply` does, in a thread of its own as it has an event loop of its own."""
    with asyncio.Runner() as runner:
        reader, writer = connect(scene.settings, "reader"), connect(scene.settings, dropper)
        indices = ElasticIndices(runner, reader, writer)
        found = means(scene.retaining, indices, LedgerSettings(), now)
        applier = Applier(scene.retaining.record(scene.namespace), found, Approved())
        results = [*applier.finish(), *(result for item in plan.items for result in applier.apply(item))]
        runner.run(reader.close())
        runner.run(writer.close())
        return results


async def test_apply_drops_what_is_over_with_an_identity_that_can_do_nothing_else(scene: Scene) -> None:
    now = dt.datetime(2025, 2, 23, tzinfo=dt.UTC)
    scene.clock.now = now
    plan = await planned(scene.retaining, scene.reader, now)
    refused = await asyncio.to_thread(applied, scene, plan, now, "reader")
    assert {result.outcome for result in refused} == {Outcome.NOT_EXECUTED}
    assert len(await scene.items(now)) == 3
    results = await asyncio.to_thread(applied, scene, plan, now)
    assert {result.place: result.outcome for result in results if result.outcome is Outcome.DONE} == {
        name(scene, 20): Outcome.DONE,
        name(scene, 21): Outcome.DONE,
    }
    assert set(await scene.items(now)) == {name(scene, 22)}
    state = scene.retaining.record(scene.namespace).now()
    assert sorted(stone.index for stone in state.tombstones.values()) == [name(scene, 20), name(scene, 21)]
    assert state.unfinished() == []
    assert list(check(scene.root / "archive")) == []
    lawful = functools.partial(lawful_of, Directory(scene.root / "archive"))
    settings = Settings(elasticsearch=scene.settings, state_dir=scene.root)
    of_index = IndexCheck(settings, scene.store, Scope(), now, Summary(), lambda _: None, lawful=lawful)
    found = await asyncio.to_thread(lambda: list(of_index.check()))
    assert [each for each in found if each.namespace == scene.namespace] == []


async def test_a_read_only_index_is_dropped_when_it_is_free_again_and_a_closed_one_is_told(
    scene: Scene, engines
) -> None:
    now = dt.datetime(2025, 2, 23, tzinfo=dt.UTC)
    scene.clock.now = now
    admin = AsyncElasticsearch(scene.settings.url, basic_auth=("admin", engines.elasticsearch_users["admin"]))
    plan = await planned(scene.retaining, scene.reader, now)
    await admin.indices.put_settings(index=name(scene, 20), settings={"index.blocks.read_only": True})
    await admin.indices.close(index=name(scene, 22))
    assert await closed(scene.reader, scene.namespace) == [name(scene, 22)]
    results = {each.place: each for each in await asyncio.to_thread(applied, scene, plan, now)}
    assert (results[name(scene, 20)].outcome, results[name(scene, 21)].outcome) == (Outcome.NOT_EXECUTED, Outcome.DONE)
    assert "read-only" in results[name(scene, 20)].detail
    await admin.indices.put_settings(index=name(scene, 20), settings={"index.blocks.read_only": None})
    again = await asyncio.to_thread(applied, scene, plan, now)
    assert (name(scene, 20), Outcome.DONE) in [(each.place, each.outcome) for each in again]
    await admin.indices.open(index=name(scene, 22))
    await admin.close()
    assert await closed(scene.reader, scene.namespace) == []
    assert set(await scene.items(now)) == {name(scene, 22)}
