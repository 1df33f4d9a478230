"""Blobs keep the promises of every transport."""

from __future__ import annotations

import itertools

import pytest

from ingest.transports.contract import Transport
from tests.ingest.transports.azure_blob.site import Site
from tests.ingest.transports.contract import Harness, TransportContract


class BlobsHarness(Harness):
    """A blob for each body."""

    def __init__(self, there: Site) -> None:
        self.there = there
        self._number = itertools.count()

    async def open(self) -> Transport:
        return await self.there.open()

    async def send(self, bodies: list[bytes]) -> None:
        for body in bodies:
            await self.there.append(body, f"{next(self._number):03}.json")


class TestBlobs(TransportContract):
    @pytest.fixture
    def harness(self, there: Site) -> Harness:
        return BlobsHarness(there)
