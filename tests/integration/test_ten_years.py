"""Ten years of rotation on the real Elasticsearch, month by month, the archive in a directory and in a bucket of MinIO.

At each month its documents and the segments of the archive are exactly what the pure policy keeps; at the end `verify`
and `verify --index` find nothing. Object Lock knows the real clock alone, so the bucket of the ten years has none: what
a lock keeps is proven by tests/storage/retention/test_locked_bucket.py.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from elasticsearch import Elasticsearch

from ingest.schema.envelope import Envelope, Position, decode, encode
from skytrail.deleting import ElasticIndices, means
from skytrail.reconciliation import IndexCheck
from skytrail.retaining import planned
from skytrail.settings import Settings
from storage.archive.reader import Record
from storage.archive.store import ArchiveStore
from storage.archive.stores.s3 import S3Store
from storage.index.bulk import BulkItem
from storage.index.client import connect
from storage.index.documents import serialise
from storage.index.install import ensure_templates
from storage.index.product import product_mend
from storage.index.writer import Writer
from storage.retention.applying import Means
from storage.retention.plan import Plan
from storage.settings import ElasticsearchSettings, LedgerSettings, Login, S3ArchiveSettings
from storage.verify.archive import examine
from storage.verify.findings import Finding, Kind, Summary
from storage.verify.ledger.namespace import lawful_of
from storage.verify.places import Place, place_at
from storage.verify.scope import Scope
from streams.keep_out import nothing
from streams.naming import namer
from streams.preparing import Limits
from streams.rebuilding import Rebuilder
from tests.faults.material import CLOUDTRAIL, SPAN_S, cloudtrail, header
from tests.storage.archive.samples import TOPIC, open_store
from tests.storage.minio import MINIO, client_of, in_environment, running
from tests.storage.retention.decade import Decade, lives

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]
DOCUMENTS = 3
"""Of each month."""


class ElasticDecade(Decade):
    """The ten years with documents: planned by the identity reader, dropped by the identity retention."""

    def __init__(self, root: Path, store: ArchiveStore, settings: ElasticsearchSettings, admin: Elasticsearch) -> None:
        super().__init__(root, store, namespace=f"d{uuid.uuid4().hex[:10]}")
        self.settings, self.admin = settings, admin
        self.runner = asyncio.Runner()
        self.reader, self.indexer, self.dropper = (
            connect(settings, name) for name in ("reader", "indexer", "retention")
        )
        self.rebuilder = Rebuilder(namer(settings), Limits.of(24, 3660), nothing)
        self.written: dict[str, set[str]] = {}

    def message(self, number: int) -> bytes:
        at = self.clock.now
        of = msgspec.structs.replace(header(self.namespace, CLOUDTRAIL), received_at=at)
        latest = at + dt.timedelta(seconds=120 + SPAN_S)  # so that nothing of it happened in the month before
        return encode(Envelope(header=of, records=tuple(cloudtrail(random.Random(number), DOCUMENTS, latest))))

    def index(self, name: str, number: int) -> None:
        """What the role index writes, but for the time of writing: that is the simulated one."""
        envelope = decode(self.message(number))
        records = [
            Record(
                position=Position(TOPIC, 0, number, index),
                namespace=self.namespace,
                body=body,
                header=envelope.header,
                repeat=0,
            )
            for index, body in enumerate(envelope.records)
        ]
        items = []
        ingested = f"{self.clock.now:%Y-%m-%dT%H:%M:%S}.000Z"
        for each in self.rebuilder.rebuild(iter(records)):
            assert each.document is not None
            assert each.index == name
            event = each.document["event"] | {"ingested": ingested}
            items.append(BulkItem(name, each.id, serialise(each.document | {"event": event})))
        outcome = self.runner.run(Writer(self.indexer, mend=product_mend()).write(items))
        assert (len(outcome.created), outcome.refused) == (DOCUMENTS, [])
        self.written[name] = {item.id for item in items}

    def plan(self) -> Plan:
        return self.runner.run(planned(self.retaining, self.reader, self.clock()))

    def means(self) -> Means:
        indices = ElasticIndices(self.runner, self.reader, self.dropper)
        return means(self.retaining, indices, LedgerSettings(), self.clock())

    def documents(self) -> set[str]:
        """The indices that are there, after each of them was seen to have every document that was written to it."""
        pattern = f"logs-*-{self.namespace}-*"
        there = set(self.admin.indices.get(index=pattern))
        self.admin.indices.refresh(index=pattern)
        hits = self.admin.search(index=pattern, size=1000, source=False)["hits"]["hits"]
        found = {(hit["_index"], hit["_id"]) for hit in hits}
        assert found == {(name, id_) for name in there for id_ in self.written[name]}
        assert len(hits) == DOCUMENTS * len(there)
        return there

    def close(self) -> None:
        names = list(self.admin.indices.get(index=f"logs-*-{self.namespace}-*"))
        if names:
            self.admin.indices.delete(index=names)
        for client in (self.reader, self.indexer, self.dropper):
            self.runner.run(client.close())
        self.runner.close()


@pytest.fixture
def elastic(engines) -> Iterator[tuple[ElasticsearchSettings, Elasticsearch]]:
    users = engines.elasticsearch_users
    logins = {
        name: Login(username=name, password=users[name]) for name in ("bootstrap", "indexer", "reader", "retention")
    }
    settings = ElasticsearchSettings(url=engines.elasticsearch_url, period={"aws.cloudtrail": "month"}, **logins)

    async def install() -> None:
        bootstrap = connect(settings, "bootstrap")
        await ensure_templates(bootstrap, settings)
        await bootstrap.close()

    asyncio.run(install())
    with Elasticsearch(settings.url, basic_auth=("admin", users["admin"])) as admin:
        yield settings, admin


@contextmanager
def directory(root: Path) -> Iterator[tuple[ArchiveStore, str]]:
    """A store in a directory, and where `verify` finds it."""
    yield open_store(root / "archive", allow_delete=True), str(root / "archive")


@contextmanager
def bucket(root: Path) -> Iterator[tuple[ArchiveStore, str]]:
    """A store in a bucket of MinIO that has versions, and where `verify` finds it."""
    if MINIO is None:
        pytest.skip("MinIO is not installed: ten years in a bucket not proven here")
    with running(root / "minio") as url, in_environment(url):
        s3, name = client_of(url), f"archive-{uuid.uuid4().hex}"
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        yield S3Store(S3ArchiveSettings(bucket=name, lock="none"), allow_delete=True, client=s3), f"s3://{name}"


@pytest.mark.parametrize("archive", [directory, bucket], ids=["directory", "bucket"])
def test_in_every_month_of_ten_years_there_is_exactly_what_the_policy_keeps(archive, elastic, tmp_path: Path) -> None:
    settings, admin = elastic
    with archive(tmp_path) as (store, address):
        decade = ElasticDecade(tmp_path, store, settings, admin)
        try:
            lives(decade)
            place = place_at(address)
            assert list(examine(place, Scope(), Summary())) == []
            assert found_beside_the_archive(decade, place, tmp_path) == []
            name = min(decade.documents())
            admin.indices.delete(index=name)
            found = found_beside_the_archive(decade, place, tmp_path)
            assert {(each.kind, each.document.partition("/")[0]) for each in found} == {(Kind.MISSING, name)}
            assert len(found) == DOCUMENTS  # an administrator deletes early: each document is missed, none of before
        finally:
            decade.close()


def found_beside_the_archive(decade: ElasticDecade, place: Place, state_dir: Path) -> list[Finding]:
    """What `verify --index` finds."""
    lawful = functools.partial(lawful_of, place)
    settings = Settings(elasticsearch=decade.settings, state_dir=state_dir)
    check = IndexCheck(
        settings,
        decade.store,
        Scope(),
        decade.clock(),
        Summary(),
        lambda _: None,
        namespaces=[decade.namespace],
        lawful=lawful,
    )
    return list(check.check())
