"""`kill -9` of each role in mid-stream, at seeded moments."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.faults.oracle import advanced, settled
from tests.faults.road import ROLES, Road, feeding

pytestmark = [pytest.mark.faults, pytest.mark.engines]
KILLS = 3


async def test_roles_killed_again_and_again_lose_nothing_and_count_nothing_twice(road: Road) -> None:
    rng = random.Random(1)
    async with feeding(road, "killed", 1) as feed:
        for _ in range(KILLS):
            await advanced(road)
            for role in rng.sample(ROLES, len(ROLES)):
                await asyncio.sleep(rng.uniform(0.0, 1.0))
                road.kill(role)
                road.start(role)
        await advanced(road)
    expected, _ = await settled(road, "killed")
    assert len(expected.versions) == feed.records
    assert len(expected.alerts) >= 6
