"""Anchors one log: collects cosignatures and time stamps of its checkpoints, and keeps them.

Nothing waits for it: a witness that is away delays no sealing. What is not anchored yet is told by its age. A
checkpoint that was published and superseded before anybody looked is covered by the next one, which goes on from it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ingest.schema.errors import IntegrityError
from storage.ledger.checkpoint import TreeHead, parse_head
from storage.ledger.cosigning import Declined, Outcome, WitnessClient
from storage.ledger.note import Note, Signature, parse
from storage.ledger.published import PublishedLog
from storage.ledger.signing import time_of
from storage.ledger.stamping import AuthorityClient

WITNESS, STAMP = "witness", "stamp"
MAX_REST_S = 60
MAX_CLOCK_S = 120
"""By how many seconds the time of a cosignature or stamp may differ from ours; what is kept, is kept for ever."""
PATIENCE_FOR_WITNESSES = dt.timedelta(seconds=10)


T = TypeVar("T")


class Observer(Protocol):
    """Is told what becomes of a log's checkpoints."""

    def answered(self, kind: str, who: str, outcome: Outcome, detail: str) -> None:
        """A witness or an authority answered."""

    def anchored(self, kind: str, namespace: str, waited_s: float) -> None:
        """The oldest entry that was not covered by such an anchor now is."""

    def waits(self, kind: str, namespace: str, waits_s: float) -> None:
        """For how long the oldest entry has not been covered by such an anchor; 0: all are."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """Who is asked, and how often.

    Attributes:
        quorum: Cosignatures that a checkpoint needs.
        stamp_every: Between two stamps of a log.
    """

    witnesses: Sequence[WitnessClient] = ()
    quorum: int = 0
    authorities: Sequence[AuthorityClient] = ()
    stamp_every: dt.timedelta = dt.timedelta(seconds=60)


@dataclass(slots=True)
class _Cover:
    """Up to which size a log is anchored, and since when more of it waits."""

    size: int = 0
    since: dt.datetime | None = None

    def see(self, size: int, now: dt.datetime) -> float:
        """The log has this size; for how many seconds the oldest entry has waited."""
        if size > self.size and self.since is None:
            self.since = now
        return 0.0 if self.since is None else (now - self.since).total_seconds()

    def cover(self, size: int, now: dt.datetime) -> float:
        """The log is anchored up to this size; how many seconds that took."""
        waited = self.see(size, now)
        self.size, self.since = size, None
        return waited


@dataclass(slots=True)
class _Patience:
    """Who does not answer is asked less and less often."""

    until: dict[str, tuple[int, dt.datetime]] = field(default_factory=dict)

    def may_ask(self, who: str, now: dt.datetime) -> bool:
        return who not in self.until or now >= self.until[who][1]

    def note(self, who: str, outcome: Outcome, now: dt.datetime) -> None:
        if outcome is Outcome.GIVEN:
            self.until.pop(who, None)
            return
        times = self.until[who][0] + 1 if who in self.until else 0
        self.until[who] = times, now + dt.timedelta(seconds=min(MAX_REST_S, 2**times))


class LogAnchors:
    """The anchors of one log. `look` is called again and again, by one process at a time.

    Args:
        log: Which log.
        anchors: Who is asked.
        clock: Gives the present time, with zone.
        observer: Is told.
    """

    def __init__(
        self, log: PublishedLog, anchors: Anchors, clock: Callable[[], dt.datetime], observer: Observer
    ) -> None:
        self._log = log
        self._namespace = log.identity.namespace
        self._anchors = anchors
        self._clock = clock
        self._observer = observer
        self._covers = {WITNESS: _Cover(), STAMP: _Cover()}
        self._patience = _Patience()
        self._given: dict[str, Signature] = {}
        self._given_for = TreeHead("", 0, b"")
        self._stamp_at = clock()

    async def look(self) -> None:
        """Anchor the newest checkpoint, as far as that is due.

        Raises:
            StoreUnavailable: Call it again.
            IntegrityError: The log is damaged.
        """
        raw = await asyncio.to_thread(self._log.checkpoint)
        if raw is None:
            return
        note, head = _read(raw)
        if self._anchors.witnesses:
            raw = await self._witness(raw, note, head)
        if self._anchors.authorities:
            await self._stamp(raw, head)

    async def _witness(self, raw: bytes, note: Note, head: TreeHead) -> bytes:
        """Collect cosignatures until there is a quorum; the checkpoint with those there are."""
        cover, now = self._covers[WITNESS], self._clock()
        if head.size <= cover.size:
            self._observer.waits(WITNESS, self._namespace, 0.0)
            return raw
        self._observer.waits(WITNESS, self._namespace, cover.see(head.size, now))
        self._take(note, head)
        if not self._enough():
            await self._ask_witnesses(raw, note, head)
        cosigned = self._with_cosignatures(note)
        if self._enough():
            kept = await asyncio.to_thread(self._log.keep, head.size, cosigned)
            # What was kept for a stamp, before there was a quorum, stays: then the next checkpoint is the one.
            if kept == cosigned or self._count(_read(kept)[0]) >= self._needed:
                self._observer.anchored(WITNESS, self._namespace, cover.cover(head.size, self._clock()))
                self._observer.waits(WITNESS, self._namespace, 0.0)
            await asyncio.to_thread(self._log.publish, raw, cosigned)
        return cosigned

    async def _ask_witnesses(self, raw: bytes, note: Note, head: TreeHead) -> None:
        """Ask whoever has not cosigned this checkpoint yet, all at once."""

        async def prove(old: int, new: int) -> Sequence[bytes]:
            return await asyncio.to_thread(self._log.proof, old, new)

        async def ask(witness: WitnessClient) -> None:
            answer = await witness.cosign(note.text, head, raw, prove)
            if isinstance(answer, Signature):
                answer = _in_time(answer, self._clock().timestamp())
            outcome, detail = (answer.outcome, answer.detail) if isinstance(answer, Declined) else (Outcome.GIVEN, "")
            if isinstance(answer, Signature):
                self._given[witness.name] = answer
            self._patience.note(witness.name, outcome, self._clock())
            self._observer.answered(WITNESS, witness.name, outcome, detail)

        now = self._clock()
        missing = [each for each in self._anchors.witnesses if each.name not in self._given]
        try:
            await _all(ask(each) for each in missing if self._patience.may_ask(each.name, now))
        except IntegrityError:
            if await asyncio.to_thread(self._log.checkpoint) == raw:
                raise
            # The log has grown meanwhile and let go of partial tiles: the next look finds its newer checkpoint.

    def _take(self, note: Note, head: TreeHead) -> None:
        """Begin with the cosignatures that an earlier look, or another worker, has put into the checkpoint."""
        if head != self._given_for:
            self._given, self._given_for = {}, head
        for witness in self._anchors.witnesses:
            for signature in note.signatures:
                if witness.key.verifies(note.text, signature):
                    self._given.setdefault(witness.name, signature)

    def _with_cosignatures(self, note: Note) -> bytes:
        keys = [witness.key for witness in self._anchors.witnesses]
        own = [each for each in note.signatures if not any(key.made(each) for key in keys)]
        given = [self._given[name] for name in sorted(self._given)]
        return Note(note.text, (*own, *given)).encode()

    def _count(self, note: Note) -> int:
        keys = [witness.key for witness in self._anchors.witnesses]
        return sum(any(key.verifies(note.text, each) for each in note.signatures) for key in keys)

    def _enough(self) -> bool:
        return len(self._given) >= self._needed

    @property
    def _needed(self) -> int:
        return max(1, self._anchors.quorum)

    async def _stamp(self, checkpoint: bytes, head: TreeHead) -> None:
        """Have the checkpoint stamped if that is due; with its cosignatures, unless these are long in coming."""
        cover, now = self._covers[STAMP], self._clock()
        self._observer.waits(STAMP, self._namespace, cover.see(head.size, now))
        cosigned = not self._anchors.witnesses or self._covers[WITNESS].size == head.size
        due = self._stamp_at if cosigned else self._stamp_at + PATIENCE_FOR_WITNESSES
        if head.size <= cover.size or now < due:
            return
        kept = await asyncio.to_thread(self._log.keep, head.size, checkpoint)
        given = await _all(self._ask(each, head.size, kept) for each in self._anchors.authorities)
        if any(given):
            self._stamp_at = now + self._anchors.stamp_every
            self._observer.anchored(STAMP, self._namespace, cover.cover(head.size, self._clock()))
            self._observer.waits(STAMP, self._namespace, 0.0)

    async def _ask(self, authority: AuthorityClient, size: int, kept: bytes) -> bool:
        """Whether the stamp of this authority is kept now."""
        if await asyncio.to_thread(self._log.stamped, size, authority.name):
            return True
        if not self._patience.may_ask(authority.name, self._clock()):
            return False
        answer = await authority.stamp(kept)
        outcome, detail = (answer.outcome, answer.detail) if isinstance(answer, Declined) else (Outcome.GIVEN, "")
        self._patience.note(authority.name, outcome, self._clock())
        self._observer.answered(STAMP, authority.name, outcome, detail)
        if isinstance(answer, bytes):
            await asyncio.to_thread(self._log.keep_stamp, size, authority.name, answer)
        return isinstance(answer, bytes)


async def _all(asked: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of them give, once all have ended: what an earlier look left behind must not answer a later one."""
    found = await asyncio.gather(*asked, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return [each for each in found if not isinstance(each, BaseException)]


def _in_time(signature: Signature, now: float) -> Signature | Declined:
    """A cosignature by a clock that is wrong is no anchor: neither its time nor what came before it can be believed."""
    ahead = time_of(signature) - now
    if abs(ahead) <= MAX_CLOCK_S:
        return signature
    return Declined(Outcome.BROKEN, f"its clock and ours differ by {round(abs(ahead))} s: which one is wrong?")


def _read(raw: bytes) -> tuple[Note, TreeHead]:
    try:
        note = parse(raw)
        return note, parse_head(note.text)
    except ValueError as exc:
        raise IntegrityError(f"reading a checkpoint: {exc}") from exc
