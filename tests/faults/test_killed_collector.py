"""`kill -9` of a collector of AWS while the cloud throttles, fails, repeats itself and loses answers."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import random
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.faults.material import CLOUDTRAIL, cloudtrail
from tests.faults.oracle import settled
from tests.faults.road import STOP_TIMEOUT_S, Road, spawn, wait_for
from tests.faults.ways import AnnouncedObjects, Way
from tests.ingest.transports.aws.faulty import faulty
from tests.ingest.transports.aws.servers import Aws

pytestmark = [pytest.mark.faults, pytest.mark.engines]
KILLS = 3
BODIES = 40  # put before each start
EACH = 15  # records of a body


@pytest.mark.parametrize("made", [AnnouncedObjects], ids=lambda made: made.transport)
async def test_a_collector_killed_again_and_again_delivers_every_record(
    road: Road, aws: Aws, made: Callable[[Aws], Way]
) -> None:
    way = made(aws)
    namespace = f"killed_{way.transport}"
    rng = random.Random(9)
    sent: set[str] = set()
    interrupted = 0

    def put() -> int:
        for _ in range(BODIES):
            records = cloudtrail(rng, EACH, dt.datetime.now(dt.UTC))
            way.put(len(sent) // EACH, records)
            sent.update(json.loads(record)["eventID"] for record in records)
        return way.left()

    with faulty(aws.endpoint) as proxy:
        for number in range(KILLS):
            there = await asyncio.to_thread(put)
            way.trouble(proxy)
            collector = start(road, way, namespace, proxy.endpoint, number)
            few = there - rng.randrange(3, BODIES // 2)
            await asyncio.to_thread(wait_for, lambda few=few: way.left() <= few, "some bodies are acknowledged")
            collector.kill()
            collector.wait()
            interrupted += way.left() > 0
        collector = start(road, way, namespace, proxy.endpoint, KILLS)
        await asyncio.to_thread(wait_for, lambda: way.left() == 0, "every body is acknowledged")
        collector.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(collector.wait, STOP_TIMEOUT_S) == 0
        assert [fault for fault in proxy.faults if fault.times] == []
    assert interrupted >= 1
    expected, status = await settled(road, namespace)
    assert expected.uids == sent
    assert status.totals["duplicate"] > 0


def start(road: Road, way: Way, namespace: str, endpoint: str, number: int) -> subprocess.Popen[bytes]:
    """Start the collector as an operator would."""
    collector = {
        "transport": way.transport,
        "format": CLOUDTRAIL,
        "namespace": namespace,
        way.transport: way.settings(endpoint),
    }
    name = f"collect-{way.transport}-{number}"
    config = road.config(name, {"collectors": {"trail": collector}})
    return spawn(["--config", str(config), "collect", "trail"], road.directory / f"{name}.log")
