"""Proofs read from the tiles: consistency (RFC 6962 §2.1.2) and inclusion (§2.1.1)."""

from __future__ import annotations

from storage.archive.merkle import EMPTY_ROOT, node_hash, root_of
from storage.ledger.tiles import WIDTH, Read, read_tile

_TILE_BITS = 8


class TreeReader:
    """Hashes of a log of a given size; tiles are read once.

    Args:
        read: Reads an object of the log.
        size: Size of the log whose tiles these are; partial tiles follow from it.
    """

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self._size = size
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def root(self, size: int) -> bytes:
        """The root of the first `size` entries."""
        return self._range(0, size) if size else EMPTY_ROOT

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the log of size `new` begins with the log of size `old`; empty where none is needed."""
        if not 0 < old < new <= self._size:
            return []
        return self._subproof(old, 0, new, whole=True)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The path of entry `index` in the log of size `size`, the leaf's sibling first."""
        path: list[bytes] = []
        low, high = 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._range(middle, high))
                high = middle
            else:
                path.append(self._range(low, middle))
                low = middle
        return path[::-1]

    def _subproof(self, old: int, low: int, high: int, *, whole: bool) -> list[bytes]:
        """SUBPROOF of RFC 6962; `whole` says that the old tree is known to the reader of the proof."""
        if old == high - low:
            return [] if whole else [self._range(low, high)]
        middle = low + _split(high - low)
        if low + old <= middle:
            return [*self._subproof(old, low, middle, whole=whole), self._range(middle, high)]
        return [*self._subproof(low + old - middle, middle, high, whole=False), self._range(low, middle)]

    def _range(self, low: int, high: int) -> bytes:
        """Root of the entries from `low` up to `high`, excluded."""
        count = high - low
        if count & (count - 1) == 0 and low % count == 0:
            return self._complete(low, count)
        middle = low + _split(count)
        return node_hash(self._range(low, middle), self._range(middle, high))

    def _complete(self, low: int, count: int) -> bytes:
        """Root of a complete subtree."""
        level, bits = divmod(count.bit_length() - 1, _TILE_BITS)
        number, start = divmod(low >> (_TILE_BITS * level), WIDTH)
        hashes = self._tile(level, number)
        return root_of(hashes[start : start + (1 << bits)])

    def _tile(self, level: int, number: int) -> list[bytes]:
        place = (level, number)
        if place not in self._tiles:
            width = min(WIDTH, (self._size >> (_TILE_BITS * level)) - number * WIDTH)
            self._tiles[place] = read_tile(self._read, level, number, width)
        return self._tiles[place]


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)
