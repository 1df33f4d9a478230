"""Google's Cloud Storage on this machine for a measurement: fake-gcs-server, as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from skytrail.bench.collecting import Load
from skytrail.bench.processes import listening, program
from skytrail.local.ports import any_free

BUCKET: Final = "bench"


@dataclass(frozen=True, slots=True)
class Objects:
    """A bucket with an object per body.

    Attributes:
        address: Of the server.
        blobs: The objects as the SDK describes them, in order.
        size: Their bytes.
    """

    address: str
    blobs: tuple[Any, ...]
    size: int

    def client(self) -> Any:
        """A client of the SDK, made anew: making it is part of what is measured."""
        return _client(self.address)


@contextlib.asynccontextmanager
async def objects(load: Load) -> AsyncIterator[Objects]:
    """The bodies in a bucket of a server.

    Raises:
        ConfigError: fake-gcs-server is not installed.
        EngineError: It does not start.
    """
    server = program("fake-gcs-server", "`go install github.com/fsouza/fake-gcs-server@v1.56.1` installs it")
    port = any_free()
    address = f"http://127.0.0.1:{port}"
    where = ("-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port))
    names = ("-public-host", f"127.0.0.1:{port}", "-external-url", address, "-log-level", "error")
    async with listening((server, *where, *names), port):
        yield await asyncio.to_thread(_put, address, load)


def _put(address: str, load: Load) -> Objects:
    client = _client(address)
    bucket = client.create_bucket(BUCKET)
    blobs, size = [], 0
    for number, body in enumerate(load.bodies()):
        blob = bucket.blob(f"{number:06}.json")
        blob.upload_from_string(body)
        blobs.append(blob)
        size += len(body)
    client.close()
    return Objects(address, tuple(blobs), size)


def _client(address: str) -> Any:
    return storage.Client(
        project="bench",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": address},
    )
