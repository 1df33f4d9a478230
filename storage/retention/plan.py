"""What a policy does to what is there, before it is done. Pure: the same facts and time give the same bytes.

Nothing is destroyed that is not in the ledger, and never the newest segment of a chain: the sealer goes on from it.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import groupby

import msgspec

from storage.archive.manifest import canonical, instant
from storage.index.names import parse
from storage.retention.entries import Destroyed
from storage.retention.holding import spans
from storage.retention.record import State, policy_digest
from storage.retention.verdict import DESTROYS, Decision, Subject, Tier, Verdict, judge, next_turn

VERSION = 1
OWN = "skytrail."
"""Data sets that only Elasticsearch has: alerts. Dropping their index destroys them, so the archive's periods hold."""


NEWEST = "the newest segment of a chain stays: the sealer goes on from it"


def last_copy(dataset: str, *, index: bool) -> bool:
    """Whether it would be gone for good: segments, and indices of what only Elasticsearch has."""
    return not index or dataset.startswith(OWN)


class Action(StrEnum):
    """What would be done."""

    KEEP = "keep"
    DROP_INDEX = "drop_index"
    DESTROY_SEGMENTS = "destroy_segments"
    BLOCKED = "blocked"
    """Its time is over, or a person must decide; `blocked` or `because` says what stands in the way."""


class IndexFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An index as Elasticsearch has it.

    Attributes:
        uuid: Elasticsearch's own id.
        bytes: Of its primary shards.
        received: When its newest document was written; None where it has none.
        reach: Oldest and newest offset of its documents by topic and partition.
        promised: Up to when the stamps of its documents say that they are kept, at the latest.
        placeless: Documents that name no place in Kafka.
        matches: Documents by id of the holds that were asked for.
    """

    name: str
    uuid: str
    documents: int
    bytes: int
    received: dt.datetime | None = None
    promised: dt.datetime | None = None
    reach: dict[tuple[str, int], tuple[int, int]] = {}
    placeless: int = 0
    matches: dict[str, int] = {}


class SegmentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A segment as its manifest tells.

    Attributes:
        stored: Bytes of the objects that would be destroyed.
        received: Newest receipt, or when it was sealed.
        manifest: Hex SHA-256 of the manifest.
        promised: Up to when its stamp says that it is kept.
        objects: Keys of all that it consists of.
        key: Id of its data key; empty where it is in the clear.
    """

    seq: int
    n: int
    stored: int
    received: dt.datetime
    root: str
    manifest: str
    promised: dt.datetime | None = None
    objects: tuple[str, ...] = ()
    key: str = ""

    @property
    def destroyed(self) -> Destroyed:
        """As a tombstone names it."""
        return Destroyed(seq=self.seq, n=self.n, root=self.root, manifest=self.manifest)


class ChainFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A chain of segments.

    Attributes:
        segments: Those that have no tombstone, in the order in which they were sealed; read as they are asked for.
        last: Number of its newest segment.
        ledgered: Newest offset and number of segment that the ledger has.
        offset: Newest sealed offset.
    """

    topic: str
    partition: int
    dataset: str
    segments: Sequence[SegmentFacts]
    last: int
    offset: int
    ledgered: tuple[int, int] = (-1, -1)


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of an index or of a run of segments.

    Attributes:
        place: Name of the index, or folder of the chain.
        first: First segment of the run.
        last: Last segment of the run.
        records: Documents or records.
        until: Up to when it is kept; of a run that is kept, its oldest.
        note: What else a person should know.
    """

    action: str
    decision: str
    tier: str
    place: str
    namespace: str
    dataset: str
    class_name: str
    until: str | None
    because: str
    blocked: str = ""
    first: int | None = None
    last: int | None = None
    records: int = 0
    bytes: int = 0
    uuid: str = ""
    note: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that would be done at a time.

    Attributes:
        policies: Hex SHA-256 of the policy in force, by namespace.
    """

    v: int
    at: str
    policies: dict[str, str]
    items: tuple[Item, ...]

    def encode(self) -> bytes:
        """Its only form."""
        return canonical(self)


def make_plan(now: dt.datetime, states: dict[str, State], items: Iterable[Item]) -> Plan:
    """The plan of these items, in its only order."""
    policies = {name: policy_digest(state.policy) for name, state in sorted(states.items()) if state.policy}
    ordered = sorted(items, key=lambda item: (item.namespace, item.tier != "hot", item.place, item.first or 0))
    return Plan(v=VERSION, at=instant(now), policies=policies, items=tuple(ordered))


def index_item(facts: IndexFacts, state: State, sealed: dict[tuple[str, int], int], now: dt.datetime) -> Item | None:
    """What becomes of an index; None where it is none of ours.

    Args:
        facts: The index.
        state: Of its namespace.
        sealed: Newest offset that is sealed and in the ledger, by topic and partition.
        now: The present.
    """
    name = parse(facts.name)
    if name is None:
        return None
    end = dt.datetime.combine(name.end, dt.time(), dt.UTC)
    start = dt.datetime.combine(name.start, dt.time(), dt.UTC)
    received = max(end, facts.received or end)
    subject = Subject(
        namespace=name.namespace, dataset=name.dataset, event=end, received=received, promised=facts.promised
    )
    tier: Tier = "cold" if last_copy(name.dataset, index=True) else "hot"
    holds = [
        hold.id
        for hold in state.open_holds()
        if spans(hold, name.dataset, start, end) and facts.matches.get(hold.id, 1)
    ]
    verdict = judge(tier, subject, state.policies, holds, now)
    blocked = _unsealed(facts, sealed) if verdict.decision in DESTROYS and tier == "hot" else ""
    rule = state.policy.class_of(name.namespace, name.dataset) if state.policy else None
    most = next((each.max_bytes for each in reversed(rule.rotation) if each.since <= name.start), 0) if rule else 0
    large = facts.bytes > most > 0
    note = f"larger than the {most / 2**30:g} GiB of its rotation: choose a shorter period" if large else ""
    return Item(
        action=_action(verdict, blocked, Action.DROP_INDEX),
        decision=verdict.decision,
        tier="hot",
        place=facts.name,
        namespace=name.namespace,
        dataset=name.dataset,
        class_name=verdict.class_name,
        until=_told(verdict.until),
        because=verdict.because,
        blocked=blocked,
        records=facts.documents,
        bytes=facts.bytes,
        uuid=facts.uuid,
        note=note,
    )


def chain_items(namespace: str, facts: ChainFacts, state: State, now: dt.datetime) -> Iterator[Item]:
    """What becomes of the segments of a chain, in runs; of what is kept for its time only a few are read."""
    judged = _judged(namespace, facts, state, now)
    for (decision, because, blocked, name), run in groupby(judged, key=lambda each: each.key):
        found = list(run)
        first, last = found[0].segment, found[-1].last
        kept = decision is Decision.KEEP
        yield Item(
            action=_action_of(decision, blocked, Action.DESTROY_SEGMENTS),
            decision=decision,
            tier="cold",
            place=f"{namespace}/seg/{facts.topic}/{facts.partition}/",
            namespace=namespace,
            dataset=facts.dataset,
            class_name=name,
            until=_told(found[0].until),
            because=because,
            blocked=blocked,
            first=first.seq,
            last=last,
            records=0 if kept else sum(each.segment.n for each in found),
            bytes=0 if kept else sum(each.segment.stored for each in found),
            note="this segment and all after it" if kept and last == facts.last else "",
        )


class _Judged(msgspec.Struct, frozen=True):
    """A segment, what decides it, and up to which one that holds without looking."""

    segment: SegmentFacts
    key: tuple[Decision, str, str, str]
    until: dt.datetime | None
    last: int


def _judged(namespace: str, facts: ChainFacts, state: State, now: dt.datetime) -> Iterator[_Judged]:
    """The segments with their verdicts. After one that is kept, those are passed over that can't be over before it."""
    at = 0
    while at < len(facts.segments):
        segment = facts.segments[at]
        verdict = segment_verdict(namespace, facts.dataset, segment, state, now)
        blocked = _blocked(facts, segment) if verdict.decision in DESTROYS else ""
        key = (verdict.decision, verdict.because, blocked, verdict.class_name)
        at, last = at + 1, segment.seq
        if verdict.decision is Decision.KEEP:
            subject = _subject(namespace, facts.dataset, segment)
            turn = next_turn(subject, state.policies, now)
            at = bisect_left(facts.segments, turn, lo=at, key=_received) if turn else len(facts.segments)
            last = facts.segments[at].seq - 1 if at < len(facts.segments) else facts.last
        yield _Judged(segment, key, verdict.until, last)


def _received(segment: SegmentFacts) -> dt.datetime:
    return segment.received


def segment_verdict(namespace: str, dataset: str, segment: SegmentFacts, state: State, now: dt.datetime) -> Verdict:
    """What becomes of one segment. When its events happened is not known: not after they were received."""
    holds = [hold.id for hold in state.open_holds() if spans(hold, dataset, None, segment.received)]
    return judge("cold", _subject(namespace, dataset, segment), state.policies, holds, now)


def _subject(namespace: str, dataset: str, segment: SegmentFacts) -> Subject:
    at = segment.received
    return Subject(namespace=namespace, dataset=dataset, event=at, received=at, promised=segment.promised)


def _unsealed(facts: IndexFacts, sealed: dict[tuple[str, int], int]) -> str:
    """Why the archive does not vouch for an index, in words; empty if it does."""
    if facts.placeless:
        return f"{facts.placeless} documents name no place in Kafka: the archive can't vouch for them"
    for place, (_, offset) in sorted(facts.reach.items()):
        if sealed.get(place, -1) < offset:
            return f"{place[0]}/{place[1]} is sealed and in the ledger up to {sealed.get(place, -1)}, not to {offset}"
    return ""


def _blocked(facts: ChainFacts, segment: SegmentFacts) -> str:
    if segment.seq > facts.ledgered[1]:
        return "it is not in the ledger"
    return NEWEST if segment.seq == facts.last else ""


def _action(verdict: Verdict, blocked: str, otherwise: Action) -> Action:
    return _action_of(verdict.decision, blocked, otherwise)


def _action_of(decision: Decision, blocked: str, otherwise: Action) -> Action:
    if decision in DESTROYS:
        return Action.BLOCKED if blocked else otherwise
    return Action.BLOCKED if decision in (Decision.CONFLICT, Decision.UNKNOWN, Decision.HELD) else Action.KEEP


def _told(moment: dt.datetime | None) -> str | None:
    return None if moment is None else instant(moment)


def summary_of(items: Sequence[Item]) -> dict[str, int]:
    """Items by action."""
    return {str(action): sum(item.action == action for item in items) for action in Action}
