"""Objects of Cloud Storage that are listed, beside list_blobs and download_as_bytes in a loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from ingest.transports.contract import Place, Transport
from ingest.transports.gcs_listing.settings import GcsListingSettings
from ingest.transports.gcs_listing.transport import open_transport
from skytrail.bench.collecting import Load
from skytrail.bench.processes import listening, program
from skytrail.local.ports import any_free

_BUCKET = "bench"


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Objects]:
    """A bucket with an object per body.

    Raises:
        ConfigError: fake-gcs-server is not installed.
    """
    server = program("fake-gcs-server", "`go install github.com/fsouza/fake-gcs-server@v1.56.1` installs it")
    port = any_free()
    address = f"http://127.0.0.1:{port}"
    where = ("-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port))
    names = ("-public-host", f"127.0.0.1:{port}", "-external-url", address, "-log-level", "error")
    async with listening((server, *where, *names), port):
        yield await asyncio.to_thread(Objects, address, load)


class Objects:
    """See `Source`."""

    sdk = "google-cloud-storage"

    def __init__(self, address: str, load: Load) -> None:
        self._address = address
        self.size = 0
        client = self._client()
        bucket = client.create_bucket(_BUCKET)
        for number, body in enumerate(load.bodies()):
            bucket.blob(f"{number:06}.json").upload_from_string(body)
            self.size += len(body)
        client.close()

    async def fill(self) -> None:
        """Nothing: reading does not empty it."""

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        settings = GcsListingSettings(bucket=_BUCKET, storage_endpoint=self._address, once=True)
        return await open_transport(settings, place)

    async def alone(self) -> int:
        """See `Source.alone`."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> int:
        client = self._client()
        taken = sum(len(blob.download_as_bytes()) for blob in client.list_blobs(_BUCKET))
        client.close()
        return taken

    def _client(self) -> Any:
        return storage.Client(
            project="bench",
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": self._address},
        )
