"""A worker that is stuck ends, so that its supervisor starts another; one that waits for a reason does not."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.road import Road, material, publish, spawn

pytestmark = [pytest.mark.faults, pytest.mark.engines]
WATCHDOG_S = 5.0


async def test_a_worker_that_is_stuck_ends_with_1_and_one_that_says_why_goes_on(road: Road) -> None:
    await publish(road, material(91, "stuck", 200))
    config = road.config("stuck", {"worker": {"watchdog_s": WATCHDOG_S}})
    running = {
        how: spawn([str(config), how, str(road.directory)], road.directory / f"{how}.log", "tests.faults.stuck_worker")
        for how in ("blocked", "idle", "reasoned")
    }
    try:
        for how in ("blocked", "idle"):
            assert await asyncio.to_thread(running[how].wait, 60) == 1, how
        assert "the event loop has not run" in (road.directory / "blocked.log").read_text("utf-8")
        assert "nothing finished" in (road.directory / "idle.log").read_text("utf-8")
        await asyncio.sleep(WATCHDOG_S)
        assert running["reasoned"].poll() is None
    finally:
        for process in running.values():
            process.kill()
            process.wait()
