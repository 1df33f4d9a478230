"""`skytrail verify --index` on a real Elasticsearch whose administrator edits, deletes, adds and moves documents."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from elasticsearch import AsyncElasticsearch, Elasticsearch
from typer.testing import CliRunner, Result

from ingest.schema.action import FORMAT_NAME as ACTIONS
from ingest.schema.action import Action
from ingest.schema.action import encode as encode_action
from ingest.schema.envelope import Envelope, encode
from skytrail.cli.main import build
from skytrail.reconciliation import IndexCheck
from skytrail.settings import Settings
from storage.archive.reader import ArchiveReader
from storage.archive.sealer import PartitionSealer
from storage.index.bulk import BulkItem
from storage.index.client import connect
from storage.index.documents import serialise
from storage.index.install import ensure_templates
from storage.index.product import product_mend
from storage.index.writer import Writer
from storage.settings import ArchiveSettings, ElasticsearchSettings, Login
from storage.verify.findings import Finding, Kind, Summary
from storage.verify.scope import Scope
from streams.keep_out import nothing
from streams.naming import namer
from streams.preparing import Limits
from streams.rebuilding import Rebuilder, Rebuilt
from streams.topics import raw_topic
from tests.faults.material import AUDIT, CLOUDTRAIL, audit, cloudtrail, header
from tests.storage.archive.samples import Clock, open_store

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]

RECEIVED = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
NOW = RECEIVED + dt.timedelta(days=1)


class Scene:
    """A namespace whose records are sealed and indexed, and an administrator."""

    def __init__(self, root: Path, settings: ElasticsearchSettings, admin: Elasticsearch) -> None:
        self.root, self.admin = root, admin
        self.namespace = f"v{uuid.uuid4().hex[:10]}"
        self.settings = Settings(elasticsearch=settings, archive=ArchiveSettings(directory=root))
        self.rebuilt: list[Rebuilt] = []

    def seal(self) -> None:
        rng = random.Random(3)
        for format_name, make in ((CLOUDTRAIL, cloudtrail), (AUDIT, audit)):
            topic = raw_topic(format_name)
            records = make(rng, 40, RECEIVED)
            of = msgspec.structs.replace(header(self.namespace, format_name), received_at=RECEIVED)
            one = PartitionSealer(open_store(self.root), topic, 0, ArchiveSettings(), Clock(RECEIVED))
            one.restore()
            for offset in range(8):
                part = records[5 * offset : 5 * offset + 5]
                one.add(offset, encode(Envelope(header=of, records=tuple(part))))
            one.add(8, encode(Envelope(header=of, records=(records[0], b"no event"))))
            one.seal()
        rebuilder = Rebuilder(namer(self.settings.elasticsearch), Limits.of(24, 3660), nothing)
        self.rebuilt = list(rebuilder.rebuild(ArchiveReader(open_store(self.root)).records(self.namespace)))

    async def index(self) -> None:
        items = []
        for each in self.rebuilt:
            if each.document is not None:
                document = each.document | {"event": each.document["event"] | {"ingested": "2026-11-20T13:00:00.000Z"}}
                items.append(BulkItem(each.index, each.id, serialise(document)))
        client = connect(self.settings.elasticsearch, "indexer")
        outcome = await Writer(client, mend=product_mend()).write(items)
        await client.close()
        assert (len(outcome.created), len(outcome.duplicate), outcome.refused) == (80, 2, [])

    def of(self, number: int) -> Rebuilt:
        """A record that has a document of its own."""
        return [each for each in self.rebuilt if each.position.offset < 8][number]

    def found(self, **scope: Any) -> tuple[list[Finding], Summary]:
        """Of this namespace alone: the engines hold what other tests left."""
        summary = Summary()
        check = IndexCheck(
            self.settings,
            open_store(self.root),
            Scope(**scope),
            NOW,
            summary,
            lambda _: None,
            namespaces=[self.namespace],
        )
        return list(check.check()), summary

    def replay(self, *arguments: str) -> Result:
        """`skytrail replay index` of this namespace."""
        logins = {
            f"SKYTRAIL_ELASTICSEARCH__{name.upper()}__{field}": value
            for name in ("indexer", "reader")
            for field, value in (
                ("USERNAME", getattr(self.settings.elasticsearch, name).username),
                ("PASSWORD", getattr(self.settings.elasticsearch, name).password.get_secret_value()),
            )
        }
        environment = {
            **logins,
            "SKYTRAIL_ELASTICSEARCH__URL": self.settings.elasticsearch.url,
            "SKYTRAIL_ARCHIVE__DIRECTORY": str(self.root),
        }
        self.admin.indices.refresh(index=f"logs-*-{self.namespace}-*", ignore_unavailable=True)
        words = ["replay", "index", "--namespace", self.namespace, "-o", "json", *arguments]
        return CliRunner().invoke(build("replay"), words, env=environment, catch_exceptions=False)

    def remove(self) -> None:
        names = list(self.admin.indices.get(index=f"logs-*-{self.namespace}-*").body)
        self.admin.indices.delete(index=names)


@pytest.fixture(scope="module")
def admin(engines) -> Iterator[Elasticsearch]:
    with Elasticsearch(engines.elasticsearch_url, basic_auth=("admin", engines.elasticsearch_users["admin"])) as client:
        yield client


@pytest_asyncio.fixture
async def made(engines, admin: Elasticsearch, tmp_path: Path) -> AsyncIterator[Scene]:
    logins = {
        name: Login(username=name, password=engines.elasticsearch_users[name])
        for name in ("bootstrap", "indexer", "reader")
    }
    settings = ElasticsearchSettings(url=engines.elasticsearch_url, **logins)
    bootstrap: AsyncElasticsearch = connect(settings, "bootstrap")
    await ensure_templates(bootstrap, settings)
    await bootstrap.close()
    scene = Scene(tmp_path / "archive", settings, admin)
    scene.seal()
    await scene.index()
    try:
        yield scene
    finally:
        scene.remove()


@pytest.fixture
def scene(made: Scene) -> Scene:
    """The same, for tests that are no coroutines: the check runs a loop of its own."""
    return made


def test_what_the_index_role_wrote_is_right(scene: Scene):
    found, summary = scene.found()
    assert found == []
    # The last message of each topic repeats a record, and brings one that is no event.
    assert (summary.documents, summary.unindexed) == (80, 4)


def test_each_thing_that_an_administrator_does_is_one_finding_that_names_the_document(scene: Scene):
    edited, original, deleted, moved, newest = (scene.of(n) for n in (3, 12, 47, 60, 39))
    admin = scene.admin
    admin.update(index=edited.index, id=edited.id, doc={"user": {"name": "somebody.else"}})
    admin.update(index=original.index, id=original.id, doc={"event": {"original": "{}"}})
    admin.delete(index=deleted.index, id=deleted.id)
    admin.update(index=moved.index, id=moved.id, doc={"skytrail": {"kafka": {"offset": 99}}})
    admin.delete(index=newest.index, id=newest.id)
    forged = admin.get(index=edited.index, id=scene.of(4).id)["_source"]
    forged["event"]["action"] = "NothingHappened"
    admin.index(index=edited.index, id="forged", document=forged)
    admin.index(index=edited.index, id="placeless", document={"@timestamp": "2026-11-20T12:00:00Z", "message": "x"})
    found, summary = scene.found()
    assert {(f.kind, f.document) for f in found} == {
        (Kind.ALTERED, f"{edited.index}/{edited.id}"),
        (Kind.ALTERED, f"{original.index}/{original.id}"),
        (Kind.MISSING, f"{deleted.index}/{deleted.id}"),
        (Kind.ALTERED, f"{moved.index}/{moved.id}"),
        (Kind.MISSING, f"{newest.index}/{newest.id}"),
        (Kind.INSERTED, f"{edited.index}/forged"),
        (Kind.INSERTED, f"{edited.index}/placeless"),
    }
    assert len(found) == 7
    by_document = {f.document.rpartition("/")[2]: f for f in found}
    assert "user.name" in by_document[edited.id].detail
    position = deleted.position
    finding = by_document[deleted.id]
    assert (finding.topic, finding.partition, finding.offset, finding.index) == (
        position.topic,
        position.partition,
        position.offset,
        position.index,
    )
    assert summary.tampered


def sealed_and_indexed(scene: Scene, topic: str, format_name: str, offset: int, records: list[bytes]) -> list[Rebuilt]:
    """More records: sealed behind the others and written by the writer of the index role."""
    one = PartitionSealer(open_store(scene.root), topic, 0, ArchiveSettings(), Clock(RECEIVED))
    one.restore()
    of = msgspec.structs.replace(header(scene.namespace, format_name), received_at=RECEIVED)
    one.add(offset, encode(Envelope(header=of, records=tuple(records))))
    one.seal()
    rebuilder = Rebuilder(namer(scene.settings.elasticsearch), Limits.of(24, 3660), nothing)
    archived = ArchiveReader(open_store(scene.root)).records(scene.namespace)
    made = [
        each for each in rebuilder.rebuild(archived) if (each.position.topic, each.position.offset) == (topic, offset)
    ]

    async def write() -> None:
        client = connect(scene.settings.elasticsearch, "indexer")
        outcome = await Writer(client, mend=product_mend()).write(
            [BulkItem(each.index, each.id, serialise(each.document or {})) for each in made]
        )
        await client.close()
        assert len(outcome.created) == len(records)

    asyncio.run(write())
    return made


@pytest.mark.parametrize("field", ["since", "until"])
def test_a_border_between_two_milliseconds_accuses_nobody(scene: Scene, field: str):
    assert scene.found(**{field: RECEIVED + dt.timedelta(microseconds=500)})[0] == []


def test_an_event_that_came_again_with_another_time_is_found_though_its_index_had_no_such_id(scene: Scene):
    old = scene.of(3)
    event = json.loads((old.document or {})["event"]["original"])
    event["eventTime"] = "2026-11-19T03:00:00Z"
    event["sourceIPAddress"] = "198.51.100.1"
    (new,) = sealed_and_indexed(scene, raw_topic(CLOUDTRAIL), CLOUDTRAIL, 9, [json.dumps(event).encode()])
    assert (new.id, new.index == old.index) == (old.id, False)
    found, summary = scene.found()
    assert [(f.kind, f.document) for f in found] == [(Kind.REWRITTEN, f"{old.index}/{old.id}")]
    assert new.index in found[0].detail
    assert summary.tampered
    assert scene.replay().exit_code == 1


def test_what_people_did_is_compared_like_every_event(scene: Scene):
    action = Action(
        id=uuid.uuid4().hex,
        at=RECEIVED,
        actor="alice",
        host="h",
        program="cli",
        name="search",
        kind="access",
        target="x",
    )
    (made,) = sealed_and_indexed(scene, raw_topic(ACTIONS), ACTIONS, 0, [encode_action(action)])
    assert scene.found()[0] == []
    forged = scene.admin.get(index=made.index, id=made.id)["_source"]
    scene.admin.index(index=made.index, id="forged", document=forged)
    scene.admin.update(index=made.index, id=made.id, doc={"user": {"name": "somebody.else"}})
    assert {(f.kind, f.document) for f in scene.found()[0]} == {
        (Kind.ALTERED, f"{made.index}/{made.id}"),
        (Kind.INSERTED, f"{made.index}/forged"),
    }
    scene.admin.delete(index=made.index, id="forged")
    scene.admin.delete(index=made.index, id=made.id)
    assert [(f.kind, f.document) for f in scene.found()[0]] == [(Kind.MISSING, f"{made.index}/{made.id}")]


def test_an_index_that_is_gone_misses_every_document(scene: Scene):
    name = scene.of(0).index
    scene.admin.indices.delete(index=name)
    found, _ = scene.found()
    assert {f.kind for f in found} == {Kind.MISSING}
    assert len(found) == sum(each.index == name for each in scene.rebuilt if each.position.offset < 8) + 1


def test_an_index_that_was_dropped_is_replayed_from_the_archive(scene: Scene):
    lost = [each for each in scene.rebuilt if each.index == scene.of(0).index]
    scene.admin.indices.delete(index=scene.of(0).index)
    edited = scene.of(47)
    assert edited.index != scene.of(0).index
    scene.admin.update(index=edited.index, id=edited.id, doc={"user": {"name": "somebody.else"}})
    result = scene.replay("--dry-run")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["compared"]["new"], told["compared"]["altered"]) == (1, 40, 1)
    assert not scene.admin.indices.exists(index=scene.of(0).index)
    result = scene.replay()
    told = json.loads(result.stdout)
    assert (result.exit_code, told["compared"]["new"], told["compared"]["same"]) == (1, 40, 39)
    assert [(f["kind"], f["document"]) for f in told["findings"]] == [("ALTERED", f"{edited.index}/{edited.id}")]
    assert len(lost) == 41  # one of them came twice
    scene.admin.delete(index=edited.index, id=edited.id, refresh=True)
    assert scene.replay().exit_code == 0
    scene.admin.indices.refresh(index=f"logs-*-{scene.namespace}-*")
    found, summary = scene.found()
    assert (found, summary.documents) == ([], 80)


def test_a_namespace_that_the_archive_does_not_have_is_forged(scene: Scene):
    name = scene.of(0).index.replace(scene.namespace, f"{scene.namespace}x")
    scene.admin.index(index=name, id="1", document={"@timestamp": "2026-11-20T12:00:00Z"}, refresh=True)
    check = IndexCheck(scene.settings, open_store(scene.root), Scope(), NOW, Summary(), lambda _: None)
    assert [(f.kind, f.document) for f in check.check() if f.namespace == f"{scene.namespace}x"] == [
        (Kind.INSERTED, f"{name}/1")
    ]
    scene.admin.indices.delete(index=name)


def test_a_time_range_leaves_out_what_came_at_another_time(scene: Scene):
    scene.admin.delete(index=scene.of(3).index, id=scene.of(3).id)
    assert scene.found(until=RECEIVED)[0] == []
    assert [f.kind for f in scene.found(since=RECEIVED)[0]] == [Kind.MISSING]
    # Whoever alters the time of receipt does not take the document out of the range.
    scene.admin.update(
        index=scene.of(5).index, id=scene.of(5).id, doc={"event": {"created": "2025-01-01T00:00:00.000Z"}}
    )
    assert sorted(f.kind for f in scene.found(since=RECEIVED)[0]) == [Kind.ALTERED, Kind.MISSING]
