"""Code of other authors takes the proof of an entry out of our proofs of records, and refuses what was changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.ledger.signing import VerifierKey
from storage.verify.places import Directory
from storage.verify.proof.making import Asked, make_proof
from storage.verify.reading import canonical
from tests.storage.archive.samples import TOPIC
from tests.storage.ledger.foreign.running import proven_by_notecheck
from tests.storage.verify.ledger.samples import MadeArchive, witness

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
WITNESSES = ["w.example/1", "w.example/2"]


def anchored(root: Path, beats: int) -> tuple[MadeArchive, list[VerifierKey]]:
    """An archive whose log two witnesses cosigned, and the keys: that of the log first."""
    made = MadeArchive(root)
    made.seal(6, [2])
    made.enter()
    for _ in range(beats):
        made.beat(passed=1)
    made.anchor(WITNESSES)
    own = made.keys.newest(made.clock()).verifier_keys(made.origin())
    return made, [own[0], *(witness(name).key for name in WITNESSES), own[1]]


@pytest.mark.parametrize("beats", [0, 3, 252, 300])
def test_foreign_code_accepts_the_inclusion_of_a_manifest_in_the_ledger(tmp_path: Path, beats: int):
    made, keys = anchored(tmp_path, beats)
    for offset, index in ((1, 2), (4, 3)):  # entries 0 and 1 are the keys and the settings
        proof = make_proof(Directory(made.root), Asked(TOPIC, 0, offset, 0, "acme"))
        entry = canonical(proof.manifest)
        assert proven_by_notecheck(proof.ledger.encode().encode(), entry, keys, tmp_path) == [index, beats + 4, 4]


def test_foreign_code_refuses_another_entry_index_path_checkpoint_or_witness(tmp_path: Path):
    made, keys = anchored(tmp_path, 40)
    proof = make_proof(Directory(made.root), Asked(TOPIC, 0, 1, 0, "acme"))
    text, entry = proof.ledger.encode(), canonical(proof.manifest)
    lines = text.splitlines(keepends=True)
    assert proven_by_notecheck(text.encode(), entry, keys, tmp_path)
    for changed in (
        text.replace("index 2\n", "index 3\n"),
        "".join([*lines[:3], *lines[4:]]),
        text.replace("\n44\n", "\n45\n"),
        text.replace("index 2\n", ""),
    ):
        assert changed != text
        assert proven_by_notecheck(changed.encode(), entry, keys, tmp_path) == []
    assert proven_by_notecheck(text.encode(), entry + b" ", keys, tmp_path) == []
    assert proven_by_notecheck(text.encode(), entry, [*keys, witness("w.example/3").key], tmp_path) == []
