"""Of an encrypted archive who has the keys can check every record, and who has none every byte, leaf and signature."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import pytest

from ingest.schema.errors import Refused
from storage.archive.encryption import Cipher, location_of
from storage.archive.frames import pack, unpack
from storage.archive.manifest import parse
from storage.archive.reader import ArchiveReader
from storage.ledger.key_history import shredded_keys
from storage.retention.record import Record
from storage.retention.shredding import Opens, enter_shred
from storage.verify.archive import examine
from storage.verify.encryption import Opened
from storage.verify.findings import Finding, Grade, Kind, Summary
from storage.verify.places import Directory
from storage.verify.proof.checking import check_proof
from storage.verify.proof.document import parse_proof
from storage.verify.proof.making import Asked, Unprovable, make_proof
from storage.verify.scope import Scope
from tests.storage.archive.samples import TOPIC, Clock, expected_records, open_store, seal_in_batches, stream
from tests.storage.datakeys.samples import made_keys
from tests.storage.retention.test_record import hold, placed
from tests.storage.verify.encrypted import clean, keys_of, made, opener
from tests.storage.verify.ledger.samples import MadeArchive
from tests.storage.verify.proof.test_proof import SINGLE_FILE, by_single_file

__all__ = ["clean", "made"]  # fixtures

FLIPS_PER_FILE = 6
ACME = f"acme/seg/{TOPIC}/0"
MONTHS_LATER = 40 * 86_400


def part(made: MadeArchive, seq: int, ending: str) -> Path:
    return next(made.root.joinpath(ACME).glob(f"{seq:012d}-*{ending}"))


def key_id(made: MadeArchive, namespace: str = "acme") -> str:
    (entry,) = keys_of(made).table.entries(namespace)
    return entry.id


def places(findings: list[Finding], kind: Kind) -> list[tuple[int | None, int | None]]:
    return [(finding.offset, finding.index) for finding in findings if finding.kind is kind and finding.offset]


def test_with_the_keys_every_record_is_compared_and_nothing_is_found(clean: MadeArchive) -> None:
    summary = Summary()
    assert clean.findings(summary=summary, keys=opener(clean)) == []
    expected = expected_records(stream(14))
    assert (summary.records, summary.bytes) == (len(expected), sum(map(len, expected.values())))
    assert (summary.closed, summary.ok) == (0, True)


def test_without_the_keys_all_but_the_records_is_checked_and_that_is_incomplete(clean: MadeArchive) -> None:
    summary = Summary()
    findings = clean.findings(summary=summary)
    assert [(f.kind, f.grade, f.namespace) for f in findings] == [
        (Kind.UNCHECKED, Grade.INCOMPLETE, name) for name in ("acme", "globex", "unreadable")
    ]
    assert (summary.records, summary.closed, summary.tampered) == (0, summary.segments, False)


def test_keys_that_can_not_be_opened_are_incomplete_and_say_why(clean: MadeArchive) -> None:
    findings = clean.findings(keys=opener(clean, refuses="the vault is away"))
    assert {f.kind for f in findings} == {Kind.UNCHECKED}
    assert "the vault is away" in findings[0].detail


def test_nothing_of_a_record_or_of_the_hash_of_its_source_can_be_found_in_the_archive(clean: MadeArchive) -> None:
    whole = b"".join(path.read_bytes() for path in clean.root.rglob("*") if path.is_file())
    assert b'"id":"' not in whole
    assert b"ab" * 32 not in whole  # the hash of every source in these messages
    assert b"bucket/3" in whole  # where things came from is told in the clear


def test_the_reader_gives_the_records_back(clean: MadeArchive) -> None:
    reader = ArchiveReader(open_store(clean.root), keys_of(clean))
    found = {
        (record.namespace, record.position.offset, record.position.index): record.body
        for namespace in reader.namespaces()
        for record in reader.records(namespace)
    }
    assert found == expected_records(stream(14))
    assert not reader.erased


def test_the_same_records_sealed_again_give_the_same_bytes(tmp_path: Path) -> None:
    keys = made_keys(tmp_path / "datakeys")
    for name, clock in (("one", Clock()), ("two", Clock())):
        clock.pass_(7 * (name == "two"))
        seal_in_batches(open_store(tmp_path / name), stream(6), [], clock, keys)
    parts = [
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*-*") if path.is_file()}
        for name in ("one", "two")
    ]
    assert parts[0] == parts[1]
    assert len(parts[0]) == 9


def test_what_comes_again_is_known_again_and_something_else_is_refused(tmp_path: Path) -> None:
    keys, store = made_keys(tmp_path / "datakeys"), open_store(tmp_path / "archive")
    seal_in_batches(store, stream(6), [], Clock(), keys)
    seal_in_batches(store, stream(6), [], Clock(), keys)
    manifests = list((tmp_path / "archive").rglob("*.manifest.json"))
    assert len(manifests) == 3


@pytest.mark.parametrize("with_keys", [True, False], ids=["keys", "no-keys"])
def test_a_flipped_bit_anywhere_is_found_in_its_segment(
    clean: MadeArchive, made: MadeArchive, *, with_keys: bool
) -> None:
    rng = random.Random(7)
    scope = Scope(keys=opener(made) if with_keys else None)
    before = set(examine(Directory(made.root), scope))
    for path in sorted(path for path in clean.root.joinpath(ACME).iterdir() if path.name != "head.json"):
        original, target = path.read_bytes(), made.root / ACME / path.name
        for at in sorted(rng.sample(range(len(original)), FLIPS_PER_FILE)):
            changed = bytearray(original)
            changed[at] ^= 1 << rng.randrange(8)
            target.write_bytes(bytes(changed))
            findings = set(examine(Directory(made.root), scope)) - before
            wrong = {f.seq for f in findings if f.grade is Grade.TAMPERED}
            assert int(path.name[:12]) in wrong, f"{path.name} byte {at}: {findings}"
        target.write_bytes(original)
    assert set(examine(Directory(made.root), scope)) == before


def test_of_a_damaged_ciphertext_the_record_that_was_hit_is_named(made: MadeArchive) -> None:
    path = part(made, 1, ".ndz")
    body = bytearray(path.read_bytes())
    body[-40] ^= 1  # in the last literals of the frame
    path.write_bytes(bytes(body))
    findings = made.findings(keys=opener(made))
    assert {finding.seq for finding in findings} == {1}
    assert places(findings, Kind.ALTERED)


def forged(made: MadeArchive, seq: int, records: list[bytes]) -> None:
    """Put other records into a segment as somebody would who has the data key: only the ledger is out of reach."""
    manifest_path = made.root / ACME / f"{seq:012d}.manifest.json"
    manifest = parse(manifest_path.read_bytes(), "")
    key = keys_of(made).opened("acme", key_id(made))
    assert key is not None
    stored = Cipher(key).seal(pack(records), location_of(manifest).bound("body"))
    made.root.joinpath(manifest.body.key).write_bytes(stored)


def test_a_record_forged_under_the_right_key_is_named(made: MadeArchive) -> None:
    manifest = parse((made.root / ACME / "000000000001.manifest.json").read_bytes(), "")
    key = keys_of(made).opened("acme", key_id(made))
    assert key is not None
    body = Cipher(key).open(part(made, 1, ".ndz").read_bytes(), location_of(manifest).bound("body"), "")
    records = unpack(body, "")
    forged(made, 1, [*records[:2], b"forged", *records[3:]])
    start = next(offset for offset, _ in manifest.offsets())
    found = places(made.findings(keys=opener(made)), Kind.ALTERED)
    assert len(found) == 1
    assert found[0][0] in range(start, manifest.covers.last_offset + 1)


def test_a_ciphertext_opens_at_its_own_place_only(clean: MadeArchive) -> None:
    key = keys_of(clean).opened("acme", key_id(clean))
    assert key is not None
    manifest = json.loads((clean.root / ACME / "000000000001.manifest.json").read_bytes())
    stored = part(clean, 1, ".ndz").read_bytes()
    assert Opened(key.body, manifest).content(stored, "body")[1]
    assert not Opened(key.body, manifest).content(stored, "headers")[1]
    for change in (
        {"namespace": "globex"},
        {"stream": {"topic": TOPIC, "partition": 1}},
        {"covers": {**manifest["covers"], "first_offset": 0}},
    ):
        assert not Opened(key.body, manifest | change).content(stored, "body")[1]


def shred(made: MadeArchive, *approvers: str) -> bool:
    record = Record(made.store, made.log())
    told = {"request": "R-1", "basis": "a rule"}
    return enter_shred(made.store, record, [key_id(made)], made.clock(), opens=Opens([]), approvers=approvers, **told)


def test_a_key_that_was_destroyed_lawfully_leaves_a_clean_archive_and_nothing_to_read(made: MadeArchive) -> None:
    made.clock.pass_(MONTHS_LATER)
    gone = key_id(made)
    assert shred(made, "ames", "bode")
    assert not shred(made, "ames", "bode")
    kept = made.findings(keys=opener(made))
    assert (Kind.KEPT, Grade.TAMPERED) in {(f.kind, f.grade) for f in kept}
    keys_of(made).destroy("acme", gone)
    summary = Summary()
    found = made.findings(summary=summary, keys=opener(made))
    erased = [finding for finding in found if finding.kind is Kind.ERASED]
    assert [(f.namespace, f.grade) for f in erased] == [("acme", Grade.LAWFUL)]
    assert not summary.tampered
    assert summary.closed == len(list(made.root.joinpath(ACME).glob("*.manifest.json")))
    reader = ArchiveReader(open_store(made.root), keys_of(made))
    assert list(reader.records("acme")) == []
    assert list(reader.erased) == [gone]


def test_who_destroys_a_key_without_an_entry_is_found(made: MadeArchive) -> None:
    made.clock.pass_(MONTHS_LATER)
    keys_of(made).destroy("acme", key_id(made))
    found = {(f.kind, f.namespace) for f in made.findings(keys=opener(made)) if f.grade is Grade.TAMPERED}
    assert found == {(Kind.MISSING, "acme")}


def test_one_person_alone_can_not_make_it_lawful(made: MadeArchive) -> None:
    made.clock.pass_(MONTHS_LATER)
    gone = key_id(made)
    shred(made, "ames", "ames")
    keys_of(made).destroy("acme", gone)
    found = {f.kind for f in made.findings(keys=opener(made)) if f.grade is Grade.TAMPERED}
    assert found == {Kind.ALTERED, Kind.MISSING}


def test_after_a_key_is_gone_what_was_sealed_under_it_may_come_again(tmp_path: Path) -> None:
    store, root = open_store(tmp_path / "archive"), tmp_path / "datakeys"
    seal_in_batches(store, stream(4), [], Clock(), made_keys(root))
    for namespace in ("acme", "globex"):
        for path in (root / "table" / namespace).iterdir():
            path.unlink()
    clock = Clock()
    clock.pass_(60)
    seal_in_batches(store, stream(6), [], clock, made_keys(root))
    assert len(list((tmp_path / "archive" / ACME).glob("*.manifest.json"))) == 2


def test_clear_and_encrypted_segments_stand_in_one_chain(tmp_path: Path) -> None:
    store, keys = open_store(tmp_path / "archive"), made_keys(tmp_path / "datakeys")
    messages = stream(9)
    seal_in_batches(store, {k: v for k, v in messages.items() if k < 4}, [], Clock(), None)
    seal_in_batches(store, {k: v for k, v in messages.items() if k >= 4}, [], Clock(), keys)
    made = MadeArchive(tmp_path)
    assert list(examine(Directory(made.root), Scope(keys=opener(made)))) == []
    versions = {json.loads(path.read_bytes())["v"] for path in made.root.rglob("*.manifest.json")}
    assert versions == {1, 2}
    reader = ArchiveReader(store, keys)
    assert len(list(reader.records("acme"))) == sum(1 for name, *_ in expected_records(messages) if name == "acme")


def test_a_record_of_an_encrypted_segment_can_be_proven(clean: MadeArchive) -> None:
    record = expected_records(stream(14))["acme", 7, 1]
    proof = make_proof(Directory(clean.root), Asked(TOPIC, 0, 7, 1), keys=opener(clean))
    read = parse_proof(proof.encode())
    assert (read.record, check_proof(read, clean.pins()).wrong) == (record, [])
    by_single_file(proof.encode(), clean.vkeys()[0])
    bare = parse_proof(dataclasses.replace(proof, record=None).encode())
    assert check_proof(bare, clean.pins(), record).wrong == []
    assert check_proof(bare, clean.pins(), record + b" ").wrong == ["the record is another one than was sealed"]
    closed = dataclasses.replace(proof, opening=None)
    assert "no opening" in check_proof(closed, clean.pins()).wrong[0]
    with pytest.raises(SINGLE_FILE.Wrong):
        by_single_file(dataclasses.replace(proof, opening=bytes(32)).encode(), clean.vkeys()[0])


def test_without_the_key_only_the_leaf_can_be_proven(made: MadeArchive) -> None:
    place, asked = Directory(made.root), Asked(TOPIC, 0, 7, 1)
    with pytest.raises(Unprovable, match="is encrypted"):
        make_proof(place, asked)
    proof = make_proof(place, asked, with_record=False)
    assert (proof.opening, check_proof(proof, made.pins()).wrong) == (None, [])
    made.clock.pass_(MONTHS_LATER)
    keys_of(made).destroy("acme", key_id(made))
    with pytest.raises(Unprovable, match="destroyed"):
        make_proof(place, asked, keys=opener(made))


def test_what_is_on_hold_is_not_shredded(made: MadeArchive) -> None:
    made.clock.pass_(MONTHS_LATER)
    placed(Record(made.store, made.log()), hold("case-7"), made.clock())
    with pytest.raises(Refused, match="case-7"):
        shred(made, "ames", "bode")
    assert not shredded_keys(made.store, made.log().identity.prefix)
