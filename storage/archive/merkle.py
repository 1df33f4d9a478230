"""The Merkle tree of RFC 6962 §2.1 over leaf hashes (see `ingest.schema.identity.leaf_hash`).

https://www.rfc-editor.org/rfc/rfc6962#section-2.1; verification as in RFC 9162 §2.1.3.2 and §2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that grows leaf by leaf and keeps only its complete subtrees: O(log n) hashes."""

    def __init__(self) -> None:
        self.size = 0
        self._subtrees: list[bytes] = []  # roots of the complete subtrees, largest first

    def copy(self) -> Frontier:
        """One that grows apart from this one."""
        other = Frontier()
        other.size, other._subtrees = self.size, list(self._subtrees)
        return other

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash (32 bytes)."""
        self._subtrees.append(leaf)
        self.size += 1
        size = self.size
        while size % 2 == 0:
            right = self._subtrees.pop()
            self._subtrees[-1] = node_hash(self._subtrees[-1], right)
            size //= 2

    def root(self) -> bytes:
        """The root over the leaves so far."""
        if not self._subtrees:
            return EMPTY_ROOT
        root = self._subtrees[-1]
        for left in reversed(self._subtrees[:-1]):
            root = node_hash(left, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path PATH(index, leaves), from the leaf upwards.

    Raises:
        IndexError: There is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of a tree with {len(leaves)}")
    path: list[bytes] = []
    low, high = 0, len(leaves)
    while high - low > 1:
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        if index < middle:
            path.append(root_of(leaves[middle:high]))
            high = middle
        else:
            path.append(root_of(leaves[low:middle]))
            low = middle
    return path[::-1]


def includes(root: bytes, size: int, leaf: bytes, index: int, path: Sequence[bytes]) -> bool:
    """Whether `path` proves that `leaf` is number `index` of the tree of `size` leaves under `root`."""
    if not 0 <= index < size:
        return False
    number, last, current = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if number % 2 or number == last:
            current = node_hash(sibling, current)
            while number % 2 == 0 and number:
                number >>= 1
                last >>= 1
        else:
            current = node_hash(current, sibling)
        number >>= 1
        last >>= 1
    return last == 0 and current == root


def consistent(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` proves that the tree of `new_size` leaves begins with that of `old_size`."""
    if old_size == 0 or old_size >= new_size:
        return not path and (old_size == 0 or (old_size == new_size and old_root == new_root))
    # A complete old tree is itself the first hash of the path; it is left out of the proof.
    hashes = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    number, last = old_size - 1, new_size - 1
    while number % 2:
        number >>= 1
        last >>= 1
    if not hashes:
        return False
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if number % 2 or number == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while number % 2 == 0 and number:
                number >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        number >>= 1
        last >>= 1
    return last == 0 and (old, new) == (old_root, new_root)
