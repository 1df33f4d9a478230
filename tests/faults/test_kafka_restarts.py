"""Kafka restarted in mid-stream, politly and not, and away when a worker starts."""

from __future__ import annotations

import asyncio
import signal

import pytest

from skytrail.local import engines as local
from tests.faults.oracle import settled
from tests.faults.road import ROLES, Road, material, publish, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.engines]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_a_restart_of_kafka_in_mid_stream_ends_no_worker_and_loses_nothing(
    road: Road, how: signal.Signals
) -> None:
    namespace = f"broker_{how.name.lower()}"
    pids = {role: road.roles[role][0].process.pid for role in ROLES}
    feeding = asyncio.create_task(publish(road, material(how.value, namespace, 2000), during_s=10))
    await asyncio.sleep(5)
    local.kill(road.state.home, "kafka", how)
    await asyncio.sleep(6)
    await asyncio.to_thread(local.start_one, road.state.home, "kafka")
    await feeding
    expected, _ = await settled(road, namespace)
    assert len(expected.versions) == 2000
    assert {role: road.roles[role][0].process.pid for role in ROLES} == pids
    assert [road.roles[role][0].process.poll() for role in ROLES] == [None] * 3


async def test_a_worker_that_starts_before_kafka_waits_and_says_so(road: Road) -> None:
    for role in ROLES:
        assert road.end(role, road.roles[role][0]) == 0
    local.kill(road.state.home, "kafka", signal.SIGTERM)
    await asyncio.sleep(2)
    workers = [road.start(role) for role in ROLES]
    for worker in workers:
        wait_for(lambda worker=worker: worker.said("waiting for Kafka"), f"{worker.name} says what it waits for")
    await asyncio.sleep(3)
    assert [worker.process.poll() for worker in workers] == [None] * 3
    await asyncio.to_thread(local.start_one, road.state.home, "kafka")
    await publish(road, material(23, "waited", 500))
    expected, _ = await settled(road, "waited")
    assert len(expected.versions) == 500
