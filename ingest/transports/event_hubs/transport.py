"""Azure Event Hubs: events as diagnostic settings and others send them.

Bodies:   One event's bytes. Neighbours in a partition that are a line of JSON each, as diagnostic settings send them,
          travel as one body, whose origin names the first and the last number.
Delivery: at least once. A checkpoint (in Blob Storage, every `checkpoint_interval_s` and at the end) says up to which
          event all are acknowledged. After a crash or a rebalance the events behind it come again.
Sharing:  Processes of one collector share the partitions of a consumer group; the SDK balances them by leases in the
          container. Another collector with the same group and container is refused; a reader with checkpoints elsewhere
          that takes our partitions ends this collector with `SourceRefused`.
Gaps:     Numbers of events are consecutive in a partition: when some are gone (the hub's retention), it is told. So is
          a hub that was deleted and made anew; it is read from its beginning.
Bounds:   At most `max_in_flight` events and `max_in_flight_bytes` are taken over; beyond them no credit is given, and
          per partition up to twice `prefetch` events wait in the SDK.
https://learn.microsoft.com/azure/event-hubs/event-processor-balance-partition-load
Tests:    tests/ingest/transports/event_hubs/
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from azure.eventhub import CloseReason, EventData
from azure.eventhub.aio import PartitionContext
from azure.eventhub.amqp import AmqpMessageBodyType

from ingest.backoff import Backoff
from ingest.schema.envelope import Origin
from ingest.schema.errors import SkytrailError, SourceRefused
from ingest.transports.contract import Place
from ingest.transports.event_hubs.client import Hub, open_hub
from ingest.transports.event_hubs.opening import Opening, made_anew
from ingest.transports.event_hubs.partition import Partition
from ingest.transports.event_hubs.settings import EventHubsSettings
from ingest.transports.event_hubs.troubles import Refusals, is_theft, lost, named, store_trouble, taken
from ingest.transports.messages.delivery import MessageDelivery
from ingest.transports.messages.runs import cut_runs, joined
from ingest.transports.telling import Told

_NAME = "event_hubs"
_SAVE_S = 10.0  # the longest that a checkpoint may take when the collector ends
_END_S = 20.0
# What the SDK logs reaches us as errors as well; without this it would be printed beside them.
logging.getLogger("azure").addHandler(logging.NullHandler())


async def open_transport(settings: EventHubsSettings, place: Place) -> EventHubs:
    """Look at the hub and the container, claim the consumer group and begin.

    Raises:
        ConfigError: The hub, the container or the group refuse us.
    """
    hub = open_hub(settings, place)
    transport = EventHubs(hub, settings, place)
    try:
        await transport.start()
    except BaseException:
        await hub.close()
        raise
    return transport


class _Run:
    """One time that a partition is read, from the attach to the detach.

    Args:
        partition: Its progress, which outlives the run.
        behind: What its checkpoint said when the run began; None: there was none.
    """

    def __init__(self, partition: Partition, behind: int | None) -> None:
        self.partition = partition
        self.open = True
        self.attached = False
        self._behind = behind
        self._given = False

    def is_of_another_hub(self, first: int) -> bool:
        """Whether an event lies before the place behind which it is the first to be given.

        At first that is the checkpoint with which the run began, whatever was saved since; later what was given last,
        which is no less than what is saved.
        """
        attached, self.attached = self.attached, False
        behind = self.partition.saved if self._given else self._behind
        self._given = True
        return attached and behind is not None and first <= behind


class _Waiting(NamedTuple):
    """A delivery that nobody took yet; `release` gives back its room."""

    partition: Partition
    delivery: MessageDelivery
    release: Callable[[], None]


class EventHubs:
    """Reads the partitions of one consumer group that this process owns."""

    def __init__(self, hub: Hub, settings: EventHubsSettings, place: Place) -> None:
        self._hub = hub
        self._settings = settings
        self._place = place
        self._runs: dict[str, _Run] = {}
        self._ready: deque[_Waiting] = deque()
        self._held_events = 0
        self._held_bytes = 0
        self._wake = asyncio.Event()
        self._freed = asyncio.Event()
        self._closing = False
        self._broken: SkytrailError | None = None
        self._refusals = Refusals()
        self._thefts = Refusals()
        self._told = Told()
        self._saving: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: list[asyncio.Task[None]] = []
        self._opening = Opening(hub, place.name, at_end=settings.start == "latest", warn=place.warn)

    async def start(self) -> None:
        """Begin to read.

        Raises:
            ConfigError: The hub, the container or the group refuse us.
        """
        self._hub.client.watcher = self
        patience = Backoff(first_s=1.0, cap_s=30.0, alarm_after_s=0.0, on_alarm=lambda error, _: self._tell(error))
        await patience.forever(self._look)
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._save_in_turn())]

    async def deliveries(self) -> AsyncIterator[MessageDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        while not self._closing:
            self._wake.clear()
            if self._ready:
                yield self._ready.popleft().delivery
            elif self._broken is not None:
                raise self._broken
            else:
                await self._wake.wait()

    async def close(self) -> None:
        """See `Transport.close`: the checkpoints say what was acknowledged, the partitions are free at once."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        self._freed.set()
        for run in self._runs.values():
            run.open = False
        with contextlib.suppress(TimeoutError):  # a hub that is away can't be told; its leases run out
            async with asyncio.timeout(_END_S):
                await self._hub.client.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._ready.clear()
        await self._hub.close()

    async def _look(self) -> None:
        """Ask the hub and the container whether they will have us."""
        try:
            await self._opening.open()
        except (SkytrailError, asyncio.CancelledError):
            raise
        except Exception as exc:
            raise named(exc, self._hub.name, self._hub.container_url) from exc

    def attached(self, partition: str) -> None:
        """See `Watcher.attached`."""
        self._refusals.clear(partition)
        if run := self._runs.get(partition):
            run.attached = True

    async def refused(self, partition: str, error: Exception) -> None:
        """See `Watcher.refused`; a refusal that goes on ends the collector."""
        now = asyncio.get_running_loop().time()
        trouble = named(error, f"{self._hub.name}/{partition}".rstrip("/"), self._hub.container_url)
        if isinstance(trouble, SourceRefused) and self._refusals.note(partition, now):
            self._end(trouble)
        else:
            self._tell(trouble)

    async def _read(self) -> None:
        try:
            await self._hub.client.receive_batch(
                self._take,
                max_batch_size=self._settings.prefetch,
                prefetch=self._settings.prefetch,
                starting_position="-1",  # of a partition without a checkpoint: it is new, or all of it is wanted
                on_error=self._on_error,
                on_partition_initialize=self._on_open,
                on_partition_close=self._on_close,
            )
        except Exception as exc:  # noqa: BLE001 - as above; ends the collector, with its name
            self._end(named(exc, self._hub.name, self._hub.container_url))

    async def _on_open(self, context: PartitionContext) -> None:
        """A partition is about to be read from its checkpoint on."""
        name = context.partition_id
        checkpoint = self._hub.checkpoints.sequences.get(name)
        before = self._runs.get(name)
        partition = before.partition if before else Partition(name)
        if partition.last is None or (checkpoint is not None and checkpoint > partition.last):
            partition = Partition(name, last=checkpoint, saved=checkpoint)  # another process went on meanwhile
        self._runs[name] = _Run(partition, checkpoint)

    async def _take(self, context: PartitionContext, events: list[EventData]) -> None:
        """Events of a partition; returns when there is room for more. Raises nothing: the SDK would repeat for ever."""
        run = self._runs[context.partition_id]
        sequences = [event.sequence_number or 0 for event in events]
        if sequences and run.is_of_another_hub(sequences[0]):
            self._end(made_anew(f"{self._hub.name}/{context.partition_id}"))  # the next start begins with it anew
            return
        for places in run.partition.new_runs(sequences):
            bodies = [_bytes_of(events[place]) for place in places]
            for cut in cut_runs(bodies, self._settings.batch_events, self._settings.batch_bytes):
                part = [events[place] for place in places[cut]]
                body = joined(bodies[cut])
                while run.open and self._full(len(part), len(body)):
                    self._freed.clear()
                    await self._freed.wait()
                if not run.open:
                    return
                self._deliver(run.partition, part, body)

    def _full(self, events: int, size: int) -> bool:
        if not self._held_events:
            return False
        beyond = self._held_events + events > self._settings.max_in_flight
        return beyond or self._held_bytes + size > self._settings.max_in_flight_bytes

    def _deliver(self, partition: Partition, events: list[EventData], body: bytes) -> None:
        first, last = events[0].sequence_number or 0, events[-1].sequence_number or 0
        where = f"{self._hub.name}/{partition.name}"
        missing = partition.missing(first)
        if missing:
            self._place.warn(lost(where, first - missing, missing))
        reach = partition.deliver(last, events[-1].offset or "")
        numbers = str(first) if first == last else f"{first}-{last}"
        origin = Origin(transport=_NAME, locator=f"{where}/{numbers}", version=events[0].offset or "")
        self._held_events += len(events)
        self._held_bytes += len(body)

        def release() -> None:
            self._held_events -= len(events)
            self._held_bytes -= len(body)
            self._freed.set()

        def settled() -> None:
            partition.settle(reach)
            release()

        def returned(delivery: MessageDelivery) -> None:
            self._ready.append(_Waiting(partition, delivery, release))
            self._wake.set()

        def given_up(reason: str) -> None:
            self._place.warn(SourceRefused(f"collecting event: given up: {reason}", where=origin.locator))
            settled()

        returned(
            MessageDelivery(
                origin, body, self._place.clock(), on_settled=settled, on_returned=returned, on_given_up=given_up
            )
        )

    async def _on_close(self, context: PartitionContext, reason: CloseReason) -> None:
        """A partition is not read any longer: the link broke, another process took it, or we end."""
        run = self._runs.get(context.partition_id)
        if run is None:
            return
        run.open = False
        self._freed.set()
        ours = reason is CloseReason.SHUTDOWN or await self._is_ours(run.partition.name)
        if ours:
            await self._save(run.partition)
            return
        # Another process goes on from our last checkpoint: what still waits here it delivers as well.
        del self._runs[context.partition_id]
        for waiting in tuple(self._ready):
            if waiting.partition is run.partition:
                self._ready.remove(waiting)
                waiting.release()

    async def _is_ours(self, partition: str) -> bool:
        try:
            return await self._hub.checkpoints.is_ours(self._hub.place, partition)
        except Exception as exc:  # noqa: BLE001 - as in `_save_now`
            self._tell(store_trouble(exc, self._hub.container_url))
            return True  # nobody can have taken it there while nobody can write there

    async def _on_error(self, context: PartitionContext | None, error: Exception) -> None:
        """The SDK gave up reading a partition, or looking at who reads which; it will try again."""
        partition = context.partition_id if context else ""
        if not is_theft(error):
            await self.refused(partition, error)
        elif await self._is_ours(partition):  # else a process of this collector took its share
            trouble = taken(f"{self._hub.name}/{partition}", self._settings.consumer_group, self._hub.container_url)
            if self._thefts.note(partition, asyncio.get_running_loop().time()):
                self._end(trouble)
            else:
                self._tell(trouble)

    def _end(self, trouble: SkytrailError) -> None:
        if not self._closing and self._broken is None:
            self._broken = trouble
            self._wake.set()

    def _tell(self, trouble: SkytrailError) -> None:
        if self._told.is_news(trouble, asyncio.get_running_loop().time()):
            self._place.warn(trouble)

    async def _save_in_turn(self) -> None:
        while True:
            await asyncio.sleep(self._settings.checkpoint_interval_s)
            for run in tuple(self._runs.values()):
                if run.open:
                    await self._save(run.partition)

    async def _save(self, partition: Partition) -> None:
        """Write the checkpoint of a partition; what can't be written is repeated after a restart, never skipped."""
        async with self._saving[partition.name]:  # a slow older one must not come after a newer one
            await self._save_now(partition)

    async def _save_now(self, partition: Partition) -> None:
        reach = partition.unsaved
        if reach is None:
            return
        host, hub, group = self._hub.place
        checkpoint: dict[str, Any] = {
            "fully_qualified_namespace": host,
            "eventhub_name": hub,
            "consumer_group": group,
            "partition_id": partition.name,
            "offset": reach.offset,
            "sequence_number": reach.sequence,
        }
        try:
            async with asyncio.timeout(_SAVE_S):
                await self._hub.checkpoints.update_checkpoint(checkpoint)
            partition.saved = reach.sequence
        except Exception as exc:  # noqa: BLE001 - the HTTP client has errors of its own; the next turn tries again
            self._tell(store_trouble(exc, self._hub.container_url))


def _bytes_of(event: EventData) -> bytes:
    """The body as sent; an AMQP value, which none of Azure's own logs are, as its text."""
    body: Any = event.body
    if event.body_type is AmqpMessageBodyType.DATA:
        return b"".join(body)
    return event.body_as_str().encode()
