"""The double of Event Hubs with four partitions, and a container of Azurite for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.azurite import Azurite
from tests.doubles.event_hubs.hub import Hub
from tests.doubles.event_hubs.server import serving
from tests.ingest.transports.event_hubs.site import HUB, Site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first of them may install Azurite."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(700))


@pytest.fixture
async def there(azurite: Azurite, tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(Hub(HUB, 4)) as server:
        place = Site(server, azurite, tmp_path)
        await place.make_container()
        yield place
