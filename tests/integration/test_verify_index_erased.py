"""One person is erased from an archive: `verify --index` and `replay index` on a real Elasticsearch."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from elasticsearch import Elasticsearch

from skytrail.data_keys import data_keys
from skytrail.reconciliation import IndexCheck
from skytrail.replaying import IndexReplay
from skytrail.settings import Settings
from storage.archive.reader import ArchiveReader
from storage.index.bulk import BulkItem
from storage.index.client import connect
from storage.index.documents import serialise
from storage.index.install import ensure_templates
from storage.index.product import product_mend
from storage.index.writer import Writer
from storage.settings import ArchiveSettings, ElasticsearchSettings, EncryptionSettings, Login
from storage.verify.findings import Finding, Kind, Summary
from storage.verify.ledger.retention import Lawful
from storage.verify.scope import Scope
from streams.keep_out import nothing
from streams.naming import namer
from streams.preparing import Limits
from streams.rebuilding import Rebuilder, Rebuilt
from tests.integration.test_verify_index import admin
from tests.storage.archive.people import ANN, by_service, did
from tests.storage.archive.samples import START, Clock, message, open_store, seal_in_batches

__all__ = ["admin"]  # a fixture

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]

NOW = START + dt.timedelta(days=40)
MESSAGES = 4


class Scene:
    """A namespace in which people have keys of their own; everything is sealed and indexed."""

    def __init__(self, root: Path, elasticsearch: ElasticsearchSettings, admin: Elasticsearch) -> None:
        self.admin = admin
        self.namespace = f"p{uuid.uuid4().hex[:10]}"
        encryption = EncryptionSettings(provider="file", subjects=True)
        archive = ArchiveSettings(directory=root / "archive", encryption=encryption)
        self.settings = Settings(elasticsearch=elasticsearch, archive=archive, state_dir=root / "state")
        keys = data_keys(self.settings)
        assert keys is not None
        self.keys, self.store = keys, open_store(root / "archive")
        messages = {
            offset: message(
                self.namespace,
                did("ann", 10 * offset),
                by_service(10 * offset + 1),
                did("bob", 10 * offset + 2),
                did("ann", 10 * offset + 3),
            )
            for offset in range(MESSAGES)
        }
        seal_in_batches(self.store, messages, [1], Clock(), self.keys)
        rebuilder = Rebuilder(namer(elasticsearch), Limits.of(24, 3660), nothing)
        self.rebuilt = list(rebuilder.rebuild(ArchiveReader(self.store, self.keys).records(self.namespace)))
        (self.ann,) = self.keys.of_subject(self.namespace, ANN)

    async def index(self) -> None:
        items = []
        for each in self.rebuilt:
            assert each.document is not None
            document = each.document | {"event": each.document["event"] | {"ingested": "2026-03-01T13:00:00.000Z"}}
            items.append(BulkItem(each.index, each.id, serialise(document)))
        client = connect(self.settings.elasticsearch, "indexer")
        outcome = await Writer(client, mend=product_mend()).write(items)
        await client.close()
        assert (len(outcome.created), outcome.refused) == (4 * MESSAGES, [])

    def of_ann(self) -> list[Rebuilt]:
        return [each for each in self.rebuilt if each.position.index in (0, 3)]

    def lawful(self, namespace: str) -> Lawful:
        """What the ledger says: ann's key was to go."""
        return Lawful(namespace, shredded={self.ann})

    def found(self) -> tuple[list[Finding], Summary]:
        summary = Summary()
        check = IndexCheck(
            self.settings,
            self.store,
            Scope(),
            NOW,
            summary,
            lambda _: None,
            namespaces=[self.namespace],
            lawful=self.lawful,
        )
        return list(check.check()), summary

    def replayed(self) -> tuple[list[Finding], int]:
        """What a replay finds, and how many documents it wrote."""
        replay = IndexReplay(self.settings, self.store, Scope(), NOW, [self.namespace], lawful=self.lawful)
        return list(replay.run(Summary(), lambda _: None)), replay.restoring.counts["written"]

    def drop(self, *records: Rebuilt) -> None:
        for each in records:
            self.admin.delete(index=each.index, id=each.id)
        self.admin.indices.refresh(index=f"logs-*-{self.namespace}-*")


@pytest_asyncio.fixture
async def made(engines, admin: Elasticsearch, tmp_path: Path) -> AsyncIterator[Scene]:
    logins = {
        name: Login(username=name, password=engines.elasticsearch_users[name])
        for name in ("bootstrap", "indexer", "reader")
    }
    settings = ElasticsearchSettings(url=engines.elasticsearch_url, **logins)
    bootstrap = connect(settings, "bootstrap")
    await ensure_templates(bootstrap, settings)
    await bootstrap.close()
    scene = Scene(tmp_path, settings, admin)
    await scene.index()
    try:
        yield scene
    finally:
        admin.indices.delete(index=list(admin.indices.get(index=f"logs-*-{scene.namespace}-*").body))


@pytest.fixture
def scene(made: Scene) -> Scene:
    """The same, for tests that are no coroutines: the check runs a loop of its own."""
    return made


def test_what_is_left_of_somebody_erased_is_named_and_nothing_of_them_comes_back(scene: Scene):
    assert scene.found()[0] == []
    scene.keys.destroy(scene.namespace, scene.ann)
    left, summary = scene.found()
    assert {(f.kind, f.document) for f in left} == {(Kind.KEPT, f"{e.index}/{e.id}") for e in scene.of_ann()}
    assert (len(left), summary.documents) == (2 * MESSAGES, 2 * MESSAGES)
    assert {finding.kind for finding in scene.replayed()[0]} == {Kind.KEPT}
    bob = next(each for each in scene.rebuilt if each.position.index == 2)
    scene.drop(bob, *scene.of_ann())
    missing, _ = scene.found()
    assert [(finding.kind, finding.document) for finding in missing] == [(Kind.MISSING, f"{bob.index}/{bob.id}")]
    assert scene.replayed() == ([], 1)
    scene.drop()
    assert scene.found()[0] == []
    for each in scene.of_ann():
        assert not scene.admin.exists(index=each.index, id=each.id)
