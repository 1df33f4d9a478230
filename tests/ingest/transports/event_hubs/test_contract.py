"""Event Hubs keeps the promises of every transport."""

from __future__ import annotations

import pytest

from ingest.transports.contract import Transport
from tests.ingest.transports.contract import Harness, TransportContract
from tests.ingest.transports.event_hubs.site import Site


class HubHarness(Harness):
    def __init__(self, there: Site) -> None:
        self.there = there

    async def open(self) -> Transport:
        return await self.there.open(batch_events=1)

    async def send(self, bodies: list[bytes]) -> None:
        for body in bodies:
            self.there.server.hub.put(body)


class TestEventHubs(TransportContract):
    @pytest.fixture
    def harness(self, there: Site) -> Harness:
        return HubHarness(there)
