"""Reads the tiles and bundles of a log (https://c2sp.org/tlog-tiles), also while it grows."""

from __future__ import annotations

from dataclasses import dataclass

from storage.verify.findings import Kind
from storage.verify.ledger.tree import root_of
from storage.verify.places import Place

WIDTH = 256
HASH_BYTES = 32


class WrongTile(ValueError):
    """A tile or bundle is missing or of a wrong size.

    Attributes:
        kind: `MISSING` or `ALTERED`.
    """

    def __init__(self, kind: Kind, what: str, key: str) -> None:
        super().__init__(what)
        self.kind = kind
        self.key = key


def tile_name(number: int) -> str:
    """Three digits a group, an ``x`` before all but the last."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


@dataclass(frozen=True, slots=True)
class Tiles:
    """The tiles of a log of a given size.

    Attributes:
        root: Folder of the log, with a slash at its end.
    """

    place: Place
    root: str
    size: int

    def count(self, level: int) -> int:
        """Hashes at a level."""
        return self.size >> (8 * level)

    def entries(self, number: int) -> tuple[list[bytes], str]:
        """The entries of a bundle, and its key.

        Raises:
            WrongTile: It is missing, or no bundle.
        """
        width = min(WIDTH, self.size - number * WIDTH)
        body, key, stored = self._stored("entries", number, width)
        entries: list[bytes] = []
        at = 0
        while at < len(body):
            start = at + 2
            at = start + int.from_bytes(body[at:start])
            entries.append(body[start:at])
        if at != len(body) or len(entries) != stored:
            raise WrongTile(Kind.ALTERED, f"no bundle of {stored} entries", key)
        return entries[:width], key

    def hashes(self, level: int, number: int) -> tuple[list[bytes], str]:
        """The hashes of a tile, and its key.

        Raises:
            WrongTile: It is missing, or has not the length that it must have.
        """
        width = min(WIDTH, self.count(level) - number * WIDTH)
        body, key, stored = self._stored(str(level), number, width)
        if len(body) != stored * HASH_BYTES:
            raise WrongTile(Kind.ALTERED, f"no tile of {stored} hashes", key)
        return [body[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)], key

    def path(self, index: int) -> list[bytes]:
        """The inclusion path of an entry, its sibling first.

        Raises:
            WrongTile: A tile is missing or of a wrong size.
        """
        path: list[bytes] = []
        low, high = 0, self.size
        while high - low > 1:
            middle = low + (1 << ((high - low - 1).bit_length() - 1))
            if index < middle:
                path.append(self._range(middle, high))
                high = middle
            else:
                path.append(self._range(low, middle))
                low = middle
        return path[::-1]

    def _range(self, low: int, high: int) -> bytes:
        """Root over the entries from `low` up to `high`, excluded; a left part of it is a complete subtree."""
        count = high - low
        half = 1 << (count.bit_length() - 1)
        if half != count:
            return root_of_two(self._range(low, low + half), self._range(low + half, high))
        level, bits = divmod(count.bit_length() - 1, 8)
        number, start = divmod(low >> (8 * level), WIDTH)
        return root_of(self.hashes(level, number)[0][start : start + (1 << bits)])

    def _stored(self, level: str, number: int, width: int) -> tuple[bytes, str, int]:
        """The bytes, key and width of what is stored: of this width, the full one, or a wider partial one."""
        full = f"{self.root}tile/{level}/{tile_name(number)}"
        keys = {WIDTH: full} if width == WIDTH else {width: f"{full}.p/{width}", WIDTH: full}
        for stored, key in keys.items():
            if (body := self.place.read(key)) is not None:
                return body, key, stored
        for stored in sorted(_widths(self.place, f"{full}.p")) if width < WIDTH else ():
            key = f"{full}.p/{stored}"
            if stored > width and (body := self.place.read(key)) is not None:
                return body, key, stored
        what = "entries" if level == "entries" else "hashes"
        raise WrongTile(Kind.MISSING, f"a tile of {width} {what} is gone", next(iter(keys.values())))


def root_of_two(left: bytes, right: bytes) -> bytes:
    """The root over two subtrees."""
    return root_of((left, right))


def _widths(place: Place, folder: str) -> set[int]:
    try:
        return {int(name) for name in place.names(folder) if name.isdecimal()}
    except OSError:
        return set()  # no partial tile of this number: the caller says so
