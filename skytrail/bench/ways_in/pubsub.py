"""A subscription with an event a message, beside the SDK's streaming pull with a callback that acknowledges."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ingest.transports.contract import Place, Transport
from ingest.transports.pubsub.settings import PubSubSettings
from ingest.transports.pubsub.transport import open_transport
from skytrail.bench.collecting import Load
from skytrail.bench.pubsub_server import Given
from skytrail.bench.subscriptions import Subscriptions, subscriptions


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Messages]:
    """A server that has the records."""
    async with subscriptions([Given(line) for line in load.lines]) as found:
        yield Messages(found, load.size)


class Messages:
    """See `Source`."""

    sdk = "google-cloud-pubsub"

    def __init__(self, found: Subscriptions, size: int) -> None:
        self._subscriptions = found
        self.size = size

    async def fill(self) -> None:
        """See `Source.fill`."""
        await self._subscriptions.renew()

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        return await open_transport(PubSubSettings(**self._subscriptions.settings()), place)

    async def alone(self) -> int:
        """See `Source.alone`; one thread, as in the transport: several cost more."""
        return await asyncio.to_thread(self._subscriptions.pull, lambda message: len(message.data), self.size, 1)
