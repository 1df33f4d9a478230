"""A container of Azurite for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.azurite import Azurite
from tests.ingest.transports.azure_blob.site import Site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first of them may install Azurite."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(700))


@pytest.fixture
async def there(azurite: Azurite, tmp_path: Path) -> AsyncIterator[Site]:
    site = Site.of(azurite, tmp_path)
    async with site.client:
        await site.client.create_container()
        yield site
