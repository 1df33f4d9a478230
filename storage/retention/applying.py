"""Carries out a plan: tombstone, checkpoint and witnesses, deletion, receipt; every step can be done again.

| stopped | what the next run finds |
|---|---|
| before the tombstone | nothing happened |
| after it | a tombstone without a receipt: it is finished first, by the same code |
| in the middle of a deletion | the same; what is gone already is fine |
| before the receipt | the same; nothing is left to be deleted, the receipt is written |

Whether something may be destroyed is judged anew in the very step that appends its tombstone, with the ledger as it is
then, and once more before it is deleted: whoever places a hold in between is in time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from ingest.schema.errors import IntegrityError, Refused, SkytrailError, TransientError
from storage.archive.manifest import digest, instant, manifest_key, parse, stream_prefix
from storage.archive.store import ArchiveStore
from storage.retention.approval import Request, check
from storage.retention.entries import Destroyed, Receipt, Tombstone, chunks, entry_of
from storage.retention.inventory import segment_facts
from storage.retention.plan import Action, IndexFacts, Item, index_item, last_copy, segment_verdict
from storage.retention.record import Record, State, policy_digest
from storage.retention.verdict import DESTROYS, Verdict


class Outcome(StrEnum):
    """What became of an item."""

    DONE = "done"
    SKIPPED = "skipped"
    """It must not be destroyed, or not any more."""
    WAITS = "waits"
    """It has a tombstone; the deletion waits for witnesses."""
    NOT_EXECUTED = "not_executed"
    """It has a tombstone; the store or Elasticsearch did not delete it."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an item, in words."""

    outcome: Outcome
    place: str
    tombstone: str
    detail: str = ""


class Indices(Protocol):
    """What is asked of Elasticsearch."""

    def facts(self, name: str, state: State) -> IndexFacts | None:
        """An index as it is now; None where there is none."""

    def drop(self, name: str, uuid: str) -> None:
        """Drop an index if it is the very one; none, or another one of that name, is fine.

        Raises:
            IndexUnavailable: It may be dropped or not.
            Refused: This identity may not.
        """


@dataclass(frozen=True, slots=True)
class Means:
    """What carrying out a plan needs.

    Attributes:
        store: The archive, with the right to delete.
        indices: Elasticsearch.
        dataset_of: The data set of what a topic carries.
        unsound: What is wrong with the stored bytes of segment (topic, partition, number) of a namespace, in words.
        spanned: Numbers of the segments of a chain that hold something of a range of offsets.
        witnessed: Whether enough witnesses have seen the ledger of a namespace up to a size.
        clock: The present; see `skytrail.deleting` for how it is doubted.
    """

    store: ArchiveStore
    indices: Indices
    dataset_of: Callable[[str], str]
    unsound: Callable[[str, str, int, int], str]
    spanned: Callable[[str, str, int, tuple[int, int]], Iterator[int]]
    witnessed: Callable[[str, int], bool]
    clock: Callable[[], dt.datetime]


@dataclass(frozen=True, slots=True)
class Approved:
    """The plan that is carried out, and who agreed to it.

    Attributes:
        plan: Hex SHA-256 of the plan.
        request: The signed request; empty where there is none.
    """

    plan: str = ""
    request: str = ""


class Applier:
    """Carries out what concerns one namespace.

    Args:
        record: Its ledger.
        means: See `Means`.
        approved: See `Approved`.
    """

    def __init__(self, record: Record, means: Means, approved: Approved) -> None:
        self._record = record
        self._means = means
        self._approved = approved

    def finish(self) -> Iterator[Result]:
        """Finish what an earlier run announced and did not do."""
        for stone in self._record.now().unfinished():
            yield self._execute(stone)

    def apply(self, item: Item) -> Iterator[Result]:
        """Carry out an item of a plan, as far as it still holds.

        Raises:
            StoreUnavailable: The ledger or the archive is away: run it again.
            IntegrityError: The ledger contradicts itself.
        """
        if item.action == Action.DROP_INDEX:
            yield self._index(item)
        elif item.action == Action.DESTROY_SEGMENTS:
            yield from self._segments(item)

    def _index(self, item: Item) -> Result:
        name = f"index/{item.place}/{item.uuid}"
        facts = self._means.indices.facts(item.place, self._record.now())
        if facts is None or facts.uuid != item.uuid:
            return _skipped(item.place, name, "this index is not there any more")
        for (topic, partition), offsets in sorted(facts.reach.items()):
            for seq in self._means.spanned(self._record.namespace, topic, partition, offsets):
                if wrong := self._unsound(topic, partition, seq):
                    return _skipped(item.place, name, f"segment {seq} of {topic}/{partition} is not sound: {wrong}")

        def stone(state: State) -> Tombstone | str:
            again = index_item(facts, state, self._sealed(), self._means.clock())
            if again is None or again.action != Action.DROP_INDEX:
                return "" if again is None else again.blocked or again.because
            return Tombstone(
                id=name,
                at="",
                tier="hot",
                decision=again.decision,
                because=again.because,
                until=again.until or "",
                dataset=again.dataset,
                policy=_policy(state),
                index=item.place,
                uuid=item.uuid,
                documents=facts.documents,
                request=self._approved.request,
            )

        return self._announced(name, item.place, stone)

    def _segments(self, item: Item) -> Iterator[Result]:
        """The segments of a run, in groups of which each has a tombstone."""
        _, _, topic, number, _ = item.place.split("/")
        partition = int(number)
        assert item.first is not None
        assert item.last is not None
        gone = self._record.now().destroyed().get((topic, partition), set())
        sound: list[Destroyed] = []
        for seq in range(item.first, item.last + 1):
            if seq in gone:
                continue
            if wrong := self._unsound(topic, partition, seq):
                yield _skipped(f"{item.place}{seq}", "", f"it is not what was sealed, so it stays: {wrong}")
                continue
            sound.append(segment_facts(self._means.store, self._record.namespace, topic, partition, seq).destroyed)
        for group in chunks(sound):
            yield self._group(item.place, topic, partition, group)

    def _group(self, place: str, topic: str, partition: int, group: tuple[Destroyed, ...]) -> Result:
        name = f"segments/{topic}/{partition}/{group[0].seq}-{group[-1].seq}"

        def stone(state: State) -> Tombstone | str:
            verdict = self._judged(state, topic, partition, group)
            if isinstance(verdict, str):
                return verdict
            return Tombstone(
                id=name,
                at="",
                tier="cold",
                decision=verdict.decision,
                because=verdict.because,
                until=instant(verdict.until) if verdict.until else "",
                dataset=self._means.dataset_of(topic),
                policy=_policy(state),
                topic=topic,
                partition=partition,
                segments=group,
                request=self._approved.request,
            )

        return self._announced(name, place, stone)

    def _judged(self, state: State, topic: str, partition: int, group: tuple[Destroyed, ...]) -> Verdict | str:
        """The verdict on the segment of a group that is kept longest, or why one of them stays."""
        tip = self._record.log.state().tips.get((topic, partition))
        found: list[Verdict] = []
        for each in group:
            if tip is None or each.seq >= tip.seq:
                return f"segment {each.seq} is the newest in the ledger, or not in it"
            facts = segment_facts(self._means.store, self._record.namespace, topic, partition, each.seq)
            if facts.destroyed != each:
                return f"segment {each.seq} is not the one that was looked at"
            dataset = self._means.dataset_of(topic)
            verdict = segment_verdict(self._record.namespace, dataset, facts, state, self._means.clock())
            if verdict.decision not in DESTROYS:
                return f"segment {each.seq}: {verdict.decision}: {verdict.because}"
            found.append(verdict)
        return max(found, key=lambda verdict: verdict.until or dt.datetime.min.replace(tzinfo=dt.UTC))

    def _announced(self, name: str, place: str, make: Callable[[State], Tombstone | str]) -> Result:
        """Append the tombstone that `make` gives, if it gives one, and carry it out."""
        why = ""

        def enter(state: State) -> list[bytes]:
            nonlocal why
            if name in state.tombstones:
                return []
            made = make(state)
            if isinstance(made, str):
                why = made
                return []
            if last_copy(made.dataset, index=bool(made.index)):
                why = disapproved(self._record.namespace, self._approved, state)
            if why:
                return []
            return [entry_of(self._record.namespace, self._means.clock(), made)]

        stone = self._record.enter(enter).tombstones.get(name)
        return _skipped(place, name, why) if stone is None else self._execute(stone)

    def _execute(self, stone: Tombstone) -> Result:
        """Delete what a tombstone announced, and write the receipt."""
        place = stone.index or f"{stream_prefix(self._record.namespace, stone.topic, stone.partition)}"
        state = self._record.now()
        if stone.id in state.receipts:
            return Result(outcome=Outcome.DONE, place=place, tombstone=stone.id)
        epoch, index = state.indices["tombstone", stone.id]
        identity = self._record.log.identity
        if epoch == identity.epoch and not self._means.witnessed(self._record.namespace, index + 1):
            return Result(
                outcome=Outcome.WAITS,
                place=place,
                tombstone=stone.id,
                detail=f"no quorum of witnesses has seen entry {index} yet: run it again",
            )
        try:
            held = self._drop(stone, state) if stone.index else self._destroy(stone, state)
        except (TransientError, Refused) as exc:
            return Result(outcome=Outcome.NOT_EXECUTED, place=place, tombstone=stone.id, detail=str(exc))
        if held:
            return _skipped(place, stone.id, f"it was announced, but: {held}")
        receipt = Receipt(id=stone.id, at="")
        self._record.enter(
            lambda now: [] if stone.id in now.receipts else [entry_of(identity.namespace, self._means.clock(), receipt)]
        )
        return Result(outcome=Outcome.DONE, place=place, tombstone=stone.id)

    def _drop(self, stone: Tombstone, state: State) -> str:
        """Drop an index; why it must not be dropped any more."""
        facts = self._means.indices.facts(stone.index, state)
        if facts is None or facts.uuid != stone.uuid:
            return ""  # it is gone, and what has its name now is another one
        again = index_item(facts, state, self._sealed(), self._means.clock())
        if again is None or again.action != Action.DROP_INDEX:
            return "it is no index of ours" if again is None else again.blocked or again.because
        self._means.indices.drop(stone.index, stone.uuid)
        return ""

    def _destroy(self, stone: Tombstone, state: State) -> str:
        """Destroy body and headers of segments; why they must not be any more. Manifests and leaves stay.

        Raises:
            Refused: The store keeps some of them; the others are gone.
        """
        verdict = self._judged(state, stone.topic, stone.partition, stone.segments)
        if isinstance(verdict, str):
            return verdict
        prefix = stream_prefix(self._record.namespace, stone.topic, stone.partition)
        kept: list[Refused] = []
        for each in stone.segments:
            key = manifest_key(prefix, each.seq)
            body = self._means.store.get(key)
            if body is None or digest(body) != each.manifest:
                raise IntegrityError("destroying a segment: its manifest is not that of the tombstone", where=key)
            manifest = parse(body, key)
            try:
                for part in (manifest.body, manifest.headers):
                    self._means.store.destroy(part.key)
            except Refused as exc:
                kept.append(exc)
        if kept:
            first = kept[0]
            told = f"the store keeps {len(kept)} of {len(stone.segments)} segments: {first.what}"
            raise Refused(told, where=first.where, mend=first.mend)
        return ""

    def _unsound(self, topic: str, partition: int, seq: int) -> str:
        return self._means.unsound(self._record.namespace, topic, partition, seq)

    def _sealed(self) -> dict[tuple[str, int], int]:
        return {place: tip.last_offset for place, tip in self._record.log.state().tips.items()}


def disapproved(namespace: str, approved: Approved, state: State) -> str:
    """Why the people whom the policy names have not agreed to destroy for good; empty if they have, or need not."""
    assert state.policy is not None
    needed = state.policy.approvals.expiry
    if not needed:
        return ""
    if not approved.request:
        return f"{needed} people must agree to this plan: `skytrail retention request`, then `skytrail approve`"
    asked = Request(action="expiry", namespace=namespace, subject=approved.plan, reason="", requested_by="", at="")
    try:
        check(approved.request.encode(), state.policy, asked, needed, "the request for this plan")
    except SkytrailError as exc:
        return str(exc)
    return ""


def _policy(state: State) -> str:
    return policy_digest(state.policy) if state.policy else ""


def _skipped(place: str, tombstone: str, why: str) -> Result:
    return Result(outcome=Outcome.SKIPPED, place=place, tombstone=tombstone, detail=why)
