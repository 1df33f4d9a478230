"""Event hubs and containers of blobs, proven on the double of Event Hubs and on Azurite."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.azurite import Azurite
from tests.doubles.event_hubs.hub import NOT_FOUND, UNAUTHORIZED
from tests.ingest.transports.azure_blob.site import HOUR
from tests.ingest.transports.azure_blob.site import Site as Blobs
from tests.ingest.transports.contract import pull
from tests.ingest.transports.event_hubs.conftest import there
from tests.ingest.transports.event_hubs.site import Site
from tests.skytrail.onboarding.checks.proofs import proof, states

__all__ = ["there"]
ALL = ("hub", "arrival in the hub", "consumer group", "checkpoints")


@pytest.fixture
async def blobs(azurite: Azurite, tmp_path: Path) -> AsyncIterator[Blobs]:
    made = Blobs.of(azurite, tmp_path)
    async with made.client:
        await made.client.create_container()
        yield made


async def test_a_hub_with_events_is_proven_and_so_is_how_far_its_collector_is_behind(there: Site) -> None:
    for number in range(3):
        there.server.hub.put(b"%d" % number, "0")
    transport = await there.open()
    (first,) = await pull(transport.deliveries(), 1)
    await first.acknowledge()
    await transport.close()
    there.server.hub.put(b"later", "0")
    found = await proof("event_hubs", there.settings())
    assert states(found) == dict.fromkeys(ALL, "ok")
    assert "4 partitions" in found["hub"].found
    assert found["consumer group"].found == "skytrail can be read"
    assert "1 partitions have one" in found["checkpoints"].found


async def test_a_hub_that_nobody_writes_to_is_a_warning(there: Site) -> None:
    found = await proof("event_hubs", there.settings())
    assert states(found) == dict(zip(ALL, ("ok", "warn", "ok", "ok"), strict=True))
    assert "diagnostic settings" in found["arrival in the hub"].mend


async def test_a_hub_that_nothing_came_to_for_days_is_a_warning(there: Site) -> None:
    there.server.hub.put(b"0", "0")
    found = await proof("event_hubs", there.settings(), ahead=dt.timedelta(days=2))
    assert states(found) == dict(zip(ALL, ("ok", "warn", "ok", "ok"), strict=True))
    assert found["arrival in the hub"].found == "the newest event came 2 days ago"


async def test_a_consumer_group_that_is_missing_or_refused_is_named(there: Site) -> None:
    faults = there.server.hub.faults
    faults.refuse_attach, faults.refusals = NOT_FOUND, -1
    found = await proof("event_hubs", there.settings())
    assert found["consumer group"].state == "fail"
    assert "create the event hub and the consumer group" in found["consumer group"].mend
    faults.refuse_attach = UNAUTHORIZED
    found = await proof("event_hubs", there.settings())
    assert "Azure Event Hubs Data Receiver" in found["consumer group"].mend


async def test_a_group_that_a_collector_reads_is_not_disturbed(there: Site) -> None:
    there.server.hub.held["skytrail", "0"] = 0  # a reader with an epoch
    found = await proof("event_hubs", there.settings())
    assert found["consumer group"].found.startswith("skytrail is being read")


async def test_a_container_for_checkpoints_that_is_missing_is_named(there: Site) -> None:
    there.container = "nowhere"
    found = await proof("event_hubs", there.settings())
    assert states(found)["checkpoints"] == "fail"
    assert "create it" in found["checkpoints"].mend


async def test_a_container_of_blobs_is_proven_by_its_newest_blob(blobs: Blobs) -> None:
    assert states(await proof("azure_blob", blobs.settings())) == {"container": "warn", "blobs": "skipped"}
    await blobs.append(b'{"n":1}\n')
    found = await proof("azure_blob", blobs.settings())
    assert states(found) == {"container": "ok", "blobs": "ok"}
    assert found["blobs"].found.endswith(f"{HOUR} can be read")


async def test_a_container_of_blobs_that_is_missing_is_named(blobs: Blobs) -> None:
    await blobs.client.delete_container()
    found = await proof("azure_blob", blobs.settings())
    assert states(found) == {"container": "fail", "blobs": "skipped"}
    assert found["container"].mend
