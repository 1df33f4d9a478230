"""`kill -9` of collectors that read a topic of Kafka, while its group changes and its brokers throttle and restart."""

from __future__ import annotations

import asyncio
import random
import signal
import time

import pytest

from skytrail.local import engines as local
from tests.faults.kafka_ways import TopicWay, topic
from tests.faults.killing import BODIES, FLOWING, Collecting, arrived, delivers_every_record, left_at_most
from tests.faults.road import START_TIMEOUT_S, STOP_TIMEOUT_S, Road

pytestmark = [pytest.mark.faults, pytest.mark.engines]


async def test_what_a_killed_member_of_a_changing_group_left_the_next_one_delivers(road: Road) -> None:
    async with topic(road) as way:
        await delivers_every_record(road, way)
        await way.over()
        assert way.guests == 2


async def test_a_member_takes_over_from_one_that_was_killed_and_outlives_a_restart_of_the_brokers(road: Road) -> None:
    async with topic(road) as way:
        collecting = Collecting(road, way, "_shared")
        rng = random.Random(19)
        sent: set[str] = set()
        killed, other = collecting.start(), collecting.start()
        await _joined(way, 2)
        for _ in range(FLOWING):
            await asyncio.sleep(0.03)
            await collecting.put(rng, sent, 1)
        killed.kill()
        killed.wait()
        await collecting.put(rng, sent, BODIES)
        local.kill(road.state.home, "kafka", signal.SIGKILL)
        await asyncio.sleep(2)
        await asyncio.to_thread(local.start_one, road.state.home, "kafka")
        await collecting.put(rng, sent, BODIES)
        await left_at_most(way, 0)
        other.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(other.wait, STOP_TIMEOUT_S) == 0
        await arrived(road, collecting.namespace, sent)


async def _joined(way: TopicWay, members: int) -> None:
    """Wait until the group has so many members."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while (found := await way.members()) != members:
        assert time.monotonic() < deadline, f"the group has {found} members, {members} were to join it"
        await asyncio.sleep(0.2)
