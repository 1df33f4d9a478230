"""A Kinesis data stream: what CloudWatch Logs subscriptions write there, or anything else.

Delivery: at least once. The progress of each shard is kept in `<state>/checkpoints/<collector>.json` up to the first
          record that the brokers did not acknowledge, once a second; a crash repeats what came after.
Bodies:   The data of a record. Neighbours in a shard that are a line of JSON each travel as one body, whose origin
          names first and last sequence number. The gzip of a CloudWatch Logs subscription is a body of its own.
          Records that the Kinesis Producer Library put into one are taken apart first; the whole comes again when a
          crash hits it between two bodies. Partition keys are not kept.
Shards:   Split and merged shards are read to their end, and are acknowledged, before their children begin.
Loss:     Records that expired before they were read can't be counted; that there may be some is told, before it
          happens (half of the retention behind) and after.
Bounded:  About 64 MiB of records lie ready, 8 MiB of a shard; then shards are not read.
          https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
Tests:    tests/ingest/transports/kinesis/, on kinesalite and moto
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ingest.schema.envelope import Origin
from ingest.schema.errors import SkytrailError, SourceRefused, SourceUnavailable
from ingest.transports.aws.calls import AwsCalls
from ingest.transports.aws.patience import Patience
from ingest.transports.aws.saving import Saving
from ingest.transports.contract import Place
from ingest.transports.kinesis.checkpoint import Checkpoint, Mark
from ingest.transports.kinesis.lineage import Shard, readable, shard_of
from ingest.transports.kinesis.opening import Opened, describe, overtaken, resume
from ingest.transports.kinesis.settings import KinesisSettings
from ingest.transports.kinesis.shard import Batch, Record, ShardReader
from ingest.transports.messages.delivery import MessageDelivery
from ingest.transports.messages.progress import Progress
from ingest.transports.messages.runs import cut_runs, joined

_NAME = "kinesis"
_CALLS = 8  # shards read at once
_AHEAD_BYTES = 64 * 1024 * 1024
_AHEAD_SHARD_BYTES = 8 * 1024 * 1024
_READ_INTERVAL_S = 0.2  # AWS allows five reads a second and shard
_NOTE_REST_EVERY = dt.timedelta(seconds=60)
_PAUSE = dt.timedelta(seconds=60)
"""Between two reads. Who reads on without one can be at the very edge of what is kept, as at a first start."""


async def open_transport(settings: KinesisSettings, place: Place, patience: Patience | None = None) -> Kinesis:
    """Open the stream.

    Raises:
        SourceUnavailable: AWS does not answer.
        SourceRefused: There is no such stream, or we may not read it.
        ConfigError: The checkpoint can't be read, or is that of another stream.
    """
    if settings.stream.startswith("arn:") and not settings.region:
        settings = settings.model_copy(update={"region": settings.stream.split(":")[3]})
    checkpoint = Checkpoint(place.state_dir / "checkpoints" / f"{place.name}.json")
    calls = AwsCalls(settings, threads=_CALLS)
    try:
        opened = await describe(calls, settings)
        resume(checkpoint, opened, settings, place)
    except SkytrailError:
        await calls.close()
        raise
    return Kinesis(settings, place, calls, opened, checkpoint, patience or Patience(place.warn))


@dataclass(slots=True, eq=False)
class _Reading:
    """A shard that is read.

    Attributes:
        waiting: Bodies that were read and not yet delivered.
        held: Their bytes.
        ended: It is read to its end.
        told_behind: People know that it lags.
        reached_at: All that arrived before this time was read, or is told to be gone; None before the first read.
        read_at: When that was.
    """

    shard: str
    progress: Progress[Mark] = field(default_factory=Progress)
    waiting: int = 0
    held: int = 0
    ended: bool = False
    told_behind: bool = False
    reached_at: dt.datetime | None = None
    read_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class _Run:
    """Records of one shard, without a gap, that are one body."""

    of: _Reading
    records: Sequence[Record]

    @property
    def size(self) -> int:
        return sum(len(record.data) for record in self.records)


class Kinesis:
    """See the module."""

    def __init__(
        self,
        settings: KinesisSettings,
        place: Place,
        calls: AwsCalls,
        opened: Opened,
        checkpoint: Checkpoint,
        patience: Patience,
    ) -> None:
        self._settings = settings
        self._place = place
        self._calls = calls
        self._opened = opened
        self._checkpoint = checkpoint
        self._patience = patience
        self._readings: dict[str, _Reading] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._saving = Saving(checkpoint.save, checkpoint.file, place.warn)
        self._broken: BaseException | None = None
        self._ready: deque[_Run] = deque()
        self._again: deque[MessageDelivery] = deque()
        self._held = 0
        self._wake = asyncio.Event()
        self._freed = asyncio.Event()
        self._look = asyncio.Event()
        self._closing = False

    async def deliveries(self) -> AsyncIterator[MessageDelivery]:
        """See `Transport.deliveries`; never ends by itself."""
        self._saving.start()
        self._start(self._watch_shards())
        while not self._closing:
            self._wake.clear()
            if self._broken is not None:
                raise self._broken
            if self._again:
                yield self._again.popleft()
            elif self._ready:
                yield self._delivery_of(self._ready.popleft())
            else:
                await self._wake.wait()

    async def close(self) -> None:
        """See `Transport.close`: what is acknowledged is kept in the checkpoint."""
        self._closing = True
        self._wake.set()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._saving.close()
        await self._calls.close()

    async def _watch_shards(self) -> None:
        """Begin to read every shard that may be read, now and whenever one ends."""
        while True:
            self._look.clear()
            shards = await self._patience.forever(self._list_shards)
            self._forget_gone({shard.id for shard in shards})
            for shard in readable(shards, self._checkpoint.shards):
                if shard not in self._readings:
                    self._readings[shard] = _Reading(shard)
                    self._start(self._follow(self._readings[shard]))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), self._settings.discover_interval_s)

    async def _list_shards(self) -> list[Shard]:
        found: list[Shard] = []
        asked = self._opened.named
        while True:
            answer: Mapping[str, Any] = await self._calls(
                "kinesis", "list_shards", where=self._where(), needs="Shards", **asked
            )
            found += map(shard_of, answer["Shards"])
            if not (token := answer.get("NextToken")):
                return found
            asked = {"NextToken": token}  # and no name beside it, says AWS

    def _forget_gone(self, known: set[str]) -> None:
        """Drop the marks of shards that expired; one that was not read to its end has lost records."""
        for shard, mark in tuple(self._checkpoint.shards.items()):
            if shard in known or shard in self._readings:
                continue
            if not mark.done:
                what = "reading shard: it was closed and expired before it was read to its end"
                mend = "what it held is lost at the source: do not stop this collector for longer than the stream keeps"
                self._place.warn(SourceUnavailable(what, where=self._where(shard), mend=mend))
            self._checkpoint.forget(shard)

    async def _follow(self, reading: _Reading) -> None:
        """Read a shard to its end."""
        loop = asyncio.get_running_loop()
        mark = self._checkpoint.shards.get(reading.shard)
        reader = ShardReader(
            self._calls,
            self._opened.named,
            reading.shard,
            after=mark.sequence if mark else "",
            start_at=self._checkpoint.start_at,
            where=self._where(reading.shard),
        )
        while not reading.ended:
            await self._wait_for_room(reading)
            began, asked_at = loop.time(), self._place.clock()
            batch = await self._patience.forever(reader.next)
            self._tell_overtaken(reading, batch)
            self._take(reading, batch, asked_at)
            pause = _READ_INTERVAL_S if batch.behind_s else self._settings.poll_interval_s
            await asyncio.sleep(0 if batch.last else began + pause - loop.time())

    async def _wait_for_room(self, reading: _Reading) -> None:
        while reading.held >= _AHEAD_SHARD_BYTES or self._held >= _AHEAD_BYTES:
            self._freed.clear()
            await self._freed.wait()

    def _take(self, reading: _Reading, batch: Batch, asked_at: dt.datetime) -> None:
        bodies = [record.data for record in batch.records]
        for cut in cut_runs(bodies, self._settings.batch_messages, self._settings.batch_bytes):
            run = _Run(reading, batch.records[cut])
            self._ready.append(run)
            self._hold(reading, 1, run.size)
        self._tell_behind(reading, dt.timedelta(seconds=batch.behind_s))
        if not (batch.records or batch.behind_s or reading.waiting or reading.progress.unsettled):
            self._note_rest(reading, asked_at)
        reading.ended = batch.last
        self._conclude(reading)
        self._wake.set()

    def _hold(self, reading: _Reading, bodies: int, size: int) -> None:
        reading.waiting += bodies
        reading.held += size
        self._held += size

    def _note_rest(self, reading: _Reading, now: dt.datetime) -> None:
        """Nothing had arrived that is not acknowledged: an idle shard must not look like one that was not read."""
        mark = self._checkpoint.shards.get(reading.shard)
        if mark is None or now - mark.reached_at >= _NOTE_REST_EVERY:
            mark = mark or Mark(reached_at=now)
            self._checkpoint.put(reading.shard, msgspec.structs.replace(mark, reached_at=now))

    def _tell_overtaken(self, reading: _Reading, batch: Batch) -> None:
        """Perhaps the shard was not read for so long (our brokers or AWS were away) that records expired meanwhile."""
        if not batch.answered:
            return
        now = self._place.clock()
        horizon = now - self._opened.retention
        if reading.reached_at is not None and reading.read_at is not None:
            paused = now - reading.read_at > _PAUSE
            if paused and reading.reached_at < horizon:
                self._place.warn(overtaken(reading.reached_at, horizon, self._where(reading.shard)))
        reading.reached_at, reading.read_at = now - dt.timedelta(seconds=batch.behind_s), now

    def _tell_behind(self, reading: _Reading, behind: dt.timedelta) -> None:
        if behind > self._opened.retention / 2 and not reading.told_behind:
            hours = self._opened.retention.total_seconds() / 3600
            what = f"reading shard: it is {behind} behind, and the stream keeps records for {hours:g} hours"
            mend = "let the stream keep them for longer until this collector has caught up"
            self._place.warn(SourceUnavailable(what, where=self._where(reading.shard), mend=mend))
            reading.told_behind = True
        elif behind < self._opened.retention / 4:
            reading.told_behind = False

    def _delivery_of(self, run: _Run) -> MessageDelivery:
        reading, first, last = run.of, run.records[0], run.records[-1]
        self._hold(reading, -1, -run.size)
        self._freed.set()
        numbers = first.sequence if first is last else f"{first.sequence}-{last.sequence}"
        locator = f"{self._settings.stream}/{reading.shard}/{numbers}"
        reach = reading.progress.deliver(Mark(sequence=last.done, reached_at=last.arrived_at))

        def settled() -> None:
            mark = reading.progress.settle(reach)
            if mark is not None:
                self._checkpoint.put(reading.shard, mark)
            self._conclude(reading)

        def returned(delivery: MessageDelivery) -> None:
            self._again.append(delivery)
            self._wake.set()

        def given_up(reason: str) -> None:
            self._place.warn(SourceRefused(f"collecting record: given up: {reason}", where=locator))
            settled()

        return MessageDelivery(
            Origin(transport=_NAME, locator=locator),
            joined([record.data for record in run.records]),
            self._place.clock(),
            on_settled=settled,
            on_returned=returned,
            on_given_up=given_up,
        )

    def _conclude(self, reading: _Reading) -> None:
        """Note that a shard is done, once it is read to its end and all of it is acknowledged."""
        if not reading.ended or reading.waiting or reading.progress.unsettled:
            return
        mark = self._checkpoint.shards.get(reading.shard) or Mark(reached_at=self._place.clock())
        self._checkpoint.put(reading.shard, msgspec.structs.replace(mark, done=True))
        self._readings.pop(reading.shard, None)
        self._look.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() and self._broken is None:
            self._broken = task.exception()
            self._wake.set()

    def _where(self, shard: str = "") -> str:
        return f"stream {self._settings.stream}{f' {shard}' if shard else ''}"
