"""What the seal role writes, with witnesses that run and an authority that answers, is clean at every moment."""

from __future__ import annotations

from pathlib import Path

from storage.verify.findings import Kind, Summary
from storage.verify.places import Directory
from storage.verify.proof.checking import check_proof
from storage.verify.proof.making import Asked, make_proof
from tests.storage.archive.samples import TOPIC
from tests.storage.verify.ledger.scene import Scene


async def test_what_the_seal_role_writes_is_clean_at_every_moment(tmp_path: Path):
    scene = Scene(tmp_path)
    await scene.work(0, 4)
    assert scene.found() == []
    await scene.work(4, 9)
    assert scene.found() == []
    for _ in range(4):
        scene.made.clock.pass_(59)
        assert scene.notary.tell_idle(scene.chains()) == 1
        await scene.look()
        assert scene.found() == []
    scene.made.keys.add(scene.made.clock(), not_before=scene.made.clock(), days=300)
    await scene.work(9, 14)
    assert scene.found() == []
    summary = Summary()
    assert scene.found(summary) == []
    assert (summary.entries, summary.checkpoints) == (10, 7)
    checked = check_proof(make_proof(Directory(scene.made.root), Asked(TOPIC, 0, 7, 1)), scene.pins)
    assert (checked.wrong, sorted(checked.cosigned)) == ([], ["w.example/w0", "w.example/w1"])


async def test_a_witness_that_is_away_for_long_is_found(tmp_path: Path):
    scene = Scene(tmp_path)
    await scene.work(0, 4)
    scene.witnesses["w1"].status = -1
    for _ in range(5):
        scene.made.clock.pass_(50)
        scene.notary.tell_idle(scene.chains())
        await scene.look(10)
    assert {kind for kind, _ in scene.found()} == {Kind.UNANCHORED}
    scene.witnesses["w1"].status = 0
    await scene.look(60)
    assert {kind for kind, _ in scene.found()} == {Kind.UNANCHORED}
