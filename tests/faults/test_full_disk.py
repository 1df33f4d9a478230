"""An archive that can't take another byte."""

from __future__ import annotations

import resource

import pytest

from tests.faults.oracle import settled
from tests.faults.road import Road, material, publish, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.engines]


async def test_an_archive_without_space_is_waited_for_and_then_sealed_completely(road: Road) -> None:
    sealer = road.roles["seal"][0]
    await publish(road, material(71, "full", 300))
    await settled(road, "full")
    before = resource.prlimit(sealer.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(sealer.process.pid, resource.RLIMIT_FSIZE, (256, before[1]))  # bytes; then every write fails
    await publish(road, material(72, "full", 900))
    wait_for(lambda: sealer.said("archive: writing archive object"), "the sealer says what it waits for")
    assert sealer.said("check free space")
    assert sealer.process.poll() is None
    resource.prlimit(sealer.process.pid, resource.RLIMIT_FSIZE, before)
    expected, _ = await settled(road, "full")
    assert expected.received == 1200
    assert sealer.process.poll() is None
