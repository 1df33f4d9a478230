"""Elasticsearch stopped, throttled, and cutting connections after it did the work; read-only indices."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest
from elasticsearch import AsyncElasticsearch

from skytrail.local import engines as local
from tests.faults.oracle import advanced, settled
from tests.faults.proxy import Fault, FaultyElasticsearch
from tests.faults.road import ROLES, Road, feeding, material, publish, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.engines]
AWAY_S = 20


async def test_elasticsearch_that_is_stopped_in_mid_stream_is_waited_for(road: Road) -> None:
    async with feeding(road, "stopped", 31) as feed:
        await advanced(road)
        local.kill(road.state.home, "elasticsearch", signal.SIGTERM)
        await asyncio.sleep(AWAY_S)
        assert [each.process.poll() for role in ROLES for each in road.roles[role]] == [None] * 3
        await asyncio.to_thread(local.start_one, road.state.home, "elasticsearch")
        await advanced(road)
    expected, _ = await settled(road, "stopped")
    assert len(expected.versions) == feed.records
    assert [each.process.poll() for role in ROLES for each in road.roles[role]] == [None] * 3
    assert road.roles["index"][0].said("start it (`skytrail up`)")


async def test_throttled_and_cut_bulks_leave_each_document_once(road: Road) -> None:
    shares: dict[Fault, float] = {"busy": 0.15, "failing": 0.1, "applied": 0.2}
    with FaultyElasticsearch(road.state.elasticsearch_url, shares) as proxy:
        for role in ("index", "detect"):
            assert road.end(role, road.roles[role][0]) == 0
            road.start(role, elasticsearch={"url": proxy.url})
        await publish(road, material(32, "throttled", 2500))
        expected, _ = await settled(road, "throttled")
        assert expected.received == 2500
        assert min(proxy.done[fault] for fault in shares) >= 3
        for role in ("index", "detect"):
            assert road.end(role, road.roles[role][0]) == 0


async def test_a_read_only_index_is_waited_for_until_the_block_is_lifted(road: Road) -> None:
    events = material(33, "readonly", 1200)
    await publish(road, events[:10])
    await settled(road, "readonly")
    await _block(road, "logs-*-readonly-*", blocked=True)
    await publish(road, events[10:])
    waiting = road.roles["index"][0]
    wait_for(lambda: waiting.said("lift the block"), "the index role says what to do about the block")
    assert waiting.process.poll() is None
    await _block(road, "logs-*-readonly-*", blocked=None)
    expected, _ = await settled(road, "readonly")
    assert expected.received == 1200


async def test_a_stop_while_elasticsearch_hangs_keeps_to_the_grace_and_loses_nothing(road: Road) -> None:
    assert road.end("index", road.roles["index"][0]) == 0
    worker = road.start("index", worker={"stop_grace_s": 3.0, "session_timeout_s": 6.0, "envelopes_per_batch": 4})
    await publish(road, material(34, "hanging", 300))
    await settled(road, "hanging")
    local.kill(road.state.home, "elasticsearch", signal.SIGSTOP)
    try:
        await publish(road, material(35, "hanging", 300))
        await asyncio.sleep(2)
        began = time.monotonic()
        code = await asyncio.to_thread(road.end, "index", worker)
        assert time.monotonic() - began < 20
    finally:
        local.kill(road.state.home, "elasticsearch", signal.SIGCONT)
    assert code == 0
    road.start("index")
    expected, _ = await settled(road, "hanging")
    assert expected.received == 600


async def _block(road: Road, index: str, *, blocked: bool | None) -> None:
    state = road.state
    client = AsyncElasticsearch(state.elasticsearch_url, basic_auth=("admin", state.elasticsearch_users["admin"]))
    try:
        await client.indices.put_settings(index=index, settings={"index.blocks.write": blocked})
    finally:
        await client.close()
