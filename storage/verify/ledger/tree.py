"""Merkle trees of RFC 6962: roots while leaves go by, and paths from a leaf to a root."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

EMPTY_ROOT = hashlib.sha256(b"").digest()
_PAIRS = struct.Struct("64s").iter_unpack


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962 §2.1."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 §2.1."""
    return hashlib.sha256(b"\1" + left + right).digest()


@dataclass(slots=True)
class Growing:
    """A tree whose leaves come one by one; keeps one hash per bit of its size.

    Attributes:
        size: Leaves so far.
    """

    size: int = 0
    _complete: list[bytes] = field(default_factory=list)

    def add(self, leaf: bytes) -> None:
        """The next leaf hash."""
        rest = self.size
        while rest & 1:
            leaf = node_hash(self._complete.pop(), leaf)
            rest >>= 1
        self._complete.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root over the leaves so far."""
        if not self._complete:
            return EMPTY_ROOT
        *left, root = self._complete
        for each in reversed(left):
            root = node_hash(each, root)
        return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    tree = Growing()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def root_by_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a leaf and its path give (RFC 9162 §2.1.3.2); None where the path has not the right length."""
    if not 0 <= index < size:
        return None
    number, last, root = index, size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if number & 1 or number == last:
            root = node_hash(step, root)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            root = node_hash(root, step)
        number, last = number >> 1, last >> 1
    return root if last == 0 else None


def path_and_root(leaves: bytes, index: int) -> tuple[list[bytes], bytes]:
    """The path of a leaf in the tree of these leaves, 32 bytes each, its sibling first; and the root.

    Level by level over one run of bytes: a segment has up to 10,000 leaves, and a proof is made while somebody waits.
    """
    path: list[bytes] = []
    level, number, begun = leaves, index, hashlib.sha256(b"\1").copy  # a copy costs less than a new one
    while (count := len(level) // 32) > 1:
        sibling = number ^ 1
        if sibling < count:
            path.append(level[32 * sibling : 32 * sibling + 32])
        whole = 64 * (count // 2)
        above: list[bytes] = []
        for (pair,) in _PAIRS(level[:whole]):
            node = begun()
            node.update(pair)
            above.append(node.digest())
        level = b"".join(above) + level[whole:]  # an odd one moves up as it is
        number //= 2
    return path, level
