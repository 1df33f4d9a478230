"""The correlators of a worker: one for each partition of the signals topic that it has, restored from snapshots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
import structlog

from detectors.correlation.correlator import Budget, Correlator, Found, Key
from detectors.correlation.signals import Router
from detectors.correlation.state import GroupState, Signal
from detectors.correlation.succession import Maker
from detectors.correlation.wire import Clock, Clocks, Signals, decode
from ingest.schema.errors import IntegrityError, UnsupportedEnvelope
from streams.rules_awaited import RulesAwaited
from streams.snapshots import Restored, Snapshots
from streams.topics import CORRELATION_STATE

log = structlog.get_logger("skytrail.correlation_state")

MAX_STATE = 6 * 1024 * 1024  # bytes; a Kafka message takes a little more


class _Mark(msgspec.Struct, frozen=True):
    """What belongs to a partition as a whole.

    Attributes:
        clock: Event time that its groups were settled by.
        version: Rule set of the worker that wrote it; empty before.
        taken: When that worker took it, ms.
    """

    clock: int
    clocks: Clocks
    version: str = ""
    taken: int = 0


@dataclass(slots=True)
class _Part:
    """One partition.

    Attributes:
        next: The first message that is not in it yet.
        ahead: Groups that know more than the others, and up to which message.
        parting: Groups of correlations that are no longer loaded, until the next snapshot.
        elsewhere: Correlations that are not loaded, and have groups in the snapshots.
    """

    correlator: Correlator
    clocks: Clocks = field(default_factory=Clocks)
    next: int = 0
    ahead: dict[Key, int] = field(default_factory=dict)
    parting: dict[Key, GroupState] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)

    def follow(self, offset: int, message: Signals | Clock) -> Found:
        """What one message leads to; nothing, when it took effect before."""
        if offset < self.next:
            return Found()
        self.next = offset + 1
        if isinstance(message, Clock):
            self.clocks = self.clocks.heard(message)
            return self.correlator.advance(self.clocks.time)
        return self.correlator.follow(self._unknown(offset, message.signals) if self.ahead else message.signals)

    def again(self, offset: int, value: bytes) -> tuple[Signal, ...]:
        """Take a message that was read before, by whoever had the partition; what it led to was told then.

        Returns:
            The signals in it.
        """
        try:
            message = decode(value)
        except UnsupportedEnvelope:  # it became a dead letter then
            self.next = offset + 1
            return ()
        self.follow(offset, message)
        return () if isinstance(message, Clock) else message.signals

    def changed(self) -> list[tuple[bytes, bytes]]:
        """Key and body of each group to be written; those that are ahead are written already, as they are.

        What a body has no room for is noted as `unsaved`: this worker still knows it, whoever restores the group won't.
        """
        return [
            (msgspec.json.encode(key), b"" if state is None else self._body(key, state))
            for key in sorted(self.correlator.changed | self.parting.keys())
            if self.ahead.get(key, 0) <= self.next
            for state in (self.correlator.state(key) or self.parting.get(key),)
        ]

    def _body(self, key: Key, state: GroupState) -> bytes:
        body, unsaved = _encoded(state)
        if unsaved:
            self.correlator.notes["unsaved"] += unsaved
            log.warning("a group is too large for a snapshot", correlation=key[0], namespace=key[1], unsaved=unsaved)
        return body

    def mark(self, maker: Maker) -> bytes:
        """What is written of the partition as a whole."""
        return msgspec.msgpack.encode(_Mark(self.correlator.clock, self.clocks, *maker))

    def saved(self) -> None:
        """What `changed` gave is written."""
        self.ahead = {key: offset for key, offset in self.ahead.items() if offset > self.next}
        self.correlator.changed.intersection_update(self.ahead)
        self.parting.clear()

    def _unknown(self, offset: int, signals: tuple[Signal, ...]) -> Iterator[Signal]:
        for signal in signals:
            if self.ahead.get((signal.correlation, signal.namespace, signal.group), 0) <= offset:
                yield signal


class CorrelationStates:
    """A correlator for each partition that this worker has."""

    def __init__(
        self,
        router: Router,
        snapshots: Snapshots,
        *,
        budget: Budget | None = None,
        rules: RulesAwaited | None = None,
    ) -> None:
        """Start empty; `load` brings what others saved.

        Args:
            rules: Brings other correlations; without it there are only these, and no set is waited for.
        """
        self._router = router
        self._snapshots = snapshots
        self._budget = budget or Budget()
        self._rules = rules or RulesAwaited(0.0, lambda _: None, _no_topic)
        self._parts: dict[int, _Part] = {}

    async def ready(self, signals: Collection[Signal]) -> None:
        """Take the rule set that came into force, and wait for one that some signals were made by."""
        await self._adopt()
        while await self._come(self._awaited(signals)):
            await self._adopt()

    async def _come(self, makers: Collection[Maker]) -> bool:
        """Wait for the sets of some makers, but for those that were in force before the one here."""
        succession = self._router.succession
        order = await self._rules.later((m.version for m in makers if not succession.had(m.version)), succession.maker)
        succession.comes_after(version for version, later in order.items() if not later)
        return await self._rules.come(maker for maker in makers if succession.awaits_set(maker))

    def _awaited(self, signals: Iterable[Signal]) -> set[Maker]:
        awaits = self._router.succession.awaits
        return {Maker(one.ruleset_version, one.taken) for one in signals if awaits(one)}

    async def _adopt(self) -> None:
        """Take other correlations; groups of those that are the same go on, those that come back find theirs."""
        router = self._rules.newest()
        if router is None:
            return
        came = router.correlations.keys() - self._router.correlations.keys()
        router.succession.follows(self._router.succession)
        self._router = router
        for part in self._parts.values():
            self._swap(part)
        for partition, part in list(self._parts.items()):
            if came & part.elsewhere:
                self._fill(part, await self._snapshots.restore(partition), came)

    def _swap(self, part: _Part) -> None:
        """Give a partition the correlations of now."""
        loaded = self._router.correlations
        old, new = part.correlator, Correlator(self._router, budget=self._budget)
        part.correlator, new.clock = new, old.clock
        for key, state in [*old.states(), *part.parting.items()]:
            if key[0] in loaded:
                self._put(new, key, state)
        new.changed |= {key for key in old.changed if key[0] in loaded or old.state(key) is None}
        new.changed |= {key for key in part.parting if key[0] in loaded}
        gone = [*part.parting.items(), *((key, state) for key, state in old.states() if key in old.changed)]
        part.parting = {key: state for key, state in gone if key[0] not in loaded}
        part.elsewhere |= {key[0] for key, _ in old.states()} - loaded.keys()
        old.leave()

    def forget(self) -> None:
        """After a rebalance others may have gone on: load again at next use."""
        for part in self._parts.values():
            part.correlator.leave()
        self._parts.clear()

    async def load(self, first: Mapping[int, int]) -> None:
        """Restore the partitions that are not known yet.

        Args:
            first: Partition → the message of it that is read next.

        Raises:
            IntegrityError: What is kept can't be read: going on would lose or double alerts.
            Abandoned: The partitions are taken away while a rule set is waited for.
        """
        for partition in first.keys() - self._parts.keys():
            part, makers = await self._restore(partition, first[partition])
            while await self._came_for(part, makers):
                await self._adopt()
                part, makers = await self._restore(partition, first[partition])
            part.correlator.notes.clear()  # counted when they were read first
            self._parts[partition] = part

    async def _came_for(self, part: _Part, makers: Collection[Maker]) -> bool:
        """Whether a set came for a partition: what was read without the set that it was made for is read again."""
        came = True  # also where the wait is abandoned
        try:
            came = await self._come(makers)
        finally:
            if came:
                part.correlator.leave()
        return came

    async def _restore(self, partition: int, until: int) -> tuple[_Part, set[Maker]]:
        """A partition as it was before a message, and who had a newer rule set for it."""
        restored = await self._snapshots.restore(partition)
        part, makers = _Part(Correlator(self._router, budget=self._budget), next=restored.offset), set[Maker]()
        try:
            if restored.mark is not None:
                mark = msgspec.msgpack.decode(restored.mark, type=_Mark)
                part.clocks, part.correlator.clock = mark.clocks, mark.clock
                makers = await self._newer(Maker(mark.version, mark.taken))
            self._fill(part, restored, None)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise IntegrityError(f"reading states of correlations: {exc}", where=CORRELATION_STATE) from exc
        async for offset, value in self._snapshots.since(partition, restored.offset, until):
            makers |= self._awaited(part.again(offset, value))
        return part, makers

    async def _newer(self, maker: Maker) -> set[Maker]:
        """Who wrote a snapshot, if with a set that is surely newer than this one."""
        succession = self._router.succession
        if not maker.version or not succession.awaits_set(maker):
            return set()
        if succession.had(maker.version):
            return {maker}
        order = await self._rules.later([maker.version], succession.maker)
        return {maker} if order.get(maker.version) else set()

    def _fill(self, part: _Part, restored: Restored, only: Collection[str] | None) -> None:
        """Take the groups of a snapshot; of some correlations `only`."""
        for name, (offset, body) in restored.groups.items():
            key = msgspec.json.decode(name, type=Key)
            if key[0] not in self._router.correlations:
                part.elsewhere.add(key[0])
            elif only is None or (key[0] in only and part.correlator.state(key) is None):
                self._put(part.correlator, key, msgspec.msgpack.decode(body, type=GroupState))
                if offset > part.next:
                    part.ahead[key] = offset

    def _put(self, correlator: Correlator, key: Key, state: GroupState) -> None:
        """Take over a group; one of a correlation that was changed is deleted with the next snapshot.

        One of a correlation that is not loaded stays in the snapshots: rules that come back find what they had learnt.
        """
        if not correlator.put(key, state):
            correlator.changed.add(key)

    def states(self, partition: int) -> Iterator[tuple[Key, GroupState]]:
        """The groups of a loaded partition."""
        return self._parts[partition].correlator.states()

    def follow(self, partition: int, offset: int, message: Signals | Clock) -> Found:
        """What one message of a loaded partition leads to."""
        return self._parts[partition].follow(offset, message)

    def notes(self, partition: int) -> Counter[str]:
        """What was left out since this was last asked."""
        correlator = self._parts[partition].correlator
        notes, correlator.notes = correlator.notes, Counter()
        return +notes

    async def save(self, partitions: set[int]) -> None:
        """Write the snapshots that are due; everything that was taken must be with the brokers."""
        for partition in sorted(partitions):
            part = self._parts[partition]
            if not self._snapshots.due(partition):
                continue
            await self._snapshots.save(partition, part.next, part.changed(), part.mark(self._router.succession.maker))
            part.saved()


async def _no_topic(_: str) -> list[tuple[bytes, bytes]]:
    return []


def _encoded(state: GroupState) -> tuple[bytes, int]:
    """A state as it is written, and how much of it is not.

    One that is too large for a message gives up the older half of what it has most of.
    """
    body = msgspec.msgpack.encode(state)
    before = state.cut
    while len(body) > MAX_STATE and (state.entries or state.pending or state.terms):
        state = _halved(state)
        body = msgspec.msgpack.encode(state)
    return body, state.cut - before


def _halved(state: GroupState) -> GroupState:
    """A state without the older half of its largest part, down to nothing."""
    parts: dict[str, Collection[object]] = {name: getattr(state, name) for name in ("entries", "pending", "terms")}
    name = max(parts, key=lambda part: (len(msgspec.msgpack.encode(parts[part])), len(parts[part])))
    newest = len(parts[name]) // 2
    if name == "terms":
        by_day = sorted(state.terms.items(), key=lambda term: (term[1], term[0]), reverse=True)
        kept = msgspec.structs.replace(state, terms=dict(by_day[:newest]))
    elif name == "entries":
        kept = msgspec.structs.replace(state, entries=state.entries[len(state.entries) - newest :])
    else:
        kept = msgspec.structs.replace(state, pending=state.pending[len(state.pending) - newest :])
    kept.cut += len(parts[name]) - newest
    return kept
