"""Roots and inclusion paths are those of pymerkle, whose proofs of consistency have another form than RFC 6962."""

from __future__ import annotations

import pytest
from pymerkle import InmemoryTree

from ingest.schema.identity import leaf_hash
from storage.archive.merkle import consistent, includes, inclusion_path, root_of
from storage.ledger.proofs import TreeReader
from storage.ledger.tiles import Edge
from storage.verify.ledger.tree import path_and_root, root_by_path

SIZES = [*range(1, 40), 255, 256, 257, 300]
ENTRIES = [b"entry %d" % number for number in range(SIZES[-1])]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


@pytest.fixture(scope="module")
def oracle() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    for entry in ENTRIES:
        tree.append_entry(entry)
    return tree


@pytest.fixture(scope="module")
def log() -> TreeReader:
    _, objects = Edge().grow(ENTRIES)
    return TreeReader(objects.get, len(ENTRIES))


@pytest.mark.parametrize("size", SIZES)
def test_roots_and_inclusion_paths_are_the_same(oracle: InmemoryTree, log: TreeReader, size: int):
    root = oracle.get_root(size)
    assert root_of(LEAVES[:size]) == log.root(size) == root
    for index in {0, size // 2, size - 1}:
        leaf, *path = map(bytes.fromhex, oracle.prove_inclusion(index + 1, size).serialize()["path"])
        assert leaf == LEAVES[index]
        assert inclusion_path(LEAVES[:size], index) == log.inclusion(index, size) == path
        assert path_and_root(b"".join(LEAVES[:size]), index) == (path, root)
        assert includes(root, size, leaf, index, path)
        assert root_by_path(leaf, index, size, path) == root


@pytest.mark.parametrize("size", SIZES)
def test_proofs_of_consistency_hold_between_its_roots(oracle: InmemoryTree, log: TreeReader, size: int):
    for old in {1, size // 2 or 1, size}:
        proof = log.consistency(old, size)
        assert consistent(old, oracle.get_root(old), size, oracle.get_root(size), proof)
