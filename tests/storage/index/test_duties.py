"""What each identity may do, asked and attempted; on the real Elasticsearch and on one that breaks on request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from elasticsearch import AsyncElasticsearch
from pydantic import SecretStr

from ingest.schema.errors import ConfigError, IndexUnavailable
from skytrail.local.engines import EngineState
from storage.index.client import Identity, connect
from storage.index.duties import duty_of, excess_rights, missing_rights, refuse_excess_rights
from storage.settings import ElasticsearchSettings, Login

IDENTITIES: tuple[Identity, ...] = (
    "bootstrap",
    "indexer",
    "alerter",
    "reader",
    "analyst",
    "retention",
    "eraser",
    "auditor",
)


@asynccontextmanager
async def acting_as(engines: EngineState, user: str, password: str = "") -> AsyncIterator[AsyncElasticsearch]:
    login = Login(username=user, password=SecretStr(password or engines.elasticsearch_users[user]))
    client = connect(ElasticsearchSettings(url=engines.elasticsearch_url, indexer=login), "indexer")
    try:
        yield client
    finally:
        await client.close()


@pytest.mark.engines
@pytest.mark.parametrize("identity", IDENTITIES)
async def test_each_identity_may_do_its_duty_and_nothing_else(engines: EngineState, identity: Identity) -> None:
    async with acting_as(engines, identity) as client:
        assert await missing_rights(client, identity) == []
        assert await excess_rights(client, identity) == []
        assert await refuse_excess_rights(client, identity) == "proven"


@pytest.mark.engines
@pytest.mark.parametrize("identity", IDENTITIES)
async def test_a_superuser_is_refused_as_any_identity_and_leaves_no_index_behind(
    engines: EngineState, identity: Identity
) -> None:
    async with acting_as(engines, "admin") as client:
        with pytest.raises(ConfigError, match=f"testing the rights of {identity}: it may") as refused:
            await refuse_excess_rights(client, identity)
        assert not [name for name in await client.indices.get(index="*") if "_selftest" in name]
    assert refused.value.where == f"elasticsearch.{identity}"


@pytest.mark.engines
async def test_a_reader_in_the_place_of_the_indexer_lacks_and_exceeds(engines: EngineState) -> None:
    async with acting_as(engines, "reader") as client:
        assert "create_doc on logs-aws.cloudtrail-*" in await missing_rights(client, "indexer")
        assert "search in logs-aws.cloudtrail-*" in await excess_rights(client, "indexer")


@pytest.mark.engines
async def test_a_wrong_password_proves_nothing(engines: EngineState) -> None:
    async with acting_as(engines, "indexer", "wrong") as client:
        assert await refuse_excess_rights(client, "indexer") == "unknown"
        with pytest.raises(IndexUnavailable, match="security_exception"):
            await missing_rights(client, "indexer")


async def test_an_elasticsearch_that_is_away_proves_nothing_and_blocks_nobody() -> None:
    login = Login(username="indexer", password=SecretStr("secret"))
    client = connect(ElasticsearchSettings(url="http://127.0.0.1:9", indexer=login), "indexer")
    try:
        assert await refuse_excess_rights(client, "indexer") == "unknown"
    finally:
        await client.close()


@asynccontextmanager
async def answering(status: int, kind: str) -> AsyncIterator[AsyncElasticsearch]:
    """A client of a server that refuses everything in one way."""

    async def refuse(_: web.Request) -> web.Response:
        body = {"status": status, "error": {"type": kind, "reason": "told so"}}
        return web.json_response(body, status=status, headers={"X-Elastic-Product": "Elasticsearch"})

    app = web.Application()
    app.router.add_route("*", "/{_:.*}", refuse)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    login = Login(username="indexer", password=SecretStr("secret"))
    client = connect(ElasticsearchSettings(url=f"http://{host}:{port}", indexer=login), "indexer")
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, "cluster_block_exception"), (429, "es_rejected_execution_exception"), (503, "unavailable"), (500, "")],
)
async def test_a_server_in_trouble_is_no_proof_of_a_missing_right(status: int, kind: str) -> None:
    async with answering(status, kind) as client:
        assert await refuse_excess_rights(client, "indexer") == "unknown"


@pytest.mark.parametrize("identity", IDENTITIES)
def test_nothing_is_attempted_where_an_index_could_be(identity: Identity) -> None:
    attempted = duty_of(identity).attempts
    assert attempted
    assert all(index.endswith("-_selftest-1970.01.01") for index in attempted)
