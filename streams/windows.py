"""Keeps the suppression windows of alerts in a compacted topic, so that a restart neither forgets nor doubles one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec

from detectors.detection import Detection
from detectors.suppression import GroupState, Outcome, state_key, step
from ingest.schema.envelope import Position
from ingest.schema.errors import IntegrityError
from streams.accounts import Read
from streams.produce import Sink
from streams.topics import ALERT_STATE

FORGET_AFTER = dt.timedelta(days=2)
"""How long after its last window ended a group is kept, in event time: late and replayed members find their alert."""

Key = tuple[str, str, str]


class Saved(msgspec.Struct, frozen=True):
    """A group as it is kept: the partition of the detections topic it belongs to, and its state."""

    partition: int
    state: GroupState


_decoder = msgspec.msgpack.Decoder(Saved)
_keys = msgspec.json.Decoder(Key)


class Windows:
    """The groups of the partitions that this worker has."""

    def __init__(self, read: Read, sink: Sink) -> None:
        """Start empty; `load` brings what others saved."""
        self._read = read
        self._sink = sink
        self._states: dict[Key, GroupState] = {}
        self._partition_of: dict[Key, int] = {}
        self._loaded: set[int] = set()
        self._changed: dict[Key, int] = {}
        self._newest: dict[int, dt.datetime] = {}

    def forget(self) -> None:
        """After a rebalance others may have gone on: load again at next use."""
        for known in (self._states, self._partition_of, self._loaded, self._changed, self._newest):
            known.clear()

    async def load(self, partitions: Iterable[int]) -> None:
        """Read the groups of partitions that are not known yet.

        Raises:
            IntegrityError: What is kept can't be read: counting on would tell wrong numbers.
        """
        missing = set(partitions) - self._loaded
        if not missing:
            return
        saved: dict[bytes, bytes] = dict(await self._read(ALERT_STATE))
        try:
            for raw_key, value in saved.items():
                if not value:
                    continue
                kept = _decoder.decode(value)
                if kept.partition in missing:
                    key = _keys.decode(raw_key)
                    self._states[key] = kept.state
                    self._partition_of[key] = kept.partition
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise IntegrityError(f"reading alert windows: {exc}", where=ALERT_STATE) from exc
        self._loaded |= missing

    def step(self, detection: Detection, place: Position) -> Outcome:
        """Fold one detection; `save` makes the change durable."""
        key = state_key(detection)
        state, outcome = step(self._states.get(key), detection, place)
        if state is not self._states.get(key):
            self._states[key] = state
            self._changed[key] = place.partition
            self._partition_of[key] = place.partition
        newest = self._newest.get(place.partition)
        self._newest[place.partition] = max(newest, detection.at) if newest else detection.at
        return outcome

    async def save(self) -> None:
        """Make changed groups durable and drop those that are long over."""
        messages: list[tuple[bytes | None, bytes, int | None]] = [
            (msgspec.json.encode(key), msgspec.msgpack.encode(Saved(partition, self._states[key])), None)
            for key, partition in self._changed.items()
        ]
        for key in self._over():
            messages.append((msgspec.json.encode(key), b"", None))
            del self._states[key], self._partition_of[key]
        await self._sink.send(ALERT_STATE, messages)
        self._changed.clear()

    def _over(self) -> list[Key]:
        """Groups whose windows ended long before the newest event of their partition."""
        found = []
        for key, state in self._states.items():
            newest = self._newest.get(self._partition_of[key])
            if newest and state.expires and state.expires + FORGET_AFTER < newest and key not in self._changed:
                found.append(key)
        return found
