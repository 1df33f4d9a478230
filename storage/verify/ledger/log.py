"""Checks a log of a namespace: its checkpoints, its tiles and its entries against each other and the pinned keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from storage.verify.findings import Checking, Finding, Kind, Site, Summary
from storage.verify.ledger.anchors import Anchor, Anchors, Witnessed
from storage.verify.ledger.contents import Contents
from storage.verify.ledger.entries import Told
from storage.verify.ledger.lock import Lock, read_lock
from storage.verify.ledger.notes import ED25519, Checkpoint, VerifierKey, as_witness, parse_checkpoint
from storage.verify.ledger.pins import NOTHING, Pins
from storage.verify.ledger.signatures import Judged, judge, signed_by
from storage.verify.ledger.tiles import WIDTH, Tiles
from storage.verify.places import Place
from storage.verify.scope import Scope


@dataclass(slots=True)
class LogCheck:
    """Checks a log; afterwards `told` is what its entries say.

    Args:
        place: The archive.
        namespace: Whose.
        epoch: Name of the folder of the log.
        continued: The checkpoint of this log that the next epoch vouches for, if there is one.

    Attributes:
        head: The newest checkpoint whose entries are here; None where nothing of the log can be read.
        sound: All its entries are here and are those that were signed.
    """

    place: Place
    namespace: str
    epoch: str
    scope: Scope
    summary: Summary
    continued: str = ""
    told: Told = field(init=False)
    head: Checkpoint | None = field(init=False, default=None)
    sound: bool = field(init=False, default=False)

    @property
    def root(self) -> str:
        """Folder of the log."""
        return f"{self.namespace}/log/{self.epoch}/"

    @property
    def site(self) -> Site:
        """Where its findings are."""
        return Site(namespace=self.namespace, key=self.root)

    @property
    def pins(self) -> Pins:
        """What is pinned."""
        return self.scope.pins or NOTHING

    def check(self) -> Iterator[Finding]:
        """Everything that is wrong with it."""
        # What may lag is read before what it must not lead, so that a growing log is fine.
        anchors = Anchors(self.place, self.namespace, self.epoch)
        yield from anchors.read()
        published = yield from self._parsed(self.place.read(f"{self.root}checkpoint"))
        lock = read_lock(self.place, self.root)
        stored = published + anchors.found
        self.head = self._newest(stored, lock)
        if self.head is None:
            yield self.site.finding(Kind.MISSING, "nothing of this log can be read: no checkpoint is left")
            return
        if not self.head.origin.endswith(f"/{self.namespace}/{self.epoch}"):
            yield self.site.finding(Kind.INSERTED, f"the log {self.head.origin} does not belong here")
        if published and max(each.checkpoint.size for each in stored) > published[0].checkpoint.size:
            detail = "a newer checkpoint than the published one was anchored"
            yield self.site.finding(Kind.ROLLBACK, detail, key=published[0].key)
        if self.continued:
            stored += yield from self._parsed(self.continued.encode())
        stored += [Anchor(key, each) for key, each in self.pins.checkpoints if each.origin == self.head.origin]
        self.told = Told(self.site, self.head.origin, self.scope)
        tiles = Tiles(self.place, self.root, self.head.size)
        sizes = {each.checkpoint.size for each in stored} | {self.head.size, lock.size}
        contents = Contents(tiles, self.told, self.site, sizes)
        yield from contents.read()
        witnessed = yield from self._checkpoints(stored, contents, lock)
        yield from self._trust(stored)
        yield from anchors.check(self.told, self.pins, witnessed)
        signed = self.head.size in {each.size for each in witnessed}
        yield from lock.check(self.told, self.head, signed=signed, sound=self.sound)
        yield from self._strangers(tiles, lock)
        if self.scope.end is not None:
            yield from self.told.silence(self.scope.end)
        self.summary.entries += self.head.size

    def _parsed(self, raw: bytes | None) -> Checking[list[Anchor]]:
        """The published checkpoint, or the one that the next epoch has of this one."""
        key = f"{self.root}checkpoint"
        if raw is None:
            yield self.site.finding(Kind.MISSING, "the log has no checkpoint", key=key)
            return []
        try:
            return [Anchor(key, parse_checkpoint(raw))]
        except ValueError as exc:
            yield self.site.finding(Kind.ALTERED, f"no checkpoint: {exc}", key=key)
            return []

    def _newest(self, stored: Sequence[Anchor], lock: Lock) -> Checkpoint | None:
        """The newest checkpoint whose entries are here; a forged size must not make us look for them without end.

        One of another log (a forged origin) comes last: it must not make all the others look like strangers.
        """
        pinned, own = self.pins.logs(), f"/{self.namespace}/{self.epoch}"
        candidates = sorted(
            (each.checkpoint for each in stored),
            key=lambda each: (each.origin in pinned, each.origin.endswith(own), each.size),
            reverse=True,
        )
        if lock.checkpoint is not None:
            candidates.append(lock.checkpoint)
        for lost in (0, 1):  # the end is here; or all but the newest bundle
            for each in candidates:
                if Tiles(self.place, self.root, each.size).has_entries(
                    (each.size - 1) // WIDTH * WIDTH if lost else each.size
                ):
                    return each
        return None

    def _checkpoints(self, stored: Sequence[Anchor], contents: Contents, lock: Lock) -> Checking[list[Witnessed]]:
        """Checks every checkpoint: signed as it must be, and with the root over the entries that it covers.

        Args:
            stored: All but that of the lock, which is checked for itself.
            contents: The entries.
            lock: Its checkpoint is one that the log signed too.
        """
        assert self.head is not None
        head = self.head
        witnesses = self.told.witnesses() + [as_witness(key) for key in self.pins.witnesses]
        kept = dict(self.pins.checkpoints)
        signed: list[tuple[Anchor, Judged]] = []
        for each in stored:
            if each.checkpoint.origin != head.origin:
                detail = f"a checkpoint of the log {each.checkpoint.origin}"
                yield self.site.finding(Kind.INSERTED, detail, key=each.key)
                continue
            if each.checkpoint.size > head.size and each.key in kept:  # by which keys, the entries can't tell any more
                signed.append((each, Judged()))
                continue
            judged = judge(each.checkpoint, self.told.keys, self.pins.of(head.origin), witnesses)
            for detail in judged.wrong:
                yield self.site.finding(Kind.SIG, detail, key=each.key)
            if not judged.wrong:
                signed.append((each, judged))
        deciding = next((each.checkpoint for each, _ in signed if each.checkpoint.size == head.size), head)
        self.sound = contents.whole and contents.agrees(deciding)
        yield from contents.differing(deciding)
        right: list[Witnessed] = []
        for each, judged in signed:
            checkpoint = each.checkpoint
            if checkpoint.size > head.size:
                detail = f"entries {head.size} to {checkpoint.size - 1}, which it covers, are gone"
                kind = Kind.ROLLBACK if each.key in kept else Kind.TRUNCATED
                yield self.site.finding(kind, detail, key=each.key, entry=head.size)
            elif contents.agrees(checkpoint):
                right.append(Witnessed(checkpoint.size, judged.cosigned))
                self.summary.checkpoints += 1
            else:
                others = [other.checkpoint for other, _ in signed]
                if lock.checkpoint is not None and not judge(lock.checkpoint, self.told.keys, [], witnesses).wrong:
                    others.append(lock.checkpoint)
                yield self._contradiction(each, others, contents)
        return right

    def _contradiction(self, stored: Anchor, signed: Sequence[Checkpoint], contents: Contents) -> Finding:
        """A signed checkpoint whose root the entries do not give: another signed history, or other entries."""
        own = stored.checkpoint
        assert self.head is not None
        size = self.head.size
        agreeing = [each.size for each in signed if each.size <= size and contents.agrees(each)]
        rival = any(each.size == own.size and each.root != own.root for each in signed)
        if rival or any(each >= own.size for each in agreeing):
            detail = f"the log also signed another history than the one that is here: {own.size} entries with its root"
            return self.site.finding(Kind.SPLIT_VIEW, detail, key=stored.key)
        start = max(agreeing, default=0)
        detail = f"among entries {start} to {own.size - 1} something is not what was signed"
        return self.site.finding(Kind.ALTERED, detail, key=stored.key, entry=start)

    def _trust(self, stored: Sequence[Anchor]) -> Iterator[Finding]:
        """The keys of the log are the pinned ones or follow from them.

        An Ed25519 key signs the change of keys that names it, so that one proves that its owner wanted the log. An
        ML-DSA-44 key must have signed a checkpoint.
        """
        pinned = self.pins.of(self.told.origin)
        if self.scope.pins is not None and not pinned:
            detail = f"no key of {self.told.origin} is pinned: anybody may have signed this log"
            yield self.site.finding(Kind.UNCHECKED, detail)
        else:
            yield from self._proven(pinned, [each.checkpoint for each in stored])

    def _proven(self, pinned: Sequence[VerifierKey], stored: Sequence[Checkpoint]) -> Iterator[Finding]:
        ours = [window.key for window in self.told.keys]
        known = [key for key in pinned if key in ours] if ours else pinned
        if pinned and not known:
            yield self.site.finding(Kind.SIG, f"the keys of {self.told.origin} are not those that were pinned")
        elif pinned and not any(
            (key in ours and key.algorithm == ED25519) or any(signed_by(each, key) for each in stored) for key in known
        ):
            detail = "no checkpoint that is here is signed by a pinned key: pin an Ed25519 key, or a newer one"
            yield self.site.finding(Kind.UNCHECKED, detail)

    def _strangers(self, tiles: Tiles, lock: Lock) -> Iterator[Finding]:
        """What does not belong into the folder of a log."""
        for name in self.place.names(self.root):
            if name not in ("checkpoint", "lock.json", "staging/", "tile/"):
                yield self.site.finding(Kind.INSERTED, "not part of a log", key=self.root + name.rstrip("/"))
        ahead = lock.checkpoint is not None and lock.checkpoint.size > tiles.size
        yield from tiles.others(self.site, growing=ahead or not lock.is_current())
