"""Subscriptions of a measurement: each run has one of its own, and has to acknowledge all of it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import msgspec
from google.cloud.pubsub_v1 import SubscriberClient
from google.cloud.pubsub_v1 import types as pubsub
from google.cloud.pubsub_v1.subscriber.message import Message
from google.cloud.pubsub_v1.subscriber.scheduler import ThreadScheduler
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from ingest.schema.errors import EngineError
from ingest.transports.google_cloud.settings import SubscriptionSettings
from skytrail.bench.processes import listening
from skytrail.bench.pubsub_server import UNACKNOWLEDGED, Given
from skytrail.local.ports import any_free

_PROJECT = "bench"


@contextlib.asynccontextmanager
async def subscriptions(messages: Sequence[Given]) -> AsyncIterator[Subscriptions]:
    """A server that gives each subscription these messages.

    Raises:
        EngineError: A run left messages unacknowledged.
    """
    port = any_free()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "messages"
        file.write_bytes(msgspec.msgpack.encode(messages))
        async with listening((sys.executable, "-m", "skytrail.bench.pubsub_server", str(port), str(file)), port):
            found = Subscriptions(f"127.0.0.1:{port}")
            yield found
            await found.renew()


class Subscriptions:
    """The subscription of this run.

    Args:
        address: host:port of the server.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._number = 0

    async def renew(self) -> None:
        """Let the next run have another one.

        Raises:
            EngineError: The last run left messages unacknowledged.
        """
        left = await asyncio.to_thread(self._left) if self._number else 0
        if left:
            raise EngineError(f"measuring: {left} messages were taken and not acknowledged")
        self._number += 1

    def settings(self) -> dict[str, Any]:
        """What a transport is told of it."""
        name = f"run-{self._number}"
        return {"project": _PROJECT, "subscription": name, "endpoint": self._address, "plaintext": True}

    def pull(self, take: Callable[[Message], int], size: int, threads: int) -> int:
        """Pull with the SDK alone until all is taken.

        Args:
            take: Makes bytes of a message; it is called in a thread, and the message is acknowledged after it.
            size: Bytes in all.
            threads: That call it.
        """
        taken = 0
        counting = threading.Lock()
        done = threading.Event()

        def each(message: Message) -> None:
            nonlocal taken
            brought = take(message)
            message.ack()
            with counting:
                taken += brought
            if taken >= size:
                done.set()

        like = SubscriptionSettings(**self.settings())
        client = self._client()
        pulling = client.subscribe(
            like.path,
            callback=each,
            flow_control=pubsub.FlowControl(like.max_outstanding_bytes, like.max_outstanding_messages),
            scheduler=ThreadScheduler(ThreadPoolExecutor(threads)),
            await_callbacks_on_shutdown=True,
        )
        done.wait()
        pulling.cancel()
        pulling.result()
        client.close()
        return taken

    def _left(self) -> int:
        client = self._client()
        found = client.get_subscription(subscription=SubscriptionSettings(**self.settings()).path)
        client.close()
        return int(found.labels[UNACKNOWLEDGED])

    def _client(self) -> SubscriberClient:
        return SubscriberClient(transport=SubscriberGrpcTransport(channel=grpc.insecure_channel(self._address)))
