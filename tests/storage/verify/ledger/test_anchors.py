"""Witnesses and time stamps: who said it, of which bytes, and in time."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from storage.verify.findings import Finding, Grade, Kind
from storage.verify.ledger.notes import parse_vkey
from storage.verify.ledger.pins import Pins
from tests.storage.verify.ledger.samples import (
    SETTINGS,
    MadeArchive,
    authority,
    keep_stamp,
    stamp_of,
    witness,
    writable,
)

ONE, TWO = "w.example/1", "w.example/2"
WITNESSED = SETTINGS | {"quorum": 1, "witnesses": [str(witness(ONE).key), str(witness(TWO).key)]}
STAMPED = SETTINGS | {"authorities": ["tsa"], "stamp_interval_s": 10**10}
"""Real authorities stamp with the real time, the clock of these archives stands elsewhere."""


def begun(root: Path, settings: dict[str, object]) -> MadeArchive:
    """One namespace with a chain in its ledger."""
    made = MadeArchive(root, settings)
    made.seal(3, [], start=1)
    made.enter()
    writable(made.root)
    return made


def brief(findings: list[Finding]) -> list[tuple[Kind, str, int | None]]:
    return [(f.kind, f.key.rpartition("/")[2], f.entry) for f in findings]


def test_checkpoints_that_enough_witnesses_cosigned_in_time_are_clean(tmp_path: Path):
    made = begun(tmp_path, WITNESSED)
    made.anchor([ONE])
    made.beat(passed=30)
    made.anchor([TWO, ONE])
    assert made.findings() == []
    # A worker that cosigned nothing for a while is no news until it is late.
    made.beat(passed=60)
    assert made.findings() == []


def test_entries_that_nobody_cosigned_in_time_are_unanchored(tmp_path: Path):
    made = begun(tmp_path, WITNESSED)
    made.anchor([ONE])
    for _ in range(5):
        made.beat(passed=60)
    (finding,) = made.findings()
    assert (finding.kind, finding.grade, finding.entry) == (Kind.UNANCHORED, Grade.INCOMPLETE, 3)
    assert finding.detail == "entries 3 to 7 have not cosignatures of a quorum of witnesses"
    made.anchor([ONE])
    (finding,) = made.findings()
    assert finding.detail == "entries 3 to 7 waited 241 s for cosignatures of a quorum of witnesses"


@pytest.mark.parametrize("seconds", [0, 1_700_000_000])
def test_a_cosignature_that_is_older_than_what_it_is_of_anchors_nothing(tmp_path: Path, seconds: int):
    made = begun(tmp_path, WITNESSED)
    made.anchor([ONE], seconds=seconds)
    assert [(f.kind, f.grade, f.key) for f in made.findings()] == [
        (Kind.UNANCHORED, Grade.INCOMPLETE, "acme/anchor/1/")
    ]
    for _ in range(3):
        made.beat(passed=60)
    assert [f.entry for f in made.findings()] == [1, None]
    made.anchor([ONE])
    details = [f.detail for f in made.findings()]
    assert "waited 182 s for cosignatures" in details[0]
    assert details[1] == "1 cosignatures and time stamps are older than what they are of: a clock was wrong"


def test_fewer_cosignatures_than_the_quorum_are_no_anchor(tmp_path: Path):
    made = begun(tmp_path, WITNESSED | {"quorum": 2})
    made.anchor([ONE])
    for _ in range(3):
        made.beat(passed=60)
    assert [(f.kind, f.entry) for f in made.findings()] == [(Kind.UNANCHORED, 1)]


def test_a_cosignature_that_is_wrong_or_of_a_stranger_is_found(tmp_path: Path):
    made = begun(tmp_path, WITNESSED)
    folder = made.anchor([ONE])
    path = folder / "checkpoint"
    original = path.read_text()
    head, _, last = original[:-1].rpartition(" ")
    body = bytearray(base64.b64decode(last))
    body[8] ^= 1  # a second earlier or later
    path.write_text(f"{head} {base64.b64encode(body).decode()}\n")
    assert brief(made.findings()) == [(Kind.SIG, "checkpoint", None)]
    path.write_text(original.replace(f"— {ONE} ", "— w.example/3 "))
    assert brief(made.findings()) == [(Kind.SIG, "checkpoint", None)]
    path.write_text(original + original.splitlines(keepends=True)[-1])
    assert brief(made.findings()) == [(Kind.SIG, "checkpoint", None)]


def test_a_pinned_witness_must_have_cosigned(tmp_path: Path):
    made = begun(tmp_path, SETTINGS)
    theirs = parse_vkey(str(witness("customer.example/1").key))
    pins = made.pins(witnesses=(theirs,))
    for _ in range(3):
        made.beat(passed=60)
    assert [f.detail for f in made.findings(pins)] == ["entries 0 to 5 have not a cosignature of customer.example/1"]
    made.anchor(["customer.example/1"])
    assert made.findings(pins) == []
    for _ in range(4):
        made.beat(passed=60)
    assert [f.detail for f in made.findings(pins)] == ["entries 6 to 9 have not a cosignature of customer.example/1"]
    # To whoever did not pin it, it is a stranger: the log never named it.
    assert {f.kind for f in made.findings()} == {Kind.SIG}


def test_an_anchored_checkpoint_that_is_newer_than_the_log_shows_that_its_end_is_gone(tmp_path: Path):
    made = begun(tmp_path, SETTINGS)
    log = made.root / "acme/log/1"
    before = {path: path.read_bytes() for path in log.rglob("*") if path.is_file()}
    made.beat(passed=30)
    made.anchor([])
    for path in [path for path in log.rglob("*") if path.is_file()]:
        path.unlink()
    for path, body in before.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    found = made.findings()
    assert {f.kind for f in found} == {Kind.ROLLBACK, Kind.TRUNCATED}
    assert {f.entry for f in found if f.kind is Kind.TRUNCATED} == {3}


@pytest.mark.parametrize("change", ["gone", "size", "folder", "file"])
def test_what_does_not_belong_among_anchors_is_found(tmp_path: Path, change: str):
    made = begun(tmp_path, SETTINGS)
    folder = made.anchor([])
    expected = Kind.INSERTED
    match change:
        case "gone":
            (folder / "checkpoint").unlink()
            expected = Kind.MISSING
        case "size":
            folder.rename(folder.with_name(f"{2:020d}"))
            expected = Kind.ALTERED
        case "folder":
            (folder.parent / "other").mkdir()
        case _:
            (folder / "note.txt").write_text("x")
    assert [f.kind for f in made.findings()] == [expected]


def test_anchors_of_a_log_that_is_gone_are_found(tmp_path: Path):
    made = begun(tmp_path, SETTINGS)
    folder = made.anchor([])
    folder.parent.rename(folder.parent.with_name("7"))
    assert [(f.kind, f.key) for f in made.findings()] == [(Kind.MISSING, "acme/anchor/7")]


def test_time_stamps_are_believed_if_their_authority_is_pinned(tmp_path: Path):
    made = begun(tmp_path, STAMPED)
    made.anchor([], stamp=True)
    assert made.findings(made.pins(authorities=(authority(),))) == []
    findings = made.findings()
    assert [(f.kind, f.key) for f in findings] == [(Kind.UNCHECKED, "acme/anchor/1/")]


def test_a_time_stamp_of_other_bytes_or_of_nobody_known_is_found(tmp_path: Path):
    made = begun(tmp_path, STAMPED)
    folder = made.anchor([], stamp=True)
    pins = made.pins(authorities=(authority(),))
    (stamp,) = folder.glob("tsa-*.tsr")
    original = stamp.read_bytes()
    for forged, kind in (
        (stamp_of(b"other bytes"), Kind.ALTERED),
        (original[:-40] + bytes(40), Kind.SIG),
        (b"nonsense", Kind.ALTERED),
    ):
        stamp.unlink()
        stamp = keep_stamp(folder, forged)
        assert brief(made.findings(pins)) == [(kind, stamp.name, None)]
    stamp.unlink()
    stamp = keep_stamp(folder, original)
    assert made.findings(pins) == []
    stamp.write_bytes(original[:-1])
    assert [(f.kind, f.detail) for f in made.findings(pins)] == [
        (Kind.ALTERED, "not the time stamp that its name tells")
    ]


def test_a_log_that_is_to_be_stamped_and_is_not_is_unanchored(tmp_path: Path):
    made = begun(tmp_path, STAMPED | {"stamp_interval_s": 60})
    for _ in range(4):
        made.beat(passed=60)
    assert [f.detail for f in made.findings(Pins(keys=made.pins().keys))] == ["entries 1 to 6 have not a time stamp"]
