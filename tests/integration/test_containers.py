"""The parts of the roles against the official images: the publisher on Kafka, users and bulk writer on Elasticsearch.

What containers add to the engines of the suite: an Elasticsearch with the security API, and engines that stand still
for a while without closing a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from elasticsearch import ApiError
from pydantic import SecretStr
from testcontainers.core.container import DockerContainer

from ingest.schema.errors import BrokerUnavailable
from ingest.settings import KafkaSettings
from skytrail.local.credentials import ROLES
from storage.index.bulk import BulkItem
from storage.index.client import connect
from storage.index.documents import serialise
from storage.index.install import ensure_templates
from storage.index.users import ensure_users, set_password
from storage.index.writer import Writer
from storage.settings import ElasticsearchSettings, Login
from tests.ingest.test_publisher import KafkaStage, PublisherContract, one
from tests.integration import containers
from tests.integration.docker_engine import missing

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing()), reason=f"needs Docker: {missing()}"),
]

INDEX = "logs-aws.cloudtrail-containers-2026.11.22"


@pytest.fixture(scope="module")
def broker() -> Iterator[tuple[KafkaSettings, DockerContainer]]:
    with containers.kafka() as started:
        yield started


class TestPublisher(PublisherContract):
    @pytest.fixture
    async def stage(self, broker: tuple[KafkaSettings, DockerContainer]) -> AsyncIterator[KafkaStage]:
        stage = KafkaStage(broker[0])
        await stage.create()
        yield stage
        await stage.delete()

    async def test_a_broker_that_stands_still_is_said_to_be_unavailable_and_serves_again_afterwards(
        self, broker: tuple[KafkaSettings, DockerContainer], stage: KafkaStage
    ) -> None:
        settings, container = broker
        hasty = KafkaStage(settings.model_copy(update={"publish_deadline_s": 3.0}))
        hasty.raw, hasty.dead = stage.raw, stage.dead
        await hasty.publisher.publish([one(b"before")])
        container.get_wrapped_container().pause()
        try:
            with pytest.raises(BrokerUnavailable):
                await hasty.publisher.publish([one(b"during")])
        finally:
            container.get_wrapped_container().unpause()
        await stage.publisher.publish([one(b"after")])
        await hasty.publisher.close()
        found = {each.records for each in await stage.envelopes()}
        assert {(b"before",), (b"after",)} <= found <= {(b"before",), (b"during",), (b"after",)}


@dataclass(frozen=True)
class Node:
    """An Elasticsearch whose users and templates were made by us."""

    settings: ElasticsearchSettings
    superuser: Login
    container: DockerContainer
    made: list[str]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with containers.elasticsearch() as (settings, superuser, container):
        yield Node(settings, superuser, container, asyncio.run(_prepare(settings, superuser)))


async def _prepare(settings: ElasticsearchSettings, superuser: Login) -> list[str]:
    as_superuser = connect(settings.model_copy(update={"bootstrap": superuser}), "bootstrap")
    bootstrap = connect(settings, "bootstrap")
    try:
        made = await ensure_users(as_superuser, ROLES, _logins(settings))
        await ensure_templates(bootstrap, settings)
    finally:
        await as_superuser.close()
        await bootstrap.close()
    return made


def _logins(settings: ElasticsearchSettings) -> dict[str, Login]:
    return {duty: getattr(settings, duty) for duty in ROLES}


def _item(number: int, name: str = "event") -> BulkItem:
    document = {"@timestamp": "2026-11-22T10:00:00.000Z", "event": {"action": name}, "tags": [str(number)]}
    return BulkItem(INDEX, f"{name}-{number}", serialise(document))


async def _found(settings: ElasticsearchSettings, name: str) -> int:
    bootstrap, reader = connect(settings, "bootstrap"), connect(settings, "reader")
    try:
        await bootstrap.indices.refresh(index=INDEX)
        answer: Any = await reader.count(index=INDEX, query={"term": {"event.action": name}})
        return int(answer["count"])
    finally:
        await bootstrap.close()
        await reader.close()


def test_a_user_per_duty_is_created(node: Node) -> None:
    assert len(node.made) == len(ROLES)
    assert all(line.startswith("created user skytrail_") for line in node.made)


async def test_making_users_again_sets_their_passwords_anew(node: Node) -> None:
    client = connect(node.settings.model_copy(update={"bootstrap": node.superuser}), "bootstrap")
    other = Login(username="skytrail_reader", password=SecretStr("another-password-for-a-moment"))
    try:
        made = await ensure_users(client, ROLES, {"reader": other})
        changed = connect(node.settings.model_copy(update={"reader": other}), "reader")
        assert (await changed.cluster.health())["status"] in ("green", "yellow")
        await changed.close()
    finally:
        await ensure_users(client, ROLES, _logins(node.settings))
        await client.close()
    assert made == ["updated user skytrail_reader with role skytrail_reader"]


async def test_the_password_of_a_user_that_elasticsearch_brings_along_can_be_set(node: Node) -> None:
    client = connect(node.settings.model_copy(update={"bootstrap": node.superuser}), "bootstrap")
    await set_password(client, "kibana_system", "a-password-for-kibana")
    await client.close()
    login = Login(username="kibana_system", password=SecretStr("a-password-for-kibana"))
    kibana = connect(node.settings.model_copy(update={"reader": login}), "reader")
    answer = await kibana.security.authenticate()
    await kibana.close()
    assert answer["username"] == "kibana_system"


async def test_documents_are_created_once_and_the_second_time_are_duplicates(node: Node) -> None:
    client = connect(node.settings, "indexer")
    items = [_item(number, "once") for number in range(500)]
    first = await Writer(client).write(items)
    second = await Writer(client).write(items)
    await client.close()
    assert (len(first.created), len(first.refused)) == (500, 0)
    assert (len(second.created), len(second.duplicate)) == (0, 500)
    assert await _found(node.settings, "once") == 500


async def test_the_identity_that_writes_can_neither_read_nor_delete(node: Node) -> None:
    client = connect(node.settings, "indexer")
    await Writer(client).write([_item(1, "kept")])
    for attempt in (
        client.search(index=INDEX),
        client.get(index=INDEX, id="kept-1"),
        client.index(index=INDEX, id="kept-1", document={"event": {"action": "changed"}}),
        client.delete(index=INDEX, id="kept-1"),
        client.indices.delete(index=INDEX),
    ):
        with pytest.raises(ApiError) as refused:
            await attempt
        assert refused.value.status_code == 403
    await client.close()
    assert await _found(node.settings, "kept") == 1


async def test_a_node_that_stands_still_delays_a_write_and_loses_and_doubles_nothing(node: Node) -> None:
    settings = node.settings.model_copy(update={"request_timeout_s": 2.0})
    client = connect(settings, "indexer")
    items = [_item(number, "still") for number in range(2000)]
    writer = Writer(client, bulk_bytes=32 * 1024, timeout_s=2.0)
    container = node.container.get_wrapped_container()
    container.pause()
    try:
        writing = asyncio.create_task(writer.write(items))
        await asyncio.sleep(4)
        assert not writing.done()
    finally:
        container.unpause()
    async with asyncio.timeout(120):
        outcome = await writing
    await client.close()
    assert outcome.refused == []
    assert len(outcome.created) + len(outcome.duplicate) + len(outcome.uncertain) == 2000
    assert await _found(node.settings, "still") == 2000
