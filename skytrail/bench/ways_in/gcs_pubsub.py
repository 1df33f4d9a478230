"""Objects of Cloud Storage that a subscription announces, beside a streaming pull whose callback downloads each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from google.cloud.pubsub_v1.subscriber.message import Message

from ingest.transports.contract import Place, Transport
from ingest.transports.gcs_pubsub.settings import GcsPubSubSettings
from ingest.transports.gcs_pubsub.transport import open_transport
from skytrail.bench.cloud_storage import BUCKET, Objects, objects
from skytrail.bench.collecting import Load
from skytrail.bench.pubsub_server import Given
from skytrail.bench.subscriptions import Subscriptions, subscriptions

_AT_ONCE = 4  # as the transport's fetch_ahead


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Announced]:
    """A bucket with an object per body, and a server that announces them as notifications of a bucket do."""
    async with objects(load) as found, subscriptions(list(_notifications(found))) as announced:
        yield Announced(found, announced)


def _notifications(found: Objects) -> Iterator[Given]:
    for blob in found.blobs:
        attributes = {
            "eventType": "OBJECT_FINALIZE",
            "payloadFormat": "JSON_API_V1",
            "bucketId": BUCKET,
            "objectId": blob.name,
            "objectGeneration": str(blob.generation),
        }
        resource = {"bucket": BUCKET, "name": blob.name, "size": str(blob.size), "crc32c": blob.crc32c}
        yield Given(json.dumps(resource).encode(), attributes)


class Announced:
    """See `Source`."""

    sdk = "google-cloud-pubsub, google-cloud-storage"

    def __init__(self, found: Objects, announced: Subscriptions) -> None:
        self._objects = found
        self._subscriptions = announced
        self.size = found.size

    async def fill(self) -> None:
        """See `Source.fill`."""
        await self._subscriptions.renew()

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        settings = GcsPubSubSettings(
            **self._subscriptions.settings(), storage_endpoint=self._objects.address, fetch_ahead=_AT_ONCE
        )
        return await open_transport(settings, place)

    async def alone(self) -> int:
        """See `Source.alone`."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> int:
        own = threading.local()  # a client's session is not for several threads
        clients: list[Any] = []

        def take(message: Message) -> int:
            if not hasattr(own, "client"):
                own.client = self._objects.client()
                clients.append(own.client)
            told = message.attributes
            blob = own.client.bucket(told["bucketId"]).blob(told["objectId"], generation=int(told["objectGeneration"]))
            return len(blob.download_as_bytes())

        taken = self._subscriptions.pull(take, self.size, _AT_ONCE)
        for client in clients:
            client.close()
        return taken
