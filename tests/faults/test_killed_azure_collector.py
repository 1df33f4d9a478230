"""`kill -9` of a collector of Azure while the services throttle, fail, repeat themselves and lose answers."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.azurite import Azurite
from tests.faults.azure_ways import Way, activity, azure_blob, event_hubs
from tests.faults.oracle import settled
from tests.faults.road import START_TIMEOUT_S, STOP_TIMEOUT_S, Road, spawn

pytestmark = [pytest.mark.faults, pytest.mark.engines]
KILLS = 2
BODIES = 60  # put before each start
EACH = 8  # records of a body


@pytest.mark.parametrize("opened", [event_hubs, azure_blob], ids=lambda opened: opened.__name__)
async def test_a_collector_killed_again_and_again_delivers_every_record(
    road: Road, azurite: Azurite, opened: Callable[[Azurite], AbstractAsyncContextManager[Way]]
) -> None:
    namespace = f"killed_{opened.__name__}"
    rng = random.Random(11)
    sent: set[str] = set()
    interrupted = 0
    async with opened(azurite) as way:
        for number in range(KILLS):
            for _ in range(BODIES):
                records = activity(rng, EACH)
                await way.put(len(sent) // EACH, list(records.values()))
                sent |= records.keys()
            there = await way.left()
            collector = start(road, way, opened.__name__, namespace, number)
            await left_at_most(way, int(there * rng.uniform(0.6, 0.95)))
            way.trouble()
            await left_at_most(way, int(there * rng.uniform(0.3, 0.6)))
            collector.kill()
            collector.wait()
            interrupted += await way.left() > 0
        collector = start(road, way, opened.__name__, namespace, KILLS)
        await left_at_most(way, 0)
        collector.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(collector.wait, STOP_TIMEOUT_S) == 0
    assert interrupted >= 1
    expected, status = await settled(road, namespace)
    assert expected.uids == sent
    assert status.totals["duplicate"] > 0
    assert status.totals["dead_lettered"] == 0


async def left_at_most(way: Way, limit: int) -> None:
    """Wait until no more than this is not acknowledged."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while (left := await way.left()) > limit:
        assert time.monotonic() < deadline, f"{left} are left, at most {limit} were to be"
        await asyncio.sleep(0.1)


def start(road: Road, way: Way, transport: str, namespace: str, number: int) -> subprocess.Popen[bytes]:
    """Start the collector as an operator would."""
    collector = {
        "transport": transport,
        "format": "azure.activitylogs",
        "namespace": namespace,
        transport: way.settings(road.directory),
    }
    name = f"collect-{transport}-{number}"
    config = road.config(name, {"collectors": {"azure": collector}})
    return spawn(["--config", str(config), "collect", "azure"], road.directory / f"{name}.log")
