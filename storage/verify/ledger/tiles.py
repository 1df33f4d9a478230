"""Reads the tiles and bundles of a log (https://c2sp.org/tlog-tiles), also while it grows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from storage.verify.findings import Finding, Kind, Site
from storage.verify.ledger.tree import leaf_hash, root_of
from storage.verify.places import Place

WIDTH = 256
HASH_BYTES = 32
BUNDLES = "entries"
_TILE = re.compile(r"tile/(entries|[0-9]|[1-9][0-9])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_ATTEMPTS = 3
"""A growing log replaces its partial tiles while they are read."""


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
    _read: dict[tuple[str, int], str] = field(default_factory=dict)

    def count(self, level: str) -> int:
        """Entries or hashes at a level."""
        return self.size if level == BUNDLES else self.size >> (8 * int(level))

    def key(self, level: str, number: int) -> str:
        """Where a tile or bundle lies; of what was read, the very object."""
        return self._read.get((level, number)) or f"{self.root}tile/{level}/{tile_name(number)}"

    def has_entries(self, upto: int) -> bool:
        """Whether there is an object with the entry before `upto`; true where `upto` is 0."""
        try:
            number = (upto - 1) // WIDTH
            if upto > 0:
                self._stored(BUNDLES, number, min(WIDTH, self.size - number * WIDTH))
        except WrongTile:
            return False
        return True

    def entries(self, number: int) -> list[bytes]:
        """The entries of a bundle.

        Raises:
            WrongTile: It is missing, or no bundle.
        """
        width = min(WIDTH, self.size - number * WIDTH)
        body, stored = self._stored(BUNDLES, number, width)
        entries: list[bytes] = []
        at = 0
        while at < len(body):
            start = at + 2
            at = start + int.from_bytes(body[at:start])
            entries.append(body[start:at])
        if at != len(body) or len(entries) != stored:
            raise WrongTile(Kind.ALTERED, f"no bundle of {stored} entries", self.key(BUNDLES, number))
        return entries[:width]

    def all_entries(self) -> Iterator[tuple[int, bytes]]:
        """Every entry with its index.

        Raises:
            WrongTile: A bundle is missing, or none.
        """
        for number in range(-(-self.size // WIDTH)):
            yield from enumerate(self.entries(number), number * WIDTH)

    def hashes(self, level: int, number: int) -> list[bytes]:
        """The hashes of a tile.

        Raises:
            WrongTile: It is missing, or has not the length that it must have.
        """
        width = min(WIDTH, self.count(str(level)) - number * WIDTH)
        body, stored = self._stored(str(level), number, width)
        if len(body) != stored * HASH_BYTES:
            raise WrongTile(Kind.ALTERED, f"no tile of {stored} hashes", self.key(str(level), number))
        return [body[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]

    def others(self, site: Site, *, growing: bool) -> Iterator[Finding]:
        """What lies beside the tiles that were read: superseded partial ones, which must say the same, and strangers.

        Args:
            site: The log.
            growing: It is larger by now, or is about to be.
        """
        read = set(self._read.values())
        for key in self.place.walk(f"{self.root}tile"):
            match = _TILE.fullmatch(key.removeprefix(self.root))
            if match is None or int(match[3] or 0) >= WIDTH:
                yield site.finding(Kind.INSERTED, "no tile, among tiles", key=key)
            elif key not in read:
                number = int(match[2].replace("x", "").replace("/", ""))
                yield from self._beside(site, key, (match[1], number, int(match[3] or WIDTH)), growing=growing)

    def _beside(self, site: Site, key: str, place: tuple[str, int, int], *, growing: bool) -> Iterator[Finding]:
        level, number, width = place
        if number * WIDTH + width > self.count(level):
            if not growing:
                yield site.finding(Kind.INSERTED, f"beyond the {self.size} entries of the log", key=key)
            return
        try:
            parts = self.entries(number) if level in (BUNDLES, "0") else self.hashes(int(level), number)
        except WrongTile:
            return  # is a finding already
        if level == BUNDLES:
            parts = [len(entry).to_bytes(2) + entry for entry in parts]
        elif level == "0":
            parts = list(map(leaf_hash, parts))
        body = self.place.read(key)
        if body is not None and body != b"".join(parts[:width]):
            yield site.finding(Kind.ALTERED, "not what the wider one says", key=key, entry=number * WIDTH)

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
            return root_of((self._range(low, low + half), self._range(low + half, high)))
        level, bits = divmod(count.bit_length() - 1, 8)
        number, start = divmod(low >> (8 * level), WIDTH)
        return root_of(self.hashes(level, number)[start : start + (1 << bits)])

    def _stored(self, level: str, number: int, width: int) -> tuple[bytes, int]:
        """The bytes and width of what is stored: of this width, the full one, or a wider partial one."""
        full = f"{self.root}tile/{level}/{tile_name(number)}"
        for _ in range(_ATTEMPTS):
            widths = [width, *(stored for stored in self._widths(f"{full}.p") if stored > width), WIDTH]
            for stored in dict.fromkeys(widths if width < WIDTH else [WIDTH]):
                key = full if stored == WIDTH else f"{full}.p/{stored}"
                if (body := self.place.read(key)) is not None:
                    self._read[level, number] = key
                    return body, stored
        what = "entries" if level == BUNDLES else "hashes"
        key = full if width == WIDTH else f"{full}.p/{width}"
        raise WrongTile(Kind.MISSING, f"a tile of {width} {what} is gone", key)

    def _widths(self, folder: str) -> list[int]:
        try:
            return sorted(int(name) for name in self.place.names(folder) if name.isdecimal())
        except OSError:
            return []  # no partial tile of this number: the caller says so
