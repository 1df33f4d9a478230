"""Whoever pinned a key sees every change of a ledger, and none where there is none."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.verify.archive import examine
from storage.verify.findings import Finding, Grade, Kind, Summary
from storage.verify.ledger.notes import VerifierKey
from storage.verify.ledger.pins import Pins
from storage.verify.places import Directory
from storage.verify.scope import Scope
from tests.storage.archive.faults import FaultyStore, Killed
from tests.storage.archive.samples import TOPIC, open_store
from tests.storage.verify.ledger.samples import SETTINGS, MadeArchive, small, witness, writable

LOG = "acme/log/1"
FLIPS_PER_FILE = 12


@pytest.fixture
def made(tmp_path: Path) -> MadeArchive:
    return small(tmp_path)


def kinds(findings: list[Finding]) -> set[Kind]:
    return {finding.kind for finding in findings}


def test_a_clean_archive_with_ledgers_is_clean_and_counted(made: MadeArchive):
    summary = Summary()
    assert made.findings(summary=summary) == []
    assert summary.ok
    assert (summary.entries, summary.checkpoints, summary.segments, summary.unledgered) == (14, 3, 7, 0)


def test_without_a_pinned_key_a_ledger_proves_nothing(made: MadeArchive):
    summary = Summary()
    findings = made.findings(Pins(), summary)
    assert [(f.kind, f.namespace) for f in findings] == [
        (Kind.UNCHECKED, namespace) for namespace in ("acme", "globex", "unreadable")
    ]
    assert (summary.ok, summary.tampered) == (False, False)


def test_without_a_ledger_nobody_vouches(made: MadeArchive):
    pins = made.pins()
    shutil.rmtree(made.root / "globex" / "log")
    findings = made.findings(Pins(keys=pins.keys[:1] + pins.keys[2:]))
    assert [(f.kind, f.namespace, f.grade) for f in findings] == [(Kind.UNCHECKED, "globex", Grade.INCOMPLETE)]


def test_an_empty_archive_is_not_proven_to_be_empty(tmp_path: Path):
    assert kinds(list(examine(Directory(tmp_path), Scope(pins=Pins())))) == {Kind.UNCHECKED}


@pytest.mark.parametrize("which", [0, 1])
def test_either_key_of_a_pair_is_enough_to_pin_a_log(made: MadeArchive, which: int):
    pins = Pins(keys=tuple(made.vkeys(name)[which] for name in ("acme", "globex", "unreadable")))
    assert made.findings(pins) == []


def test_a_key_that_was_not_pinned_signs_nothing(made: MadeArchive):
    own = made.vkeys()[0]
    other = VerifierKey(own.name, own.algorithm, bytes(32))
    findings = made.findings(Pins(keys=(other, *made.pins().keys[1:])))
    assert [(f.kind, f.namespace) for f in findings] == [(Kind.SIG, "acme")]


def test_after_a_rotation_old_and_new_keys_prove_the_log(made: MadeArchive):
    old, others = made.vkeys(), made.pins().keys[1:]
    made.clock.pass_(5)
    made.keys.add(made.clock(), not_before=made.clock(), days=400)
    made.beat(passed=5)
    new = made.vkeys()
    assert old != new
    for key in (old[0], *new):
        assert made.findings(Pins(keys=(key, *others))) == []
    # An ML-DSA-44 key proves only what it signed, and the checkpoints that this one signed were replaced.
    assert kinds(made.findings(Pins(keys=(old[1], *others)))) == {Kind.UNCHECKED}


def test_a_log_signed_with_the_old_key_after_its_end_is_found(made: MadeArchive):
    pins = made.pins()
    made.clock.pass_(5)
    made.keys.add(made.clock(), not_before=made.clock(), days=400)
    made.beat(passed=5)
    text, lines = (made.root / LOG / "checkpoint").read_text().split("\n\n")
    (made.root / LOG / "checkpoint").write_text(text + "\n\n" + "".join(lines.splitlines(keepends=True)[:1]))
    assert [(f.kind, f.detail) for f in made.findings(pins) if f.key.endswith("checkpoint")] == [
        (Kind.SIG, f"not signed by the key {made.vkeys()[1].key_id.hex()}")
    ]


def test_a_chain_rewritten_from_some_segment_to_its_end_is_found(made: MadeArchive, tmp_path: Path):
    other = MadeArchive(tmp_path / "other")
    other.seal(14, [3, 9])
    chain = made.root / "acme" / "seg" / TOPIC / "0"
    shutil.rmtree(chain)
    shutil.copytree(other.root / "acme" / "seg" / TOPIC / "0", chain)
    assert {(f.kind, f.seq) for f in made.findings()} == {(Kind.ALTERED, 1), (Kind.ALTERED, 2)}


def test_a_chain_without_its_end_and_its_hint_is_truncated(made: MadeArchive):
    chain = made.root / "acme" / "seg" / TOPIC / "0"
    for path in [*chain.glob("000000000002*"), chain / "head.json"]:
        path.unlink()
    assert [(f.kind, f.seq) for f in made.findings()] == [(Kind.TRUNCATED, 2)]


def test_a_chain_that_is_gone_is_missing(made: MadeArchive):
    shutil.rmtree(made.root / "acme" / "seg" / TOPIC / "0")
    assert [(f.kind, f.topic, f.partition, f.seq) for f in made.findings()] == [(Kind.MISSING, TOPIC, 0, 0)]
    shutil.rmtree(made.root / "acme" / "seg")
    assert [(f.kind, f.topic, f.partition, f.seq) for f in made.findings()] == [(Kind.MISSING, TOPIC, 0, 0)]


def test_a_namespace_that_is_gone_is_missing(made: MadeArchive):
    pins = made.pins()
    shutil.rmtree(made.root / "acme")
    assert [(f.kind, f.key) for f in made.findings(pins)] == [(Kind.MISSING, made.origin())]


def test_segments_the_ledger_should_know_are_found_and_new_ones_counted(made: MadeArchive):
    pins = made.pins()
    made.seal(20, [16], start=14)
    summary = Summary()
    assert made.findings(pins, summary) == []
    assert summary.unledgered > 0
    made.clock.pass_(200)
    assert {(f.kind, f.seq) for f in made.findings(pins) if f.namespace == "acme" and f.seq is not None} == {
        (Kind.UNCHECKED, 3),
        (Kind.UNCHECKED, 4),
    }
    made.clock.pass_(-100)
    made.beat(passed=200)  # the ledger goes on without them
    assert {(f.kind, f.seq) for f in made.findings(pins) if f.namespace == "acme" and f.seq is not None} == {
        (Kind.INSERTED, 3),
        (Kind.INSERTED, 4),
    }


def test_silence_in_the_middle_and_at_the_end_is_a_gap(made: MadeArchive):
    made.clock.pass_(70)
    assert made.findings() == []
    made.clock.pass_(60)
    assert {(f.kind, f.grade, f.namespace) for f in made.findings()} == {
        (Kind.GAP, Grade.INCOMPLETE, namespace) for namespace in ("acme", "globex", "unreadable")
    }
    made.beat(passed=1)
    assert [(f.kind, f.topic, f.entry) for f in made.findings() if f.namespace == "acme"] == [(Kind.GAP, TOPIC, 6)]


def test_an_entry_of_a_clock_that_ran_wild_does_not_hide_that_nothing_comes_any_more(made: MadeArchive):
    made.beat(passed=10**6)  # eleven days ahead
    made.clock.pass_(-(10**6))
    assert [f for f in made.findings() if f.entry == made.log().size] == []
    made.clock.pass_(200)
    (found,) = [f for f in made.findings() if f.namespace == "acme" and f.entry == made.log().size]
    assert (found.kind, found.grade) == (Kind.GAP, Grade.INCOMPLETE)


def test_a_history_rewritten_with_the_real_keys_contradicts_a_checkpoint_that_was_kept(
    made: MadeArchive, tmp_path: Path
):
    kept = ("kept", made.checkpoint())
    forged = MadeArchive(tmp_path / "forged")
    forged.seal(14, [3, 9])
    for namespace in ("acme", "globex", "unreadable"):
        forged.enter(namespace)
    forged.beat("acme", 30)
    writable(forged.root)
    assert forged.findings() == []
    assert [(f.kind, f.key) for f in forged.findings(forged.pins(checkpoints=(kept,)))] == [(Kind.SPLIT_VIEW, "kept")]
    assert made.findings(made.pins(checkpoints=(kept,))) == []


def test_an_older_state_contradicts_a_checkpoint_that_was_kept(made: MadeArchive, tmp_path: Path):
    shutil.copytree(made.root, tmp_path / "older")
    made.beat(passed=30)
    kept = ("kept", made.checkpoint())
    shutil.rmtree(made.root)
    shutil.move(tmp_path / "older", made.root)
    findings = made.findings(made.pins(checkpoints=(kept,)))
    assert [(f.kind, f.key, f.entry) for f in findings] == [(Kind.ROLLBACK, "kept", 6)]


def test_a_published_checkpoint_that_was_set_back_is_found(made: MadeArchive):
    old = (made.root / LOG / "checkpoint").read_bytes()
    made.beat(passed=30)
    assert made.findings() == []
    (made.root / LOG / "checkpoint").write_bytes(old)
    findings = made.findings()
    assert [(f.kind, f.key) for f in findings] == [(Kind.UNCHECKED, f"{LOG}/lock.json")]
    shutil.rmtree(made.root / LOG / "staging")
    assert Kind.ROLLBACK in kinds(made.findings())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("checkpoint", {Kind.MISSING}),
        ("lock.json", {Kind.MISSING}),
        ("tile/0/000.p/6", {Kind.MISSING}),
        ("tile/entries/000.p/6", {Kind.MISSING}),
    ],
)
def test_a_removed_file_of_the_log_is_found(made: MadeArchive, name: str, expected: set[Kind]):
    (made.root / LOG / name).unlink()
    found = made.findings()
    assert kinds(found) == expected
    assert {f.namespace for f in found} == {"acme"}


def test_an_entry_that_was_changed_is_named(made: MadeArchive):
    path = made.root / LOG / "tile/entries/000.p/6"
    path.write_bytes(path.read_bytes().replace(b'"n":6', b'"n":7'))
    assert (Kind.ALTERED, 3, f"{LOG}/tile/entries/000.p/6") in {(f.kind, f.entry, f.key) for f in made.findings()}


def test_hashes_that_were_changed_do_not_accuse_the_entries(made: MadeArchive):
    path = made.root / LOG / "tile/0/000.p/6"
    body = bytearray(path.read_bytes())
    body[70] ^= 1
    path.write_bytes(body)
    assert [(f.kind, f.key) for f in made.findings()] == [(Kind.ALTERED, f"{LOG}/tile/0/000.p/6")]


@pytest.mark.parametrize("name", ["stray", "tile/0/stray", "tile/0/000.p/256", "tile/0/000", "tile/1/000.p/1"])
def test_what_does_not_belong_into_a_log_is_found(made: MadeArchive, name: str):
    path = made.root / LOG / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    found = made.findings()
    assert [(f.kind, f.key) for f in found] in ([(Kind.INSERTED, f"{LOG}/{name}")], [(Kind.ALTERED, f"{LOG}/{name}")])


def test_a_log_of_several_tiles_is_checked_on_every_level(tmp_path: Path):
    made = MadeArchive(tmp_path)
    made.seal(3, [])
    made.enter()
    for _ in range(270):
        made.beat(passed=60)
    writable(made.root)
    shutil.rmtree(made.root / "globex")
    summary = Summary()
    assert made.findings(summary=summary) == []
    assert summary.entries == 273
    for name in ("tile/0/000", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/17"):
        path = made.root / LOG / name
        original = path.read_bytes()
        path.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        assert Kind.ALTERED in kinds(made.findings()), name
        path.unlink()
        assert made.findings(), name
        path.write_bytes(original)
    assert made.findings() == []


def test_an_append_that_was_stopped_is_told_and_no_tampering(tmp_path: Path):
    made = small(tmp_path / "whole")
    steps = FaultyStore(made.store, -1, "lost")
    shutil.copytree(made.root, tmp_path / "before")
    seen: set[frozenset[Kind]] = set()
    for at in range(12):
        shutil.rmtree(made.root)
        shutil.copytree(tmp_path / "before", made.root)
        again = MadeArchive(tmp_path / "whole")
        again.clock = made.clock
        again.log()._store = again.log()._stored._store = FaultyStore(
            open_store(made.root, allow_delete=True), at, "applied", Killed
        )
        try:
            again.beat(passed=0)
        except Killed:
            found = made.findings()
            assert {f.grade for f in found} <= {Grade.INCOMPLETE}, (at, found)
            seen.add(frozenset(kinds(found)))
    assert steps.operations == 0
    assert seen == {frozenset(), frozenset({Kind.UNCHECKED})}


class Growing(Directory):
    """An archive that grows whenever it is read."""

    grow: Callable[[], None]

    def read(self, key: str) -> bytes | None:
        body = super().read(key)
        type(self).grow()
        return body


def test_a_log_that_grows_while_it_is_checked_is_clean(made: MadeArchive):
    turns = iter(range(10**6))

    def grow() -> None:
        if next(turns) % 3 == 0:
            made.beat(passed=0.001)

    Growing.grow = staticmethod(grow)  # type: ignore[assignment]
    scope = Scope(pins=made.pins(), now=made.clock())
    assert list(examine(Growing(made.root), scope)) == []


def test_an_emergency_epoch_continues_the_one_before(made: MadeArchive, tmp_path: Path):
    keys = made.pins().keys
    shutil.copytree(made.root / LOG, tmp_path / "older")
    made.beat(passed=1)
    shutil.rmtree(tmp_path / "keys")
    later = MadeArchive(tmp_path, epoch=2)
    later.clock.pass_(100)
    made.clock.pass_(40)
    for namespace in ("acme", "globex", "unreadable"):
        later.enter(namespace)
    both = (*keys, *later.pins().keys)
    assert later.findings(Pins(keys=both), now=made.clock()) == []
    assert {f.kind for f in later.findings(Pins(keys=keys), now=made.clock())} == {Kind.UNCHECKED}
    # The old log, set back behind the checkpoint that the new one continues:
    shutil.rmtree(made.root / LOG)
    shutil.copytree(tmp_path / "older", made.root / LOG)
    findings = later.findings(Pins(keys=both), now=made.clock())
    assert [(f.kind, f.key, f.entry) for f in findings] == [(Kind.TRUNCATED, f"{LOG}/checkpoint", 6)]


def test_a_flipped_bit_in_any_file_of_a_ledger_is_found(tmp_path: Path):
    settings = SETTINGS | {"quorum": 1, "witnesses": [str(witness("w.example/1").key)]}
    made = MadeArchive(tmp_path, settings)
    made.seal(14, [3, 8])
    shutil.rmtree(made.root / "globex")
    shutil.rmtree(made.root / "unreadable")
    made.enter()
    made.anchor(["w.example/1"])
    made.beat(passed=30)
    made.anchor(["w.example/1"])
    writable(made.root)
    assert made.findings() == []
    rng = random.Random(3)
    for path in sorted(path for path in (made.root / "acme").rglob("*") if path.is_file() and "seg" not in path.parts):
        original = path.read_bytes()
        for at in sorted(rng.sample(range(len(original)), FLIPS_PER_FILE)):
            changed = bytearray(original)
            changed[at] ^= 1 << rng.randrange(8)
            path.write_bytes(bytes(changed))
            found = [f for f in made.findings() if f.grade is Grade.TAMPERED]
            assert found, f"{path} byte {at}"
            assert {f.namespace for f in found} == {"acme"}
            named = {f.key for f in found}
            key = path.relative_to(made.root).as_posix()
            assert key in named or any(f.entry is not None for f in found), (key, at, found)
        path.write_bytes(original)
    assert made.findings() == []
