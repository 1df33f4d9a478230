"""`kill -9` of a collector of AWS while the cloud throttles, fails, repeats itself and loses answers."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import json
import random
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.faults.killing import dies_with_its_hands_full
from tests.faults.material import CLOUDTRAIL, cloudtrail
from tests.faults.oracle import settled
from tests.faults.road import STOP_TIMEOUT_S, Road, spawn, wait_for
from tests.faults.ways import AnnouncedObjects, Stream, Way
from tests.ingest.transports.aws.faulty import faulty
from tests.ingest.transports.aws.servers import Aws

pytestmark = [pytest.mark.faults, pytest.mark.engines]
KILLS = 3
PAUSE_S = 0.15  # between bodies
EACH = 15  # records of a body


class Made(Protocol):
    """A kind of way: what makes one, with the file of the collector's progress."""

    transport: str

    def __call__(self, aws: Aws, checkpoint: Path, /) -> Way: ...


@pytest.mark.parametrize("made", [AnnouncedObjects, Stream], ids=lambda made: made.transport)
async def test_a_collector_killed_again_and_again_delivers_every_record(road: Road, aws: Aws, made: Made) -> None:
    way = made(aws, road.directory / "checkpoints" / f"{made.transport}.json")
    namespace = f"killed_{way.transport}"
    rng = random.Random(9)
    sent: set[str] = set()

    def put() -> None:
        records = cloudtrail(rng, EACH, dt.datetime.now(dt.UTC))
        way.put(len(sent) // EACH, records)
        sent.update(json.loads(record)["eventID"] for record in records)

    with faulty(aws.endpoint) as proxy:
        put()
        silenced = functools.partial(start, road, way, namespace, proxy.endpoint, -1)
        await dies_with_its_hands_full(silenced, lambda: asyncio.to_thread(lambda: way.progress()[1]))
        for number in range(KILLS):
            way.trouble(proxy)
            collector = start(road, way, namespace, proxy.endpoint, number)
            some = way.progress()[0] + rng.randrange(3, 30)
            while way.progress()[0] < some:  # bodies flow until it is killed, so it always dies amid them
                put()
                await asyncio.sleep(PAUSE_S)
                assert collector.poll() is None
            collector.kill()
            collector.wait()
        put()
        collector = start(road, way, namespace, proxy.endpoint, KILLS)
        await asyncio.to_thread(wait_for, lambda: way.progress()[1] == 0, "every body is acknowledged")
        collector.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(collector.wait, STOP_TIMEOUT_S) == 0
        # A message is held longer only where its object is long in work: on a quick machine that may never be asked.
        met = [fault for fault in proxy.faults if fault.asks != "ChangeMessageVisibilityBatch"]
        assert [fault for fault in met if fault.times] == []
    expected, status = await settled(road, namespace)
    assert expected.uids == sent
    assert status.totals["duplicate"] > 0


def start(
    road: Road, way: Way, namespace: str, endpoint: str, number: int, **changes: Mapping[str, Any]
) -> subprocess.Popen[bytes]:
    """Start the collector as an operator would, with changes of the settings per section."""
    collector = {
        "transport": way.transport,
        "format": CLOUDTRAIL,
        "namespace": namespace,
        way.transport: way.settings(endpoint),
    }
    name = f"collect-{way.transport}-{number}"
    config = road.config(name, {"collectors": {way.transport: collector}, **changes})
    return spawn(["--config", str(config), "collect", way.transport], road.directory / f"{name}.log")
