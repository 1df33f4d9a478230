"""A namespace (the double), a container (Azurite) and collectors of both, for tests."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from azure.storage.blob.aio import ContainerClient

from ingest.schema.errors import SkytrailError
from ingest.transports.contract import Place
from ingest.transports.event_hubs.settings import EventHubsSettings
from ingest.transports.event_hubs.transport import EventHubs, open_transport
from tests.azurite import Azurite
from tests.doubles.event_hubs.server import Server

HUB = "activity"
GROUP = "skytrail"


@dataclass(slots=True)
class Site:
    """Where collectors of tests live.

    Attributes:
        warned: What they told.
    """

    server: Server
    azurite: Azurite
    directory: Path
    container: str = field(default_factory=lambda: f"checkpoints-{uuid.uuid4().hex}")
    warned: list[SkytrailError] = field(default_factory=list)

    async def make_container(self) -> None:
        async with self.client() as client:
            await client.create_container()

    def client(self) -> ContainerClient:
        return ContainerClient.from_connection_string(self.azurite.connection_string, self.container)

    def settings(self, **changes: object) -> EventHubsSettings:
        hub, storage = self.directory / "hub", self.directory / "storage"
        hub.write_text(self.server.connection_string)
        storage.write_text(self.azurite.connection_string)
        values: dict[str, object] = {
            "event_hub": HUB,
            "consumer_group": GROUP,
            "checkpoint_container_url": f"{self.azurite.account_url}/{self.container}",
            "connection_string_file": hub,
            "checkpoint_connection_string_file": storage,
            "load_balancing_interval_s": 0.5,
            "ownership_expiry_s": 4,
            "checkpoint_interval_s": 0.2,
        }
        return EventHubsSettings.model_validate({**values, **changes})

    async def open(self, name: str = "hub", **changes: object) -> EventHubs:
        place = Place(name, self.directory, self.warned.append, lambda: dt.datetime.now(dt.UTC))
        return await open_transport(self.settings(**changes), place)

    async def checkpoints(self) -> dict[str, int]:
        """Sequence numbers of the checkpoints by partition."""
        async with self.client() as client:
            found = [blob async for blob in client.list_blobs(include=["metadata"])]
        return {
            blob.name.rpartition("/")[2]: int(blob.metadata["sequencenumber"])
            for blob in found
            if "/checkpoint/" in blob.name
        }


async def until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for: {what}"
        await asyncio.sleep(0.05)
