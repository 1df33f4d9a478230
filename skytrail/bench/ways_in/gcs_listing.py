"""Objects of Cloud Storage that are listed, beside list_blobs and download_as_bytes in a loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ingest.transports.contract import Place, Transport
from ingest.transports.gcs_listing.settings import GcsListingSettings
from ingest.transports.gcs_listing.transport import open_transport
from skytrail.bench.cloud_storage import BUCKET, Objects, objects
from skytrail.bench.collecting import Load


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Listed]:
    """A bucket with an object per body."""
    async with objects(load) as found:
        yield Listed(found)


class Listed:
    """See `Source`."""

    sdk = "google-cloud-storage"

    def __init__(self, found: Objects) -> None:
        self._objects = found
        self.size = found.size

    async def fill(self) -> None:
        """Nothing: reading does not empty it."""

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        settings = GcsListingSettings(bucket=BUCKET, storage_endpoint=self._objects.address, once=True)
        return await open_transport(settings, place)

    async def alone(self) -> int:
        """See `Source.alone`."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> int:
        client = self._objects.client()
        taken = sum(len(blob.download_as_bytes()) for blob in client.list_blobs(BUCKET))
        client.close()
        return taken
