"""`kill -9` of a collector that follows a log, while the log is rotated and compressed and its volume goes away."""

from __future__ import annotations

import pytest

from tests.faults.file_ways import FollowedLog
from tests.faults.killing import delivers_every_record
from tests.faults.road import Road

pytestmark = [pytest.mark.faults, pytest.mark.engines]


async def test_a_log_that_is_rotated_while_nobody_reads_it_arrives_whole(road: Road) -> None:
    await delivers_every_record(road, FollowedLog(road.directory))
