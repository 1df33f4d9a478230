"""`kill -9` of a collector of Azure while the services throttle, fail, repeat themselves and lose answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.azurite import Azurite
from tests.faults.azure_ways import azure_blob, event_hubs
from tests.faults.killing import Way, delivers_every_record
from tests.faults.road import Road

pytestmark = [pytest.mark.faults, pytest.mark.engines]


@pytest.mark.parametrize("opened", [event_hubs, azure_blob], ids=lambda opened: opened.__name__)
async def test_what_a_killed_collector_left_the_next_one_delivers(
    road: Road, azurite: Azurite, opened: Callable[[Azurite], AbstractAsyncContextManager[Way]]
) -> None:
    async with opened(azurite) as way:
        await delivers_every_record(road, way)
