"""Kafka restarted in mid-stream, killed while workers join their groups, and away when they start."""

from __future__ import annotations

import asyncio
import signal

import pytest

from skytrail.local import engines as local
from tests.faults.oracle import advanced, settled
from tests.faults.road import ROLES, Road, feeding, material, publish, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.engines]


def pids(road: Road) -> dict[str, int]:
    return {role: road.roles[role][0].process.pid for role in ROLES}


def exits(road: Road) -> list[int | None]:
    return [road.roles[role][0].process.poll() for role in ROLES]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_a_restart_of_kafka_in_mid_stream_ends_no_worker_and_loses_nothing(
    road: Road, how: signal.Signals
) -> None:
    namespace = f"broker_{how.name.lower()}"
    before = pids(road)
    async with feeding(road, namespace, how.value) as feed:
        await advanced(road)
        local.kill(road.state.home, "kafka", how)
        await asyncio.sleep(4)
        await asyncio.to_thread(local.start_one, road.state.home, "kafka")
        await advanced(road)
    expected, _ = await settled(road, namespace)
    assert len(expected.versions) == feed.records
    assert (pids(road), exits(road)) == (before, [None] * 3)


async def test_kafka_killed_while_workers_join_leaves_them_the_same_processes(road: Road) -> None:
    assert set((await asyncio.to_thread(road.end_all)).values()) == {0}
    await publish(road, material(24, "joining", 800))
    workers = [road.start(role) for role in ROLES]
    before = pids(road)
    wait_for(lambda: any(worker.said("worker started") for worker in workers), "a worker is about to join its group")
    local.kill(road.state.home, "kafka", signal.SIGKILL)
    await asyncio.sleep(8)
    assert exits(road) == [None] * 3
    await asyncio.to_thread(local.start_one, road.state.home, "kafka")
    expected, _ = await settled(road, "joining")
    assert len(expected.versions) == 800
    assert (pids(road), exits(road)) == (before, [None] * 3)


async def test_a_worker_that_starts_before_kafka_waits_and_says_so(road: Road) -> None:
    assert set((await asyncio.to_thread(road.end_all)).values()) == {0}
    local.kill(road.state.home, "kafka", signal.SIGTERM)
    await asyncio.sleep(2)
    workers = [road.start(role) for role in ROLES]
    impatient = road.start("seal")
    for worker in [*workers, impatient]:
        wait_for(lambda worker=worker: worker.said("waiting for Kafka"), f"{worker.name} says what it waits for")
    assert road.end("seal", impatient) == 0
    assert exits(road) == [None] * 3
    await asyncio.to_thread(local.start_one, road.state.home, "kafka")
    await publish(road, material(23, "waited", 500))
    expected, _ = await settled(road, "waited")
    assert len(expected.versions) == 500


async def test_wrong_credentials_are_told_at_once_and_not_waited_for(road: Road) -> None:
    config = {"password": "not the password"}
    worker = road.start("seal", kafka=config)
    assert await asyncio.to_thread(worker.process.wait, 60) == 4
    road.roles["seal"].remove(worker)
    assert worker.said("kafka.password")
