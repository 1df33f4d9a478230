"""Block blobs of a container, beside listing and downloading them one after the other."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator

from azure.storage.blob.aio import ContainerClient

from ingest.transports.azure_blob.settings import AzureBlobSettings
from ingest.transports.azure_blob.transport import open_transport
from ingest.transports.contract import Place, Transport
from skytrail.bench.azure import Storage, storage
from skytrail.bench.collecting import Load


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Blobs]:
    """A container with a blob per body."""
    async with storage() as account:
        blobs = Blobs(account)
        await blobs.put(load)
        yield blobs


class Blobs:
    """See `Source`."""

    sdk = "azure-storage-blob"

    def __init__(self, account: Storage) -> None:
        self._account = account
        self._container = f"bench-{uuid.uuid4().hex[:8]}"
        self.size = 0

    async def put(self, load: Load) -> None:
        """Put the bodies once."""
        async with self._client() as client:
            await client.create_container()
            for number, body in enumerate(load.bodies()):
                await client.upload_blob(f"{number:06}.json", body)
                self.size += len(body)

    async def fill(self) -> None:
        """Nothing: reading does not empty it."""

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        settings = AzureBlobSettings(
            container_url=f"{self._account.url}/{self._container}",
            connection_string_file=self._account.connection_string_file,
        )
        return await open_transport(settings, place)

    async def alone(self) -> int:
        """See `Source.alone`."""
        taken = 0
        async with self._client() as client:
            async for name in client.list_blob_names():
                stream = await client.download_blob(name)
                taken += len(await stream.readall())
        return taken

    def _client(self) -> ContainerClient:
        return ContainerClient.from_connection_string(self._account.connection_string, self._container)
