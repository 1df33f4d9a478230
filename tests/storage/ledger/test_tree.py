"""Tiles and proofs against the published vectors of Certificate Transparency and against the plain definition."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.schema.errors import IntegrityError
from ingest.schema.identity import leaf_hash
from storage.archive.merkle import consistent, includes, root_of
from storage.ledger.proofs import TreeReader
from storage.ledger.tiles import Edge, read_edge, tile_path

# The tree of google/certificate-transparency's tests: eight leaves, and proofs between its sizes.
CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
CT_CONSISTENCY = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
ENTRIES = [b"%d" % number for number in range(70_000)]


def grown(sizes: list[int]) -> tuple[Edge, dict[str, bytes]]:
    """A log that had these sizes, with every object it ever made."""
    edge, objects = Edge(), {}
    for size in sizes:
        edge, made = edge.grow(ENTRIES[edge.size : size])
        objects |= made
    return edge, objects


def test_the_published_tree_has_its_published_root_and_proofs():
    edge, objects = Edge().grow(CT_LEAVES)
    assert edge.root().hex() == CT_ROOT
    for (old, new), expected in CT_CONSISTENCY.items():
        tree = TreeReader(objects.get, 8)
        proof = tree.consistency(old, new)
        assert [each.hex() for each in proof] == expected
        assert consistent(old, tree.root(old), new, tree.root(new), proof)


@pytest.mark.parametrize(
    ("number", "path"), [(0, "tile/0/000"), (273, "tile/0/273"), (1_234_067, "tile/0/x001/x234/067")]
)
def test_a_tile_lies_where_the_specification_says(number: int, path: str):
    assert tile_path(0, number) == path
    assert tile_path("entries", number, 7) == path.replace("/0/", "/entries/", 1) + ".p/7"


@pytest.mark.parametrize(
    ("size", "files"),
    [
        (0, set()),
        (1, {"tile/0/000.p/1", "tile/entries/000.p/1"}),
        (255, {"tile/0/000.p/255", "tile/entries/000.p/255"}),
        (256, {"tile/0/000", "tile/entries/000", "tile/1/000.p/1"}),
        (257, {"tile/0/000", "tile/entries/000", "tile/1/000.p/1", "tile/0/001.p/1", "tile/entries/001.p/1"}),
    ],
)
def test_a_log_of_a_size_has_exactly_these_files(size: int, files: set[str]):
    assert set(grown([size])[1]) == files


def test_a_log_of_seventy_thousand_entries_has_three_levels():
    edge, objects = grown([70_000])
    assert len(objects) == 551  # and the checkpoint
    assert {"tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"} < set(objects)
    assert edge.root() == root_of(map(leaf_hash, ENTRIES))


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.integers(1, 300), min_size=1, max_size=8), seed=st.integers(0, 1000))
def test_however_a_log_grew_its_edge_root_and_proofs_are_those_of_its_entries(steps: list[int], seed: int):
    sizes = [sum(steps[: number + 1]) for number in range(len(steps))]
    edge, objects = grown(sizes)
    leaves = list(map(leaf_hash, ENTRIES[: edge.size]))
    assert edge.root() == root_of(leaves)
    assert read_edge(objects.get, edge.size) == edge
    tree = TreeReader(objects.get, edge.size)
    draw = random.Random(seed)
    index, old = draw.randrange(edge.size), draw.randrange(edge.size + 1)
    assert includes(edge.root(), edge.size, leaves[index], index, tree.inclusion(index, edge.size))
    proof = tree.consistency(old, edge.size)
    assert tree.root(old) == root_of(leaves[:old])
    assert consistent(old, root_of(leaves[:old]), edge.size, edge.root(), proof)
    if proof:
        broken = list(proof)
        at = draw.randrange(len(proof))
        broken[at] = bytes([broken[at][0] ^ 1]) + broken[at][1:]
        assert not consistent(old, root_of(leaves[:old]), edge.size, edge.root(), broken)
        assert not consistent(old, root_of(leaves[:old]), edge.size, edge.root(), proof[:-1])
        assert not consistent(old, root_of(leaves[:old]), edge.size, edge.root(), [*proof, proof[0]])


@pytest.mark.parametrize(("old", "new"), [(0, 5), (5, 5)])
def test_a_proof_where_none_is_needed_is_refused(old: int, new: int):
    root = root_of(map(leaf_hash, ENTRIES[:5]))
    assert consistent(old, root if old else b"", new, root, [])
    assert not consistent(old, root if old else b"", new, root, [root])
    assert not consistent(6, root, 5, root, [])


@pytest.mark.parametrize("damage", [lambda body: body[:-1], lambda body: body + b"\0", lambda _: b""])
def test_a_damaged_tile_is_never_read(damage):
    _, objects = grown([300])
    for path in ("tile/0/001.p/44", "tile/entries/001.p/44"):
        changed = objects | {path: damage(objects[path])}
        with pytest.raises(IntegrityError):
            read_edge(changed.get, 300)
