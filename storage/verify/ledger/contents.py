"""Reads every entry of a log and makes every hash anew, so that a root at any size is known from the bytes alone.

Comparing each stored checkpoint with the root over exactly the entries that it covers is stronger than a consistency
proof (RFC 9162 §2.1.4) between any two of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from storage.verify.findings import Checking, Finding, Kind, Site
from storage.verify.ledger.entries import Told
from storage.verify.ledger.notes import Checkpoint
from storage.verify.ledger.tiles import WIDTH, Tiles, WrongTile
from storage.verify.ledger.tree import Growing, leaf_hash, root_of

_MOST_NAMED = 1000  # altered entries or hashes of a log that are named one by one


@dataclass(slots=True)
class Contents:
    """The entries and hashes of a log.

    Args:
        tiles: Where they lie.
        told: Is told every entry.
        site: The log.
        wanted: Sizes at which the root is wanted.

    Attributes:
        whole: Every entry could be read.
    """

    tiles: Tiles
    told: Told
    site: Site
    wanted: Collection[int]
    whole: bool = field(init=False, default=True)
    _roots: dict[int, tuple[bytes, bytes]] = field(init=False, default_factory=dict)
    _differing: list[int] = field(init=False, default_factory=list)

    def read(self) -> Iterator[Finding]:
        """Read everything."""
        by_entry, by_hash = Growing(), Growing()
        above: list[bytes] = []
        self._keep(by_entry, by_hash)
        for number in range(-(-self.tiles.size // WIDTH)):
            entries, hashes = yield from self._block(number)
            for at, hashed in enumerate(hashes):
                index = by_hash.size
                leaf = hashed
                if entries is not None:
                    leaf = leaf_hash(entries[at])
                    yield from self.told.take(index, entries[at])
                else:
                    self.told.lose()
                if leaf != hashed and len(self._differing) < _MOST_NAMED:
                    self._differing.append(index)
                by_entry.add(leaf)
                by_hash.add(hashed)
                self._keep(by_entry, by_hash)
            if len(hashes) == WIDTH:
                above.append(root_of(hashes))
        yield from self._upper(above)

    def agrees(self, checkpoint: Checkpoint) -> bool:
        """Whether the entries give its root."""
        return self._roots[checkpoint.size][0] == checkpoint.root

    def differing(self, checkpoint: Checkpoint) -> Iterator[Finding]:
        """Entries or hashes that differ, whichever of the two a checkpoint over all of them contradicts."""
        by_entry, by_hash = self._roots[self.tiles.size]
        if by_entry == checkpoint.root:
            for number in sorted({index // WIDTH for index in self._differing}):
                detail = "hashes that are not those of the entries"
                key = self.tiles.key("0", number)
                yield self.site.finding(Kind.ALTERED, detail, key=key, entry=number * WIDTH)
            return
        for index in self._differing:
            detail = "the entry is not the one that its hash vouches for"
            key = self.tiles.key("entries", index // WIDTH)
            yield self.site.finding(Kind.ALTERED, detail, key=key, entry=index)
        if by_hash != checkpoint.root and not self._differing:
            detail = "entries and hashes agree with each other and not with the checkpoint"
            yield self.site.finding(Kind.ALTERED, detail)

    def _keep(self, by_entry: Growing, by_hash: Growing) -> None:
        if by_entry.size in self.wanted:
            self._roots[by_entry.size] = (by_entry.root(), by_hash.root())

    def _block(self, number: int) -> Checking[tuple[list[bytes] | None, list[bytes]]]:
        """The entries of a bundle and the hashes of its tile; where one is lost, None and what the other gives."""
        entries: list[bytes] | None = None
        hashes: list[bytes] | None = None
        try:
            entries = self.tiles.entries(number)
        except WrongTile as exc:
            self.whole = False
            yield self.site.finding(exc.kind, str(exc), key=exc.key, entry=number * WIDTH)
        try:
            hashes = self.tiles.hashes(0, number)
        except WrongTile as exc:
            yield self.site.finding(exc.kind, str(exc), key=exc.key, entry=number * WIDTH)
        if hashes is None:
            width = min(WIDTH, self.tiles.size - number * WIDTH)
            hashes = [leaf_hash(entry) for entry in entries] if entries is not None else [bytes(32)] * width
        return entries, hashes

    def _upper(self, made: list[bytes]) -> Iterator[Finding]:
        """Tiles above the leaves have the roots of the full tiles below."""
        level = 1
        while made:
            above: list[bytes] = []
            for number in range(-(-len(made) // WIDTH)):
                expected = made[number * WIDTH : (number + 1) * WIDTH]
                try:
                    if self.tiles.hashes(level, number) != expected:
                        key = self.tiles.key(str(level), number)
                        yield self.site.finding(Kind.ALTERED, "not the hashes of the tiles below", key=key)
                except WrongTile as exc:
                    yield self.site.finding(exc.kind, str(exc), key=exc.key)
                if len(expected) == WIDTH:
                    above.append(root_of(expected))
            made, level = above, level + 1
