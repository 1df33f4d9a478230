"""Checks one log of one namespace: its checkpoints, its tiles and its entries against each other and the pinned keys.

All entries are read and all hashes made anew, so that every stored checkpoint is compared with the root over exactly
the entries that it covers: that is stronger than a consistency proof between any two of them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from storage.verify.findings import Checking, Finding, Kind, Site, Summary
from storage.verify.ledger.anchors import Anchor, Anchors
from storage.verify.ledger.entries import Told
from storage.verify.ledger.lock import check_lock
from storage.verify.ledger.notes import Checkpoint, parse_checkpoint
from storage.verify.ledger.pins import Pins
from storage.verify.ledger.signatures import wrong_signatures
from storage.verify.ledger.tiles import WIDTH, Tiles, WrongTile
from storage.verify.ledger.tree import Growing, leaf_hash, root_of
from storage.verify.places import Place

_TILE = re.compile(r"tile/(entries|[0-9]{1,2})/(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?")
_MOST_NAMED = 1000  # altered entries or hashes of a log that are named one by one


@dataclass(slots=True)
class LogCheck:
    """Checks a log; afterwards `told` is what its entries say.

    Args:
        place: The archive.
        namespace: Whose.
        epoch: Name of the folder of the log.
        pins: What is trusted.
        continued: The checkpoint of this log that the next epoch vouches for, if there is one.
    """

    place: Place
    namespace: str
    epoch: str
    pins: Pins
    summary: Summary
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    continued: str = ""
    told: Told = field(init=False)
    head: Checkpoint | None = field(init=False, default=None)
    sound: bool = field(init=False, default=False)
    _roots: dict[int, tuple[bytes, bytes]] = field(init=False, default_factory=dict)
    _differing: list[int] = field(init=False, default_factory=list)

    @property
    def root(self) -> str:
        """Folder of the log."""
        return f"{self.namespace}/log/{self.epoch}/"

    @property
    def site(self) -> Site:
        """Where its findings are."""
        return Site(namespace=self.namespace, key=self.root)

    def check(self) -> Iterator[Finding]:
        """Everything that is wrong with it."""
        # What may lag is read before what it must not lead, so that a growing log is fine.
        anchors = Anchors(self.place, self.namespace, self.epoch)
        yield from anchors.read()
        stored = [anchor.checkpoint for anchor in anchors.found]
        published = yield from self._published()
        self.head = max([published, *stored] if published else stored, key=lambda each: each.size, default=None)
        if self.head is None:
            return
        self.told = Told(self.site, self.head.origin, self.since, self.until)
        if published and self.head.size > published.size:
            detail = f"the published checkpoint has {published.size} entries, one of {self.head.size} is stored"
            yield self.site.finding(Kind.ROLLBACK, detail, key=f"{self.root}checkpoint")
        continued = yield from self._continued()
        checkpoints = [Anchor(f"{self.root}checkpoint", published)] if published else []
        checkpoints += anchors.found + continued
        yield from self._entries(Tiles(self.place, self.root, self.head.size), {c.checkpoint.size for c in checkpoints})
        yield from self._judged(self.head)
        for each in checkpoints:
            yield from self._checkpoint(each)
        yield from self._trust()
        yield from anchors.check(self.told, self.pins, self.head.size)
        yield from check_lock(self.place, self.root, self.told, self.head)
        yield from self._strangers()
        self.summary.entries += self.head.size

    def _published(self) -> Checking[Checkpoint | None]:
        """The published checkpoint."""
        key = f"{self.root}checkpoint"
        raw = self.place.read(key)
        if raw is None:
            yield self.site.finding(Kind.MISSING, "the log has no checkpoint", key=key)
            return None
        try:
            found = parse_checkpoint(raw)
        except ValueError as exc:
            yield self.site.finding(Kind.ALTERED, f"no checkpoint: {exc}", key=key)
            return None
        return found

    def _entries(self, tiles: Tiles, wanted: set[int]) -> Iterator[Finding]:
        """Read everything; keep the roots at the sizes that are wanted, and where entry and hash differ."""
        by_entry, by_hash = Growing(), Growing()
        above: list[bytes] = []
        self._keep(wanted, by_entry, by_hash)
        for number in range(-(-tiles.size // WIDTH)):
            entries, hashes = yield from self._block(tiles, number)
            for at, hashed in enumerate(hashes):
                index = by_hash.size
                leaf = hashed
                if entries is not None:
                    leaf = leaf_hash(entries[at])
                    yield from self.told.take(index, entries[at])
                if leaf != hashed and len(self._differing) < _MOST_NAMED:
                    self._differing.append(index)
                by_entry.add(leaf)
                by_hash.add(hashed)
                self._keep(wanted, by_entry, by_hash)
            if len(hashes) == WIDTH:
                above.append(root_of(hashes))
        yield from self._upper(tiles, above)

    def _keep(self, wanted: set[int], by_entry: Growing, by_hash: Growing) -> None:
        if by_entry.size in wanted:
            self._roots[by_entry.size] = (by_entry.root(), by_hash.root())

    def _block(self, tiles: Tiles, number: int) -> Checking[tuple[list[bytes] | None, list[bytes]]]:
        """The entries of a bundle (None: lost) and the hashes of its tile, made from the entries where they are lost."""
        entries: list[bytes] | None = None
        hashes: list[bytes] | None = None
        try:
            entries, _ = tiles.entries(number)
        except WrongTile as exc:
            yield self.site.finding(exc.kind, str(exc), key=exc.key, entry=number * WIDTH)
        try:
            hashes, _ = tiles.hashes(0, number)
        except WrongTile as exc:
            yield self.site.finding(exc.kind, str(exc), key=exc.key, entry=number * WIDTH)
        if hashes is None:
            width = min(WIDTH, tiles.size - number * WIDTH)
            hashes = [leaf_hash(entry) for entry in entries] if entries is not None else [bytes(32)] * width
        return entries, hashes

    def _upper(self, tiles: Tiles, made: list[bytes]) -> Iterator[Finding]:
        """Tiles above the leaves have the roots of the full tiles below."""
        level = 1
        while made:
            above: list[bytes] = []
            for number in range(-(-len(made) // WIDTH)):
                expected = made[number * WIDTH : (number + 1) * WIDTH]
                try:
                    hashes, key = tiles.hashes(level, number)
                except WrongTile as exc:
                    yield self.site.finding(exc.kind, str(exc), key=exc.key)
                else:
                    if hashes != expected:
                        yield self.site.finding(Kind.ALTERED, "not the hashes of the tiles below", key=key)
                if len(expected) == WIDTH:
                    above.append(root_of(expected))
            made, level = above, level + 1

    def _judged(self, head: Checkpoint) -> Iterator[Finding]:
        """Whether entries or hashes are wrong, by which of them gives the root of the newest checkpoint."""
        by_entry, by_hash = self._roots[head.size]
        self.sound = by_entry == head.root
        if self.sound:
            for number in sorted({index // WIDTH for index in self._differing}):
                key = f"{self.root}tile/0/"
                yield self.site.finding(
                    Kind.ALTERED, "hashes that are not those of the entries", key=key, entry=number * WIDTH
                )
            return
        for index in self._differing:
            detail = "the entry is not the one that its hash vouches for"
            yield self.site.finding(Kind.ALTERED, detail, key=f"{self.root}tile/entries/", entry=index)
        if by_hash != head.root:
            detail = f"the {head.size} entries do not give the root of the checkpoint"
            yield self.site.finding(Kind.ALTERED, detail, key=f"{self.root}checkpoint")

    def _checkpoint(self, stored: Anchor) -> Iterator[Finding]:
        """A stored checkpoint is signed by the keys of its size and has the root over the entries of its size."""
        checkpoint = stored.checkpoint
        details = wrong_signatures(checkpoint, self.told.signing(checkpoint.size), self.pins.of(checkpoint.origin))
        wrong = [self.site.finding(Kind.SIG, detail, key=stored.key) for detail in details]
        if checkpoint.origin != self.told.origin:
            detail = f"a checkpoint of the log {checkpoint.origin}"
            wrong.append(self.site.finding(Kind.INSERTED, detail, key=stored.key))
        elif not wrong and checkpoint is not self.head and checkpoint.root not in self._roots[checkpoint.size]:
            detail = f"the {checkpoint.size} entries that are here do not give its root"
            wrong.append(self.site.finding(self._contradiction(checkpoint), detail, key=stored.key))
        self.summary.checkpoints += not wrong
        yield from wrong

    def _contradiction(self, checkpoint: Checkpoint) -> Kind:
        """Two signed histories, where the entries prove one of them; else the entries may be what is wrong."""
        assert self.head is not None
        proven = self.head.root in self._roots[self.head.size]
        rival = checkpoint.size == self.head.size and checkpoint.root != self.head.root
        return Kind.SPLIT_VIEW if proven or rival else Kind.ALTERED

    def _trust(self) -> Iterator[Finding]:
        """The keys of the log are the pinned ones or follow from them."""
        pinned = self.pins.of(self.told.origin)
        if not pinned:
            detail = f"no key of {self.told.origin} is pinned: anybody may have signed this log"
            yield self.site.finding(Kind.UNCHECKED, detail)
        elif not any(window.key in pinned for window in self.told.keys):
            yield self.site.finding(Kind.SIG, f"the keys of {self.told.origin} are not those that were pinned")

    def _continued(self) -> Checking[list[Anchor]]:
        """The checkpoint by which the next epoch vouches for this one."""
        if not self.continued:
            return []
        key = f"{self.root}checkpoint"
        try:
            checkpoint = parse_checkpoint(self.continued.encode())
        except ValueError as exc:
            yield self.site.finding(Kind.ALTERED, f"what the next epoch continues is no checkpoint: {exc}", key=key)
            return []
        assert self.head is not None
        if checkpoint.size > self.head.size:
            detail = f"the next epoch continues {checkpoint.size} entries, {self.head.size} are here"
            yield self.site.finding(Kind.TRUNCATED, detail, key=key, entry=self.head.size)
            return []
        return [Anchor(key, checkpoint)]

    def _strangers(self) -> Iterator[Finding]:
        """What does not belong into the folder of a log."""
        for name in self.place.names(self.root):
            if name not in ("checkpoint", "lock.json", "staging/", "tile/"):
                yield self.site.finding(Kind.INSERTED, "not part of a log", key=self.root + name.rstrip("/"))
        for key in self.place.walk(f"{self.root}tile"):
            if not _TILE.fullmatch(key.removeprefix(self.root)):
                yield self.site.finding(Kind.INSERTED, "no tile, among tiles", key=key)
