"""Sources of Azure for the fault tests: a collector reads what is put there, through services that answer badly."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import random
import sqlite3
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from azure.storage.blob.aio import ContainerClient

from tests.azurite import Azurite
from tests.doubles.event_hubs.hub import BUSY, Hub
from tests.doubles.event_hubs.server import Server, serving
from tests.faults.killing import REPEATED
from tests.ingest.transports.aws.faulty import Fault, Faulty, faulty

HUB = "activity"
PARTITIONS = 4
_SUBSCRIPTION = "/SUBSCRIPTIONS/5D0C1F7E-1111-4222-8333-444455556666/RESOURCEGROUPS/ORCHARD/PROVIDERS"
_BENIGN = ("MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE", "MICROSOFT.STORAGE/STORAGEACCOUNTS/WRITE")
_HOSTILE = "MICROSOFT.INSIGHTS/DIAGNOSTICSETTINGS/DELETE"


def activity(rng: random.Random, count: int) -> dict[str, bytes]:
    """Records of the Activity log by their ids; about one in twenty matches a rule."""
    now = dt.datetime.now(dt.UTC)
    return dict(_record(rng, now) for _ in range(count))


def _record(rng: random.Random, now: dt.datetime) -> tuple[str, bytes]:
    name = _HOSTILE if rng.random() < 0.05 else rng.choice(_BENIGN)
    own = str(uuid.UUID(int=rng.getrandbits(128)))
    moment = now - dt.timedelta(seconds=rng.randrange(1200))
    record = {
        "time": moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "1Z",
        "resourceId": f"{_SUBSCRIPTION}/{name.rpartition('/')[0]}/R{rng.randrange(50)}",
        "operationName": name,
        "category": "Administrative",
        "resultType": "Success",
        "resultSignature": "Succeeded.",
        "callerIpAddress": f"198.51.100.{rng.randrange(1, 255)}",
        "correlationId": str(uuid.UUID(int=rng.getrandbits(128))),
        "identity": {"claims": {"name": rng.choice(("Mara Quince", "Ida Pell"))}},
        "tenantId": "9a8b7c6d-aaaa-4bbb-8ccc-dddd0000eeee",
        "properties": {"eventCategory": "Administrative", "eventDataId": own},
    }
    return own, json.dumps(record, separators=(",", ":")).encode()


class _Stored:
    """What both have: a container, and a proxy before it."""

    def __init__(self, azurite: Azurite, client: ContainerClient, proxy: Faulty) -> None:
        self.client = client
        self.proxy = proxy
        self.behind = Azurite(int(proxy.endpoint.rpartition(":")[2]))
        self.direct = azurite

    def storage(self, directory: Path) -> tuple[str, str]:
        """Address of the container behind the proxy, and the file with its key."""
        file = directory / f"{self.client.container_name}.storage"
        file.write_text(self.behind.connection_string)
        return f"{self.behind.account_url}/{self.client.container_name}", str(file)


@contextlib.asynccontextmanager
async def _storing(azurite: Azurite) -> AsyncIterator[_Stored]:
    name = f"killed-{uuid.uuid4().hex}"
    with faulty(f"http://127.0.0.1:{azurite.port}") as proxy:
        async with ContainerClient.from_connection_string(azurite.connection_string, name) as client:
            await client.create_container()
            yield _Stored(azurite, client, proxy)


class EventHubWay:
    """An event hub whose events and links are repeated, detached and cut."""

    transport = "event_hubs"
    format = "azure.activitylogs"

    def __init__(self, server: Server, stored: _Stored) -> None:
        self._server = server
        self._stored = stored

    def records(self, rng: random.Random, count: int) -> dict[str, bytes]:
        return activity(rng, count)

    def settings(self, directory: Path) -> dict[str, Any]:
        url, storage = self._stored.storage(directory)
        file = directory / "hub.connection"
        file.write_text(self._server.connection_string)
        return {
            "event_hub": HUB,
            "consumer_group": "skytrail",
            "checkpoint_container_url": url,
            "connection_string_file": str(file),
            "checkpoint_connection_string_file": storage,
            "prefetch": 20,
            "batch_events": 5,
            "max_in_flight": 30,
            "checkpoint_interval_s": 0.2,
            "load_balancing_interval_s": 0.5,
            "ownership_expiry_s": 3,
        }

    async def put(self, number: int, records: Sequence[bytes]) -> None:
        for _ in range(2 if number % REPEATED == 0 else 1):
            self._server.hub.put(b'{"records":[' + b",".join(records) + b"]}", str(number % PARTITIONS))

    async def left(self) -> int:
        blobs = [blob async for blob in self._stored.client.list_blobs(include=["metadata"])]
        done = [int(blob.metadata["sequencenumber"]) + 1 for blob in blobs if "/checkpoint/" in blob.name]
        return sum(self._server.hub.next_sequence.values()) - sum(done)

    def trouble(self) -> None:
        faults = self._server.hub.faults
        faults.twice, faults.detach_after, faults.detaches = True, 7, 6
        faults.refuse_attach, faults.refusals = BUSY, 2
        self._server.drop_connections()
        self._stored.proxy.faults += [
            Fault("/ownership/", 2, 503, "ServerBusy"),
            Fault("/checkpoint/", 3, 500, "InternalError"),
            Fault("/checkpoint/", 2, 500, "OperationTimedOut", kind="applied"),
        ]


class GrowingBlobsWay:
    """Append blobs that grow in steps which end in the middle of records."""

    transport = "azure_blob"
    format = "azure.activitylogs"

    def __init__(self, stored: _Stored) -> None:
        self._stored = stored
        self._marks: Path | None = None

    def records(self, rng: random.Random, count: int) -> dict[str, bytes]:
        return activity(rng, count)

    def settings(self, directory: Path) -> dict[str, Any]:
        url, storage = self._stored.storage(directory)
        self._marks = directory / f"{self._stored.client.container_name}.sqlite"
        return {
            "container_url": url,
            "connection_string_file": storage,
            "checkpoint_file": str(self._marks),
            "poll_interval_s": 0.2,
        }

    async def put(self, number: int, records: Sequence[bytes]) -> None:
        blob = self._stored.client.get_blob_client(f"resourceId=/R/y=2026/m=11/d=26/h={number % 16:02}/m=00/PT1H.json")
        if not await blob.exists():
            await blob.create_append_blob()
        body = b"".join(record + b"\r\n" for record in records) * (2 if number % REPEATED == 0 else 1)
        middle = len(body) // 2
        await blob.append_block(body[:middle])
        await blob.append_block(body[middle:])

    async def left(self) -> int:
        there = sum([blob.size async for blob in self._stored.client.list_blobs()])
        if self._marks is None or not self._marks.exists():
            return there
        with contextlib.closing(sqlite3.connect(self._marks)) as marks:
            try:
                return there - int(marks.execute("SELECT coalesce(sum(offset), 0) FROM blobs").fetchone()[0])
            except sqlite3.OperationalError:
                return there  # the collector is only making the table

    def trouble(self) -> None:
        self._stored.proxy.faults += [
            Fault("comp=list", 3, 503, "ServerBusy"),
            Fault("PT1H.json", 4, 503, "ServerBusy"),
            Fault("comp=list", 1, 500, "InternalError"),
        ]


@contextlib.asynccontextmanager
async def event_hubs(azurite: Azurite) -> AsyncIterator[EventHubWay]:
    """A hub (the double) with checkpoints in Azurite."""
    async with serving(Hub(HUB, PARTITIONS)) as server, _storing(azurite) as stored:
        yield EventHubWay(server, stored)


@contextlib.asynccontextmanager
async def azure_blob(azurite: Azurite) -> AsyncIterator[GrowingBlobsWay]:
    """A container of Azurite."""
    async with _storing(azurite) as stored:
        yield GrowingBlobsWay(stored)
