"""Keeps the groups of correlations in a compacted topic, so that a crash or a rebalance neither loses nor doubles one.

What changed is written batch by batch, after the detections it led to are with the brokers and before the batch is
acknowledged. A batch that comes again meets either the old state, and tells the same detections under the same ids, or
the new one, which knows its signals already.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from detectors.correlation.correlator import Correlator, Key
from detectors.correlation.signals import Router
from detectors.correlation.state import GroupState
from detectors.correlation.wire import Clock, Clocks
from ingest.schema.errors import IntegrityError
from streams.accounts import Read
from streams.produce import Message, Sink
from streams.topics import CORRELATION_STATE


class Saved(msgspec.Struct, frozen=True, omit_defaults=True):
    """A group, or the clocks, of a partition of the signals topic.

    Attributes:
        offset: The next offset of the partition when it was written; of two under one key the higher one counts, so a
            worker that was taken for dead can't set a group back.
    """

    partition: int
    offset: int
    state: GroupState | None = None
    clocks: Clocks | None = None


_decoder = msgspec.msgpack.Decoder(Saved)
_keys = msgspec.json.Decoder(Key)


class CorrelationStates:
    """A correlator for each partition that this worker has."""

    def __init__(self, router: Router, read: Read, sink: Sink) -> None:
        """Start empty; `load` brings what others saved."""
        self._router = router
        self._read = read
        self._sink = sink
        self._correlators: dict[int, Correlator] = {}
        self._clocks: dict[int, Clocks] = {}
        self._ticked: set[int] = set()

    def use(self, router: Router) -> None:
        """Take other correlations; groups of those that are the same are loaded again at next use."""
        self._router = router
        self.forget()

    def forget(self) -> None:
        """After a rebalance others may have gone on: load again at next use."""
        for known in (self._correlators, self._clocks, self._ticked):
            known.clear()

    async def load(self, partitions: Iterable[int]) -> None:
        """Read the groups of partitions that are not known yet.

        Raises:
            IntegrityError: What is kept can't be read: going on would lose or double alerts.
        """
        missing = set(partitions) - self._correlators.keys()
        if not missing:
            return
        newest: dict[bytes, Saved] = {}
        try:
            for raw_key, value in await self._read(CORRELATION_STATE):
                if not value:
                    newest.pop(raw_key, None)
                    continue
                saved = _decoder.decode(value)
                if saved.partition in missing and saved.offset >= getattr(newest.get(raw_key), "offset", 0):
                    newest[raw_key] = saved
            loaded = {partition: Correlator(self._router) for partition in missing}
            for raw_key, saved in newest.items():
                if saved.clocks is not None:
                    self._clocks[saved.partition] = saved.clocks
                elif saved.state is not None:
                    loaded[saved.partition].put(_keys.decode(raw_key), saved.state)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise IntegrityError(f"reading states of correlations: {exc}", where=CORRELATION_STATE) from exc
        self._correlators |= loaded

    def correlator(self, partition: int) -> Correlator:
        """The groups of a loaded partition."""
        return self._correlators[partition]

    def hear(self, partition: int, clock: Clock) -> int:
        """Note how far the sources are; the event time that all have reached."""
        self._clocks[partition] = self._clocks.get(partition, Clocks()).heard(clock)
        self._ticked.add(partition)
        return self._clocks[partition].time

    async def save(self, offsets: dict[int, int]) -> None:
        """Make changed groups durable.

        Args:
            offsets: Partition → the next offset to be read.
        """
        messages: list[Message] = []
        for partition, offset in offsets.items():
            correlator = self._correlators[partition]
            for key in sorted(correlator.changed):
                state = correlator.state(key)
                value = b"" if state is None else msgspec.msgpack.encode(Saved(partition, offset, state))
                messages.append((msgspec.json.encode(key), value, None))
            if partition in self._ticked:
                name = msgspec.json.encode(("", "", str(partition)))
                saved = Saved(partition, offset, clocks=self._clocks[partition])
                messages.append((name, msgspec.msgpack.encode(saved), None))
        if messages:
            await self._sink.send(CORRELATION_STATE, messages)
        for partition in offsets:
            self._correlators[partition].changed.clear()
        self._ticked.difference_update(offsets)
