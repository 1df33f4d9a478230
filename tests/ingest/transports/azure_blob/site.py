"""A container (Azurite) and collectors of it, for tests."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.storage.blob.aio import ContainerClient

from ingest.schema.errors import SkytrailError
from ingest.transports.azure_blob.settings import AzureBlobSettings
from ingest.transports.azure_blob.transport import AzureBlob, open_transport
from ingest.transports.contract import Delivery, Place
from tests.azurite import Azurite

HOUR = "resourceId=/SUBSCRIPTIONS/1/y=2026/m=11/d=26/h=10/m=00/PT1H.json"
NEXT_HOUR = HOUR.replace("h=10", "h=11")


@dataclass(slots=True)
class Site:
    """Where collectors of tests live.

    Attributes:
        warned: What they told.
        ahead: How far the clock of the collectors is ahead.
    """

    azurite: Azurite
    directory: Path
    client: ContainerClient
    warned: list[SkytrailError] = field(default_factory=list)
    ahead: dt.timedelta = dt.timedelta()

    @classmethod
    def of(cls, azurite: Azurite, directory: Path) -> Site:
        name = f"insights-logs-{uuid.uuid4().hex}"
        return cls(azurite, directory, ContainerClient.from_connection_string(azurite.connection_string, name))

    def settings(self, **changes: object) -> AzureBlobSettings:
        file = self.directory / "storage"
        file.write_text(self.azurite.connection_string)
        values: dict[str, object] = {
            "container_url": f"{self.azurite.account_url}/{self.client.container_name}",
            "connection_string_file": file,
            "poll_interval_s": 0.1,
        }
        return AzureBlobSettings.model_validate({**values, **changes})

    async def open(self, *, limit: int = 256 * 1024 * 1024, **changes: object) -> AzureBlob:
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC) + self.ahead  # noqa: E731
        place = Place("blobs", self.directory, self.warned.append, clock, limit)
        return await open_transport(self.settings(**changes), place)

    async def append(self, data: bytes, name: str = HOUR) -> None:
        """Append to a blob, made where it is missing, as diagnostic settings do."""
        blob = self.client.get_blob_client(name)
        if not await blob.exists():
            await blob.create_append_blob()
        await blob.append_block(data)

    async def put(self, data: bytes, name: str) -> None:
        """Write a block blob as a whole."""
        await self.client.get_blob_client(name).upload_blob(data, overwrite=True)


class LooksEnded:
    """Counts how often a collector looked at its container, whether it was answered or refused."""

    def __init__(self, transport: AzureBlob) -> None:
        self.looks = 0
        self._more = asyncio.Condition()
        look = transport._look

        async def counted() -> AsyncIterator[Delivery]:
            try:
                async for delivery in look():
                    yield delivery
            finally:
                self.looks += 1
                async with self._more:
                    self._more.notify_all()

        transport._look = counted  # type: ignore[method-assign,assignment]

    async def reach(self, looks: int) -> None:
        """Wait until so many looks ended."""
        async with self._more:
            await self._more.wait_for(lambda: self.looks >= looks)


class Taking:
    """Takes what a transport delivers, one after the other; a pause does not end it.

    Attributes:
        bodies: Everything that was taken.
    """

    def __init__(self, iterator: AsyncIterator[Delivery], ended: LooksEnded) -> None:
        self.bodies: list[bytes] = []
        self._iterator = iterator
        self._ended = ended
        self._next: asyncio.Future[Delivery] | None = None

    async def next(self) -> Delivery:
        """The next delivery, in bounded time."""
        found = await asyncio.wait_for(asyncio.shield(self._coming()), 30)
        self._next = None
        self.bodies.append(found.body)
        return found

    async def quiet(self) -> bool:
        """Whether two more looks at the container end and nothing comes, however long they take."""
        coming, after = self._coming(), self._ended.looks + 2
        looks = asyncio.ensure_future(self._ended.reach(after))
        either: set[asyncio.Future[Any]] = {coming, looks}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        looks.cancel()
        assert coming.done() or self._ended.looks >= after, "the collector does not look"
        return not coming.done()

    def _coming(self) -> asyncio.Future[Delivery]:
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._iterator))
        return self._next


@asynccontextmanager
async def taking(there: Site, **changes: object) -> AsyncIterator[Taking]:
    """A collector that runs until the block ends."""
    transport = await there.open(**changes)  # type: ignore[arg-type]
    found = Taking(transport.deliveries(), LooksEnded(transport))
    try:
        yield found
    finally:
        await transport.close()
        if found._next is not None:
            await asyncio.gather(found._next, return_exceptions=True)


async def taken(there: Site, **changes: object) -> list[bytes]:
    """What a collector finds, acknowledged, until there is no more."""
    async with taking(there, **changes) as found:
        while not await found.quiet():
            await (await found.next()).acknowledge()
    return found.bodies
