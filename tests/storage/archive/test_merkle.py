"""Vectors: the reference tree of certificate-transparency (merkletree tests), 8 leaves."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.identity import leaf_hash
from storage.archive.merkle import EMPTY_ROOT, Frontier, includes, inclusion_path, node_hash, root_of
from storage.verify.reading import root_over

INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(bytes.fromhex(text)) for text in INPUTS]


def test_the_root_of_nothing_is_the_hash_of_nothing():
    assert root_of([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()
    assert root_over([]) == EMPTY_ROOT.hex()


def test_leaves_and_nodes_have_their_own_prefixes():
    assert leaf_hash(b"") == hashlib.sha256(b"\x00").digest()
    assert node_hash(b"l", b"r") == hashlib.sha256(b"\x01lr").digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_those_of_the_reference_tree(size: int):
    assert root_of(LEAVES[:size]).hex() == ROOTS[size - 1]
    assert root_over(LEAVES[:size]) == ROOTS[size - 1]


def test_an_audit_path_is_that_of_the_reference_tree():
    assert [node.hex() for node in inclusion_path(LEAVES, 5)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@given(st.integers(1, 70))
def test_every_leaf_is_proven_by_its_path_and_by_no_other(size: int):
    leaves = [leaf_hash(b"%d" % i) for i in range(size)]
    root = root_of(leaves)
    assert root.hex() == root_over(leaves)
    for index in range(size):
        path = inclusion_path(leaves, index)
        assert includes(root, size, leaves[index], index, path)
        assert not includes(root, size, leaves[index], (index + 1) % size, path) or size == 1
        assert not includes(root, size, leaf_hash(b"other"), index, path)
        assert not includes(root, size, leaves[index], index, [*path, root])
        assert not includes(root, size, leaves[index], index, path[:-1]) or size == 1


def test_a_frontier_keeps_few_hashes():
    tree = Frontier()
    for i in range(1000):
        tree.append(leaf_hash(b"%d" % i))
    assert tree.size == 1000
    assert len(tree._subtrees) == (1000).bit_count()


@pytest.mark.parametrize("index", [-1, 8])
def test_a_leaf_that_is_not_there_has_no_path(index: int):
    with pytest.raises(IndexError):
        inclusion_path(LEAVES, index)
    assert not includes(bytes.fromhex(ROOTS[7]), 8, LEAVES[0], index, [])
