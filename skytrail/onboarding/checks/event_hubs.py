"""Proves an event hub, its consumer group and the container of its checkpoints. Nothing is changed.

One partition is attached for a moment, without an epoch: a collector that reads it is not disturbed. That the container
can be written is not tried, and the diagnostic settings before the hub are not asked: the reader may not see them.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError
from azure.eventhub.exceptions import EventHubError

from ingest.schema.errors import SkytrailError
from ingest.transports.contract import Place
from ingest.transports.event_hubs.attaching import TellingClient
from ingest.transports.event_hubs.client import Hub, open_hub, reader_of
from ingest.transports.event_hubs.settings import EventHubsSettings
from ingest.transports.event_hubs.troubles import is_theft, named, store_trouble
from skytrail.diagnosis.check import Check
from skytrail.onboarding.proving import Asked, Plan, ProofStep

_FIRST_S = 1200.0  # minutes, says Microsoft, without a bound; a new diagnostic setting may need 90
_ATTACH_S = 20.0
_OLD = dt.timedelta(days=1)


@contextlib.asynccontextmanager
async def open_plan(asked: Asked) -> AsyncIterator[Plan]:
    """The steps for a collector of the transport event_hubs."""
    own = asked.settings.own
    assert isinstance(own, EventHubsSettings)
    place = Place(asked.name, Path(), lambda _error: None, asked.now)
    hub = open_hub(own, place)
    proof = _HubProof(hub, asked, lambda: reader_of(own, place, hub.identity))
    try:
        steps = [
            ProofStep("hub", proof.look),
            ProofStep("arrival in the hub", proof.filled, ("hub",)),
            ProofStep("consumer group", proof.attach, ("hub",)),
            ProofStep("checkpoints", proof.checkpoints),
        ]
        yield Plan(steps, _FIRST_S)
    finally:
        await hub.close()


class _HubProof:
    """What the hub and the container say of themselves."""

    def __init__(self, hub: Hub, asked: Asked, new_reader: Callable[[], TellingClient]) -> None:
        self._hub = hub
        self._asked = asked
        self._new_reader = new_reader
        self._partitions: list[str] = []
        self._ends: dict[str, int] = {}

    async def look(self) -> Iterable[Check]:
        """Whether the hub is there, and lets us in."""
        found: Any = await self._asking(self._hub.client.get_eventhub_properties())
        self._partitions = list(found["partition_ids"])
        return [Check("hub", "ok", f"{self._hub.name} has {len(self._partitions)} partitions")]

    async def filled(self) -> Iterable[Check]:
        """Whether somebody writes into it."""
        newest: dt.datetime | None = None
        for partition in self._partitions:
            found: Any = await self._asking(self._hub.client.get_partition_properties(partition))
            self._ends[partition] = int(found["last_enqueued_sequence_number"])
            if not found["is_empty"]:
                at = found["last_enqueued_time_utc"]
                newest = at if newest is None else max(newest, at)
        name = "arrival in the hub"
        if newest is None:
            mend = "do diagnostic settings send to this hub? A new one needs up to 90 minutes for its first event"
            return [Check(name, "warn", "it is empty", mend)]
        age = self._asked.now() - newest
        if age > _OLD:
            mend = (
                "do diagnostic settings still send to this hub? What they send does not pause for a day in most tenants"
            )
            return [Check(name, "warn", f"the newest event came {age / _OLD:.0f} days ago", mend)]
        return [Check(name, "ok", f"the newest event came {max(0.0, age.total_seconds()) / 60:.0f} minutes ago")]

    async def attach(self) -> Iterable[Check]:
        """Whether the consumer group is there and may be read."""
        name, group = "consumer group", self._hub.place[2]
        error = await self._attached(self._partitions[0])
        if error is None:
            return [Check(name, "ok", f"{group} can be read")]
        if is_theft(error):
            return [Check(name, "ok", f"{group} is being read, by a collector or by somebody else")]
        raise named(error, f"{self._hub.name}/{group}", self._hub.container_url)

    async def _attached(self, partition: str) -> Exception | None:
        """Read a partition from its end for a moment; why that is not possible."""
        reader, attempt = self._new_reader(), _Attempt()
        reader.watcher = attempt
        reading = asyncio.ensure_future(
            reader.receive(
                attempt.on_event, on_error=attempt.on_error, partition_id=partition, starting_position="@latest"
            )
        )
        try:
            async with asyncio.timeout(_ATTACH_S):
                return await attempt.ended
        except TimeoutError as exc:
            return exc
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await reader.close()

    async def checkpoints(self) -> Iterable[Check]:
        """Whether the container is there, and how far its checkpoints are behind."""
        try:
            await self._hub.container.get_container_properties()
            await self._hub.checkpoints.list_checkpoints(*self._hub.place)
        except AzureError as exc:
            raise store_trouble(exc, self._hub.container_url) from exc
        done = self._hub.checkpoints.sequences
        if not done:
            return [Check("checkpoints", "ok", f"{self._hub.container_url} can be read; there are none yet")]
        behind = sum(max(0, end - done.get(partition, -1)) for partition, end in self._ends.items())
        return [Check("checkpoints", "ok", f"{len(done)} partitions have one, {behind:,} events behind the hub")]

    async def _asking(self, call: Any) -> Any:
        try:
            return await asyncio.wait_for(call, _ATTACH_S)
        except (EventHubError, AzureError, TimeoutError) as exc:
            raise self._error(exc) from exc

    def _error(self, error: Exception) -> SkytrailError:
        return named(error, self._hub.name, self._hub.container_url)


class _Attempt:
    """Hears how an attempt to attach ends.

    Attributes:
        ended: Why it failed; None once it is attached.
    """

    def __init__(self) -> None:
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def attached(self, _partition: str) -> None:
        """See `Watcher.attached`."""
        self._end(None)

    async def refused(self, _partition: str, error: Exception) -> None:
        """See `Watcher.refused`."""
        self._end(error)

    async def on_error(self, _context: Any, error: Exception) -> None:
        """A theft is told only here."""
        self._end(error)

    async def on_event(self, _context: Any, _event: Any) -> None:
        """What comes is nobody's: nothing is acknowledged."""

    def _end(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(error)
