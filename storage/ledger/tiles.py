"""The tiles of a log: where they lie, how they grow.  https://c2sp.org/tlog-tiles. Pure.

Level 0 holds the leaf hashes, 256 to a tile; a hash of level L + 1 is the RFC 6962 root of a full tile of level L.
Bundles hold the entries themselves, 256 to a bundle, each behind its length as a big-endian uint16.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import msgspec

from ingest.schema.errors import IntegrityError
from ingest.schema.identity import leaf_hash
from storage.archive.merkle import EMPTY_ROOT, node_hash, root_of

WIDTH = 256
HASH_BYTES = 32
MAX_ENTRY_BYTES = 65_535
BUNDLES = "entries"
_LENGTH = struct.Struct(">H")
_GROUP = 1000

Read = Callable[[str], bytes | None]
"""Reads an object of the log by its path; None where there is none."""


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Path of a tile or (level `BUNDLES`) a bundle; of a partial one where `width` is below 256."""
    groups = [f"{number % _GROUP:03d}"]
    while number := number // _GROUP:
        groups.insert(0, f"x{number % _GROUP:03d}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(groups)}{partial}"


class Edge(msgspec.Struct, frozen=True):
    """The right edge of a log: all that is needed to append to it.

    Attributes:
        size: Entries of the log.
        levels: Per level the hashes of its partial tile, 0 to 255 of them.
        entries: The entries of the partial bundle.
    """

    size: int = 0
    levels: tuple[tuple[bytes, ...], ...] = ()
    entries: tuple[bytes, ...] = ()

    def grow(self, entries: Sequence[bytes]) -> tuple[Edge, dict[str, bytes]]:
        """The edge after these entries, and the tiles and bundles that this makes, by path.

        Raises:
            IntegrityError: An entry is too long for a bundle.
        """
        size, levels, bundle = self.size, [list(level) for level in self.levels], list(self.entries)
        made: dict[str, bytes] = {}
        touched: set[int] = set()
        for entry in entries:
            if len(entry) > MAX_ENTRY_BYTES:
                raise IntegrityError(f"appending to the ledger: an entry of {len(entry)} bytes is above 65,535")
            size += 1
            bundle.append(entry)
            if len(bundle) == WIDTH:
                made[tile_path(BUNDLES, size // WIDTH - 1)] = pack_bundle(bundle)
                bundle = []
            touched |= _rise(levels, leaf_hash(entry), size, made)
        for level in touched:
            if hashes := levels[level]:
                made[tile_path(level, _units(size, level) // WIDTH, len(hashes))] = b"".join(hashes)
        if bundle:
            made[tile_path(BUNDLES, size // WIDTH, len(bundle))] = pack_bundle(bundle)
        return Edge(size, tuple(map(tuple, levels)), tuple(bundle)), made

    def root(self) -> bytes:
        """The RFC 6962 root of the whole log."""
        subtrees: list[bytes] = []  # roots of complete subtrees, largest first
        for hashes in reversed(self.levels):
            at = 0
            for bit in reversed(range(len(hashes).bit_length())):
                if len(hashes) & 1 << bit:
                    subtrees.append(root_of(hashes[at : at + (1 << bit)]))
                    at += 1 << bit
        root = subtrees.pop() if subtrees else EMPTY_ROOT
        for left in reversed(subtrees):
            root = node_hash(left, root)
        return root

    def partials(self) -> set[str]:
        """Paths of the partial tiles and of the partial bundle of this edge."""
        paths = {
            tile_path(level, _units(self.size, level) // WIDTH, len(hashes))
            for level, hashes in enumerate(self.levels)
            if hashes
        }
        if self.entries:
            paths.add(tile_path(BUNDLES, self.size // WIDTH, len(self.entries)))
        return paths


def read_edge(read: Read, size: int) -> Edge:
    """The edge of a log of this size, from its tiles.

    Raises:
        IntegrityError: A tile is missing or has not the length that it must have.
    """
    levels: list[tuple[bytes, ...]] = []
    while _units(size, len(levels)):
        level = len(levels)
        number, width = divmod(_units(size, level), WIDTH)
        levels.append(tuple(read_tile(read, level, number, width)) if width else ())
    number, width = divmod(size, WIDTH)
    return Edge(size, tuple(levels), tuple(read_bundle(read, number, width)) if width else ())


def read_tile(read: Read, level: int, number: int, width: int) -> list[bytes]:
    """The first `width` hashes of a tile, from the partial tile of that width or from the full one.

    Raises:
        IntegrityError: As for `read_edge`.
    """
    for stored in dict.fromkeys((width, WIDTH)):
        path = tile_path(level, number, stored)
        if (body := read(path)) is None:
            continue
        if len(body) != stored * HASH_BYTES:
            raise IntegrityError(f"reading ledger: a tile of {stored} hashes has {len(body)} bytes", where=path)
        return [body[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]
    raise IntegrityError("reading ledger: a tile is missing", where=tile_path(level, number, width))


def read_bundle(read: Read, number: int, width: int) -> list[bytes]:
    """The first `width` entries of a bundle, from the partial bundle of that width or from the full one.

    Raises:
        IntegrityError: It is missing or damaged.
    """
    for stored in dict.fromkeys((width, WIDTH)):
        path = tile_path(BUNDLES, number, stored)
        if (body := read(path)) is None:
            continue
        entries = _unpack_bundle(body)
        if entries is None or len(entries) != stored:
            raise IntegrityError(f"reading ledger: this is no bundle of {stored} entries", where=path)
        return entries[:width]
    raise IntegrityError("reading ledger: a bundle is missing", where=tile_path(BUNDLES, number, width))


def pack_bundle(entries: Sequence[bytes]) -> bytes:
    """The bytes of a bundle."""
    return b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)


def _unpack_bundle(body: bytes) -> list[bytes] | None:
    entries: list[bytes] = []
    at = 0
    while at < len(body):
        start = at + _LENGTH.size
        if start > len(body):
            return None
        at = start + _LENGTH.unpack_from(body, at)[0]
        entries.append(body[start:at])
    return entries if at == len(body) else None


def _rise(levels: list[list[bytes]], leaf: bytes, size: int, made: dict[str, bytes]) -> set[int]:
    """Add a leaf hash; a tile that becomes full is made and its root added one level up."""
    touched: set[int] = set()
    level, value = 0, leaf
    while True:
        if level == len(levels):
            levels.append([])
        levels[level].append(value)
        touched.add(level)
        if len(levels[level]) < WIDTH:
            return touched
        made[tile_path(level, _units(size, level) // WIDTH - 1)] = b"".join(levels[level])
        value = root_of(levels[level])
        levels[level] = []
        level += 1


def _units(size: int, level: int) -> int:
    """How many hashes a log of this size has at a level."""
    return size >> (8 * level)
