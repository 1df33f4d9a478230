"""A partition with an event a record, beside the SDK's consumer, which notes its progress in the same store.

The hub is the double that the tests have of the service's protocol, started as a process of its own: Microsoft has no
server of it that is installed as a package. The store is Azurite.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob.aio import ContainerClient

from ingest.schema.errors import ConfigError
from ingest.transports.contract import Place, Transport
from ingest.transports.event_hubs.settings import EventHubsSettings
from ingest.transports.event_hubs.transport import open_transport
from skytrail.bench.azure import Storage, storage
from skytrail.bench.collecting import Load
from skytrail.bench.processes import listening
from skytrail.local.ports import any_free

_HUB = "bench"
_GROUP = "$default"
_CLONE = Path(__file__).parents[3]
_AT_ONCE = 500
_LOOK_S = 0.5


@contextlib.asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Partition]:
    """A hub that holds the records.

    Raises:
        ConfigError: The double is not here, or Azurite is not.
    """
    if not (_CLONE / "tests" / "doubles" / "event_hubs" / "__main__.py").exists():
        raise ConfigError(
            "looking for an event hub: the double of the tests is not installed", mend="run this in a clone"
        )
    port = any_free()
    async with storage() as account:
        with tempfile.TemporaryDirectory() as folder:
            events = Path(folder) / "events"
            events.write_bytes(b"".join(load.lines))
            connection = Path(folder) / "connection"
            key = "SharedAccessKeyName=listen;SharedAccessKey=c2VjcmV0"
            connection.write_text(f"Endpoint=sb://127.0.0.1:{port};{key};UseDevelopmentEmulator=true")
            double = (sys.executable, "-m", "tests.doubles.event_hubs", _HUB, str(port), str(events))
            async with listening(double, port, directory=_CLONE):
                yield Partition(account, connection, load.size)


class Partition:
    """See `Source`; each run has a store of its own, so that one filling is enough."""

    sdk = "azure-eventhub"

    def __init__(self, account: Storage, connection: Path, size: int) -> None:
        self._account = account
        self._connection = connection
        self._container = ""
        self.size = size

    async def fill(self) -> None:
        """Make a store without progress."""
        self._container = f"bench-{uuid.uuid4().hex[:8]}"
        async with self._store() as store:
            await store.create_container()

    async def open(self, place: Place) -> Transport:
        """See `Source.open`."""
        settings = EventHubsSettings(
            event_hub=_HUB,
            consumer_group=_GROUP,
            connection_string_file=self._connection,
            checkpoint_container_url=f"{self._account.url}/{self._container}",
            checkpoint_connection_string_file=self._account.connection_string_file,
            load_balancing_interval_s=_LOOK_S,
        )
        return await open_transport(settings, place)

    async def alone(self) -> int:
        """See `Source.alone`."""
        taken = 0
        done = asyncio.Event()

        async def take(partition: Any, events: Sequence[Any]) -> None:
            nonlocal taken
            taken += sum(len(b"".join(event.body)) for event in events)
            if taken >= self.size:
                await partition.update_checkpoint(events[-1])
                done.set()

        async with self._store() as container:
            client = EventHubConsumerClient.from_connection_string(
                self._connection.read_text(),
                _GROUP,
                eventhub_name=_HUB,
                checkpoint_store=BlobCheckpointStore("", "", container_client=container),
                load_balancing_interval=_LOOK_S,
            )
            receiving = asyncio.create_task(
                client.receive_batch(take, max_batch_size=_AT_ONCE, max_wait_time=0.2, starting_position="-1")
            )
            await done.wait()
            await client.close()
            await receiving
        return taken

    def _store(self) -> ContainerClient:
        return ContainerClient.from_connection_string(self._account.connection_string, self._container)
