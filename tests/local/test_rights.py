"""Each identity can do its duty on the real engines, and nothing else."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from elasticsearch import ApiError, Elasticsearch
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError

from skytrail.local.engines import EngineState
from skytrail.local.ports import LOOPBACK
from tests.local.clients import admin, elasticsearch_as, kafka_settings

pytestmark = pytest.mark.engines

ALERTS = "logs-skytrail.alert-rights-2026.11"
STATE = "skytrail-alert-state"


@pytest.fixture
def index(engines: EngineState) -> str:
    """An index that holds one document, `_id` 1, written by the indexer."""
    name = f"logs-rights.{uuid.uuid4().hex}"
    with elasticsearch_as(engines, "indexer") as client:
        client.create(index=name, id="1", document={"user": "alice"}, refresh=False)
    with admin(engines) as client:
        client.indices.refresh(index=name)
    return name


def refused(attempt: Callable[[], Any]) -> int:
    with pytest.raises(ApiError) as refusal:
        attempt()
    return refusal.value.status_code


def test_the_indexer_creates_and_sees_duplicates(engines: EngineState, index: str) -> None:
    with elasticsearch_as(engines, "indexer") as client:
        statuses = [
            client.bulk(operations=[{"create": {"_index": index, "_id": key}}, {"user": "bob"}])["items"][0]["create"]
            for key in ("1", "2")
        ]
    assert [row["status"] for row in statuses] == [409, 201]


ATTEMPTS: dict[str, Callable[[Elasticsearch, str], Any]] = {
    "search": lambda client, index: client.search(index=index),
    "get": lambda client, index: client.get(index=index, id="1"),
    "count": lambda client, index: client.count(index=index),
    "update": lambda client, index: client.update(index=index, id="1", doc={"user": "mallory"}),
    "overwrite": lambda client, index: client.index(index=index, id="1", document={"user": "mallory"}),
    "delete": lambda client, index: client.delete(index=index, id="1"),
    "delete index": lambda client, index: client.indices.delete(index=index),
    "close index": lambda client, index: client.indices.close(index=index),
    "templates": lambda client, _: client.indices.put_index_template(name="mine", index_patterns=["logs-mine-*"]),
    "other indices": lambda client, _: client.create(index="skytrail-holds", id="1", document={}),
    "users": lambda client, _: client.security.get_user(),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_indexer_can_neither_read_nor_change_nor_delete(engines: EngineState, index: str, attempt: str) -> None:
    with elasticsearch_as(engines, "indexer") as client:
        assert refused(lambda: ATTEMPTS[attempt](client, index)) == 403
    with admin(engines) as client:
        assert client.get(index=index, id="1")["_source"] == {"user": "alice"}


@pytest.mark.parametrize(
    ("action", "body"),
    [("index", [{"user": "mallory"}]), ("update", [{"doc": {"user": "mallory"}}]), ("delete", [])],
)
def test_the_indexer_is_refused_in_bulk_too(
    engines: EngineState, index: str, action: str, body: list[dict[str, Any]]
) -> None:
    with elasticsearch_as(engines, "indexer") as client:
        answer = client.bulk(operations=[{action: {"_index": index, "_id": "1"}}, *body])
    assert answer["items"][0][action]["status"] == 403


def test_the_reader_reads_and_cannot_write(engines: EngineState, index: str) -> None:
    with elasticsearch_as(engines, "reader") as client:
        assert client.count(index=index)["count"] == 1
        assert refused(lambda: client.create(index=index, id="3", document={})) == 403
        assert refused(lambda: client.delete(index=index, id="1")) == 403


def test_the_alerter_appends_alerts_and_keeps_their_state(engines: EngineState, index: str) -> None:
    key = uuid.uuid4().hex
    with elasticsearch_as(engines, "alerter") as client:
        client.create(index=ALERTS, id=key, document={"message": "x"})
        client.index(index=STATE, id=key, document={"status": "open"})
        client.update(index=STATE, id=key, doc={"status": "closed"})
        assert client.get(index=STATE, id=key)["_source"] == {"status": "closed"}
        assert refused(lambda: client.index(index=ALERTS, id=key, document={"message": "y"})) == 403
        assert refused(lambda: client.delete(index=STATE, id=key)) == 403
        assert refused(lambda: client.create(index=index, id="4", document={})) == 403


def test_the_bootstrap_identity_makes_templates_and_indices_and_cannot_read(engines: EngineState, index: str) -> None:
    name = f"rights-{uuid.uuid4().hex}"
    with elasticsearch_as(engines, "bootstrap") as client:
        client.cluster.put_component_template(name=name, template={"settings": {"number_of_replicas": 0}})
        client.indices.put_index_template(name=name, index_patterns=[f"logs-{name}-*"], composed_of=[name])
        client.indices.create(index=f"logs-{name}-1")
        client.indices.delete(index=f"logs-{name}-1")
        client.indices.delete_index_template(name=name)
        client.cluster.delete_component_template(name=name)
        assert refused(lambda: client.search(index=index)) == 403


def test_indices_of_other_names_are_never_made_by_writing(engines: EngineState) -> None:
    with admin(engines) as client:
        assert refused(lambda: client.create(index="mistyped", id="1", document={})) == 404


@pytest.mark.parametrize("credentials", [None, ("reader", "wrong"), ("elastic", "changeme")])
def test_elasticsearch_lets_nobody_in_without_a_password(
    engines: EngineState, credentials: tuple[str, str] | None
) -> None:
    with Elasticsearch(engines.elasticsearch_url, basic_auth=credentials, max_retries=0) as client:
        assert refused(client.cluster.health) == 401


def test_kafka_takes_a_record_of_eight_mebibytes_from_who_knows_the_password(engines: EngineState) -> None:
    topic = f"rights-{uuid.uuid4().hex}"
    with contextlib.closing(KafkaAdminClient(**kafka_settings(engines))) as client:
        client.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    with contextlib.closing(KafkaProducer(**kafka_settings(engines), max_request_size=9 << 20)) as producer:
        assert producer.send(topic, bytes(8 << 20)).get(timeout=60).offset == 0


@pytest.mark.parametrize(
    "change",
    [
        {"sasl_plain_password": "wrong"},
        {"sasl_plain_username": "controller"},
        {"sasl_mechanism": "PLAIN"},
        {"security_protocol": "PLAINTEXT", "sasl_mechanism": None},
    ],
    ids=["password", "user", "mechanism", "anonymous"],
)
def test_kafka_refuses_everyone_else(engines: EngineState, change: dict[str, Any]) -> None:
    with pytest.raises(KafkaError):
        KafkaAdminClient(**{**kafka_settings(engines), "bootstrap_timeout_ms": 3000, **change})


def test_the_controller_listener_refuses_who_has_no_password(engines: EngineState) -> None:
    with pytest.raises(KafkaError):
        KafkaAdminClient(
            bootstrap_servers=f"{LOOPBACK}:{engines.kafka_controller_port}",
            security_protocol="PLAINTEXT",
            bootstrap_timeout_ms=3000,
        )


def test_topics_are_not_made_by_asking_for_them(engines: EngineState) -> None:
    topic = f"mistyped-{uuid.uuid4().hex}"
    with contextlib.closing(KafkaProducer(**kafka_settings(engines), max_block_ms=2000)) as producer:
        with contextlib.suppress(KafkaError):
            producer.send(topic, b"x").get(timeout=3)
        with contextlib.closing(KafkaAdminClient(**kafka_settings(engines))) as client:
            assert topic not in client.list_topics()
