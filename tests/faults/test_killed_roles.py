"""`kill -9` of each role in mid-stream, at seeded moments."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.faults.oracle import settled
from tests.faults.road import ROLES, Road, material, publish

pytestmark = [pytest.mark.faults, pytest.mark.engines]
KILLS = 3


async def test_roles_killed_again_and_again_lose_nothing_and_count_nothing_twice(road: Road) -> None:
    rng = random.Random(1)
    feeding = asyncio.create_task(publish(road, material(1, "killed", 4000), during_s=18))
    for _ in range(KILLS):
        for role in rng.sample(ROLES, len(ROLES)):
            await asyncio.sleep(rng.uniform(0.5, 2.5))
            road.kill(role)
            road.start(role)
    await feeding
    expected, _ = await settled(road, "killed")
    assert len(expected.alerts) >= 6
