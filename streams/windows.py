"""The alerts that detections of a worker's partitions may still fold into, restored from snapshots."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from detectors.detection import Detection, decode
from detectors.suppression import GroupState, Outcome, fold, state_key
from ingest.schema.envelope import Position
from ingest.schema.errors import IntegrityError, UnsupportedEnvelope
from streams.snapshots import Restored, Snapshots
from streams.topics import ALERT_STATE, DETECTIONS

FORGET_AFTER = dt.timedelta(days=2)
"""How long after its last window ended, and after its last use, a group is kept, in event time: late and replayed
members find their alert, and so do those of an old log that is read beside the present one."""
MAX_GROUPS = 100_000  # of a partition; a group takes about 3 KB

Key = tuple[str, str, str]


@dataclass(slots=True)
class _Part:
    """One partition of the detections topic.

    Attributes:
        states: The one used last comes last.
        used: Group → the newest event time of the partition when it was used last.
        next: The first message that is not in it yet.
        ahead: Groups that know more than the others, and up to which message.
        forgotten: Groups given up because there were too many.
    """

    partition: int
    states: dict[Key, GroupState] = field(default_factory=dict)
    used: dict[Key, dt.datetime] = field(default_factory=dict)
    changed: set[Key] = field(default_factory=set)
    newest: dt.datetime | None = None
    next: int = 0
    ahead: dict[Key, int] = field(default_factory=dict)
    forgotten: int = 0

    def follow(self, offset: int, detections: Sequence[Detection], now: dt.datetime) -> list[list[Outcome]]:
        """What became of each detection of a message; nothing, where it took effect before."""
        if offset < self.next:
            return [[] for _ in detections]
        self.next = offset + 1
        return [self._fold(detection, offset, now) for detection in detections]

    def _fold(self, detection: Detection, offset: int, now: dt.datetime) -> list[Outcome]:
        key = state_key(detection)
        if self.ahead and self.ahead.get(key, 0) > offset:
            return []
        place = Position(DETECTIONS, self.partition, offset)
        self.states[key], outcomes = fold(self.states.pop(key, None), detection, place)
        self.changed.add(key)
        at = min(detection.at, now)  # a wild clock makes nobody forget
        self.newest = max(self.newest, at) if self.newest else at
        self.used[key] = self.newest
        return outcomes

    def forget(self) -> None:
        """Drop groups that ended long ago, and those used the longest ago where there are too many."""
        over = [key for key, state in self.states.items() if self._over(key, state)]
        excess = len(self.states) - len(over) - MAX_GROUPS
        if excess > 0:
            known = set(over)
            over += [key for key in self.states if key not in known][:excess]
            self.forgotten += excess
        for key in over:
            del self.states[key]
            self.used.pop(key, None)
        self.changed.update(over)

    def _over(self, key: Key, state: GroupState) -> bool:
        if not self.newest or not state.expires:
            return False
        used = self.used.setdefault(key, self.newest)  # of a group that was taken over it is not known
        return max(state.expires, used) + FORGET_AFTER < self.newest

    def bodies(self) -> list[tuple[bytes, bytes]]:
        """Key and body of each group to be written; those that are ahead are written already, as they are."""
        return [
            (msgspec.json.encode(key), b"" if state is None else msgspec.msgpack.encode(state))
            for key in sorted(self.changed)
            if self.ahead.get(key, 0) <= self.next
            for state in (self.states.get(key),)
        ]

    def saved(self) -> None:
        """What `bodies` gave is written."""
        self.ahead = {key: offset for key, offset in self.ahead.items() if offset > self.next}
        self.changed.intersection_update(self.ahead)


class Windows:
    """The groups of the partitions that this worker has."""

    def __init__(self, snapshots: Snapshots, now: Callable[[], dt.datetime]) -> None:
        """Start empty; `load` brings what others saved."""
        self._snapshots = snapshots
        self._now = now
        self._parts: dict[int, _Part] = {}

    def forget(self) -> None:
        """After a rebalance others may have gone on: load again at next use."""
        self._parts.clear()

    async def load(self, first: Mapping[int, int]) -> None:
        """Restore the partitions that are not known yet.

        Args:
            first: Partition → the message of it that is read next.

        Raises:
            IntegrityError: What is kept can't be read: counting on would tell wrong numbers.
        """
        for partition in first.keys() - self._parts.keys():
            restored = await self._snapshots.restore(partition)
            try:
                part = _part(partition, restored)
            except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
                raise IntegrityError(f"reading alert windows: {exc}", where=ALERT_STATE) from exc
            async for offset, value in self._snapshots.since(partition, restored.offset, first[partition]):
                part.follow(offset, _readable(value), self._now())
            self._parts[partition] = part

    def follow(self, place: Position, detections: Sequence[Detection]) -> list[list[Outcome]]:
        """Fold the detections of one message of a loaded partition; what became of each."""
        return self._parts[place.partition].follow(place.offset, detections, self._now())

    async def save(self, partitions: set[int]) -> int:
        """Write the snapshots that are due; everything that was taken must be told.

        Returns:
            How many groups were given up because there were too many.
        """
        forgotten = 0
        for partition in sorted(partitions):
            part = self._parts[partition]
            if self._snapshots.due(partition):
                part.forget()
                newest = part.newest.isoformat() if part.newest else ""
                mark = msgspec.msgpack.encode(newest)
                await self._snapshots.save(partition, part.next, part.bodies(), mark)
                part.saved()
                forgotten, part.forgotten = forgotten + part.forgotten, 0
        return forgotten


def _part(partition: int, restored: Restored) -> _Part:
    part = _Part(partition, next=restored.offset)
    if restored.mark is not None:
        newest = msgspec.msgpack.decode(restored.mark, type=str)
        part.newest = dt.datetime.fromisoformat(newest) if newest else None
    for name, (offset, body) in restored.groups.items():
        key = msgspec.json.decode(name, type=Key)
        part.states[key] = msgspec.msgpack.decode(body, type=GroupState)
        if offset > restored.offset:
            part.ahead[key] = offset
    return part


def _readable(value: bytes) -> Sequence[Detection]:
    try:
        return decode(value)
    except UnsupportedEnvelope:  # it became a dead letter when it was read first
        return ()
