"""Workers that join and leave in mid-stream."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.faults.oracle import advanced, settled
from tests.faults.road import ROLES, Road, feeding

pytestmark = [pytest.mark.faults, pytest.mark.engines]


async def test_workers_that_join_and_leave_in_mid_stream_keep_every_account_exact(road: Road) -> None:
    async with feeding(road, "rebalance", 51) as feed:
        await advanced(road)
        second = {role: road.start(role) for role in ROLES}
        await asyncio.sleep(6)
        for role in ROLES:
            assert await asyncio.to_thread(road.end, role, road.roles[role][0]) == 0
        await advanced(road)
        third = {role: road.start(role) for role in ROLES}
        await asyncio.sleep(6)
        await advanced(road)
    expected, _ = await settled(road, "rebalance")
    assert len(expected.versions) == feed.records
    assert [each.process.poll() for role in ROLES for each in (second[role], third[role])] == [None] * 6


async def test_a_stop_in_mid_stream_ends_with_0_within_the_grace_and_loses_nothing(road: Road) -> None:
    async with feeding(road, "sigterm", 52) as feed:
        await advanced(road)
        began = time.monotonic()
        codes = await asyncio.to_thread(road.end_all)
        assert set(codes.values()) == {0}
        assert time.monotonic() - began < 30
        road.start_all()
        await advanced(road)
    expected, _ = await settled(road, "sigterm")
    assert len(expected.versions) == feed.records
