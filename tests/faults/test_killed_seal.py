"""`kill -9` of seal workers that write to one ledger, at seeded moments; and a ledger while nothing flows."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.faults.oracle import advanced, settled
from tests.faults.road import Road, feeding, wait_for
from tests.storage.ledger.oracle import ledgers_tell_of_every_segment

pytestmark = [pytest.mark.faults, pytest.mark.engines]
KILLS = 8


async def test_seal_workers_killed_again_and_again_enter_every_segment_once(road: Road) -> None:
    rng = random.Random(6)
    async with feeding(road, "killedseal", 6) as feed:
        await advanced(road)
        road.start("seal")
        for _ in range(KILLS):
            await asyncio.sleep(rng.uniform(0.5, 4.0))
            road.kill("seal")
            road.start("seal")
        await advanced(road)
    expected, _ = await settled(road, "killedseal")
    assert len(expected.versions) == feed.records
    entries = ledgers_tell_of_every_segment(road.settings.archive_dir)["killedseal"]
    assert sum(entry["type"] == "segment" for entry in entries) > KILLS


async def test_partitions_that_bring_nothing_are_told_of_in_the_ledger(road: Road) -> None:
    async with feeding(road, "idle", 7):
        await advanced(road)
    await settled(road, "idle")
    for running in list(road.roles["seal"]):
        await asyncio.to_thread(road.end, "seal", running)
    road.start("seal", ledger={"heartbeat_interval_s": 5})

    def told() -> list[str]:
        entries = ledgers_tell_of_every_segment(road.settings.archive_dir)["idle"]
        settings = [entry.get("settings", {}).get("heartbeat_interval_s") for entry in entries]
        return [entry["type"] for entry in entries[settings.index(5) :]] if 5 in settings else []

    await asyncio.to_thread(wait_for, lambda: told().count("heartbeat") >= 2, "two heartbeats")
    assert set(told()) == {"config", "heartbeat"}
