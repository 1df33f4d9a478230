"""An archive in which people have keys of their own: what is said of it when it is whole, erased and spoilt."""

from __future__ import annotations

import base64
import dataclasses
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.archive import frames
from storage.archive.encryption import Cipher, location_of
from storage.datakeys.subjects import _bound, _derived  # what a forger needs who has the month's key
from storage.verify import workers
from storage.verify.archive import examine
from storage.verify.findings import Finding, Grade, Kind, Summary
from storage.verify.places import Directory
from storage.verify.proof.checking import check_proof
from storage.verify.proof.document import parse_proof
from storage.verify.proof.making import Asked, Unprovable, make_proof
from storage.verify.scope import Scope
from tests.storage.archive.people import ANN, BOB, did, of_people
from tests.storage.archive.samples import TOPIC, expected_records
from tests.storage.datakeys.samples import Opener
from tests.storage.verify.ledger.samples import MadeArchive
from tests.storage.verify.people import (
    ACME,
    announced,
    change,
    clean,
    copied,
    erased,
    key_of,
    keys_of,
    made,
    manifest_of,
    month_of,
    opener,
    part,
    parts_of,
    put_back,
    table_of,
)
from tests.storage.verify.proof.test_proof import by_single_file

__all__ = ["clean", "made"]  # fixtures

FLIPS_PER_FILE = 30
Groups = list[dict[str, Any]]


def told(findings: list[Finding]) -> list[tuple[Kind, int | None, int | None, int | None]]:
    return [(finding.kind, finding.seq, finding.offset, finding.index) for finding in findings]


@pytest.fixture
def without_ann(clean: MadeArchive, tmp_path: Path) -> MadeArchive:
    """Ann is erased."""
    copy = copied(clean, tmp_path / "erased")
    erased(copy, ANN)
    return copy


def test_of_a_whole_archive_every_record_is_compared_and_nothing_is_found(clean: MadeArchive) -> None:
    summary = Summary()
    assert clean.findings(summary=summary, keys=opener(clean)) == []
    expected = expected_records(of_people())
    assert (summary.records, summary.bytes) == (len(expected), sum(map(len, expected.values())))
    assert (summary.closed, summary.erased, summary.ok) == (0, 0, True)


def test_somebody_erased_is_one_lawful_finding_that_names_key_place_and_count(made: MadeArchive) -> None:
    key, summary = erased(made, ANN), Summary()
    (finding,) = made.findings(summary=summary, keys=opener(made))
    assert (finding.kind, finding.grade, finding.seq, finding.offset, finding.index) == (
        Kind.ERASED,
        Grade.LAWFUL,
        0,
        0,
        0,
    )
    assert key in finding.detail
    assert "12 records" in finding.detail
    assert (summary.records, summary.erased, summary.ok, summary.tampered) == (18, 12, True, False)


def test_processes_that_read_segments_tell_the_same_once(made: MadeArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    for who in (ANN, BOB):
        keys = keys_of(made).of_subject("acme", who)
        if who == ANN:
            announced(made, *keys)
        keys_of(made).destroy("acme", keys[0])
    alone, together = Summary(), Summary()
    found = made.findings(summary=alone, keys=opener(made))
    monkeypatch.setattr(workers, "_INLINE", 0)
    scope = Scope(pins=made.pins(), now=made.clock(), keys=opener(made), jobs=2)
    assert list(examine(Directory(made.root), scope, together)) == found
    assert told(found) == [(Kind.ERASED, 0, 0, 0), (Kind.MISSING, 0, 0, 2)]
    assert together == alone


def test_a_key_that_is_gone_without_an_entry_is_missing(made: MadeArchive) -> None:
    made.clock.pass_(40 * 86_400)
    key, summary = key_of(made, BOB), Summary()
    keys_of(made).destroy("acme", key)
    findings = made.findings(summary=summary, keys=opener(made))
    tampered = [finding for finding in findings if finding.grade is Grade.TAMPERED]
    assert told(tampered) == [(Kind.MISSING, 0, 0, 2)]
    assert key in tampered[0].detail
    assert (summary.records, summary.erased) == (24, 0)


def test_a_key_that_is_still_there_in_spite_of_an_entry_is_kept(made: MadeArchive) -> None:
    announced(made, key_of(made, ANN))
    assert told(made.findings(keys=opener(made))) == [(Kind.KEPT, 0, 0, 0)]


def test_without_a_table_of_people_that_is_told_once_and_the_others_are_compared(clean: MadeArchive) -> None:
    summary = Summary()
    found = clean.findings(summary=summary, keys=Opener(keys_of(clean)))
    assert told(found) == [(Kind.UNCHECKED, 0, 0, 0)]
    assert "18 records" in found[0].detail
    assert (summary.records, summary.tampered) == (12, False)
    away = clean.findings(keys=Opener(keys_of(clean), subjects=table_of(clean) / "nowhere"))
    assert told(away) == [(Kind.UNCHECKED, 0, 0, 0)]
    assert "nowhere" in away[0].detail


def test_without_any_keys_and_without_that_of_the_month_it_is_as_in_any_encrypted_archive(made: MadeArchive) -> None:
    assert {finding.kind for finding in made.findings()} == {Kind.UNCHECKED}
    month = month_of(made).id
    announced(made, month)
    keys_of(made).destroy("acme", month)
    summary = Summary()
    assert told(made.findings(summary=summary, keys=opener(made))) == [(Kind.ERASED, 0, None, None)]
    assert (summary.closed, summary.erased) == (3, 0)


def entry(made: MadeArchive, who: str) -> Path:
    (found,) = table_of(made).rglob(key_of(made, who))
    found.chmod(0o600)
    return found


def test_a_damaged_entry_of_the_table_and_one_of_somebody_else_leave_it_unknown(made: MadeArchive) -> None:
    ann, bob = entry(made, ANN), entry(made, BOB)
    before = ann.read_bytes()
    for body in (b"", b"{}", before[:-9] + b'AAAAAA"}', bob.read_bytes(), before.replace(b'"v":1', b'"v":1,"x":2')):
        ann.write_bytes(body)
        assert told(made.findings(keys=opener(made))) == [(Kind.UNCHECKED, 0, 0, 0)]


def test_another_key_under_somebodys_id_is_altered_in_each_of_their_groups(made: MadeArchive) -> None:
    """Who has the month's key can wrap whatever they like; nothing but the right key opens the group."""
    path = entry(made, ANN)
    month, key_id = month_of(made), key_of(made, ANN)
    sealed = AESGCM(_derived(month, "keys")).encrypt(bytes(12), b"w" * 32, _bound("acme", key_id))
    path.write_bytes(
        path.read_bytes().partition(b'"wrapped":')[0] + b'"wrapped":"' + base64.b64encode(bytes(12) + sealed) + b'"}'
    )
    found = made.findings(keys=opener(made))
    assert {(finding.seq, finding.offset, finding.index) for finding in found if key_id in finding.detail} == {
        (0, 0, 0),
        (1, 2, 0),
        (2, 4, 0),
    }
    assert {finding.kind for finding in found} == {Kind.ALTERED}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("who", ["everybody", "not-ann"])
def test_a_flipped_bit_anywhere_is_found_in_its_segment(
    clean: MadeArchive, made: MadeArchive, who: str, request: pytest.FixtureRequest
) -> None:
    if who == "not-ann":
        erased(made, ANN)
    rng, scope = random.Random(who), Scope(pins=made.pins(), now=made.clock(), keys=opener(made))
    before = set(examine(Directory(made.root), scope))
    assert {finding.kind for finding in before} == ({Kind.ERASED} if who == "not-ann" else set())
    for path in sorted(clean.root.joinpath(ACME).glob("000000000001*")):
        original, target = path.read_bytes(), made.root / ACME / path.name
        every = range(len(original))
        chosen = every if request.config.getoption("--exhaustive") else sorted(rng.sample(every, FLIPS_PER_FILE))
        for at in chosen:
            changed = bytearray(original)
            changed[at] ^= 1 << rng.randrange(8)
            target.write_bytes(bytes(changed))
            after = set(examine(Directory(made.root), scope))
            new = [finding for finding in after - before if finding.kind is not Kind.ERASED]
            assert {f.kind for f in new if f.seq == 1} & {Kind.ALTERED, Kind.INSERTED}, f"{path.name} byte {at}: {new}"
            if not path.name.endswith(".manifest.json"):
                assert {f.seq for f in new} == {1}, f"{path.name} byte {at}: {new}"
                assert all(f.offset in (None, 2, 3) for f in new), f"{path.name} byte {at}: {new}"
        target.write_bytes(original)
    assert set(examine(Directory(made.root), scope)) == before


@pytest.mark.parametrize("ending", [".ndz", ".leaves", ".headers", ".manifest.json"])
def test_a_part_that_is_gone_is_missing(without_ann: MadeArchive, ending: str) -> None:
    path = next(without_ann.root.joinpath(ACME).glob(f"000000000001*{ending}"))
    path.unlink()
    findings = without_ann.findings(keys=opener(without_ann))
    assert [finding.seq for finding in findings if finding.kind is Kind.MISSING] == [1]


def test_the_group_of_somebody_erased_can_not_be_changed_unseen(without_ann: MadeArchive) -> None:
    def broken(groups: Groups, rest: list[bytes]) -> None:
        at = next(number for number, group in enumerate(groups) if len(group["records"]) == 4)
        rest[at] = rest[at][:-1] + bytes([rest[at][-1] ^ 1])

    change(without_ann, 1, broken)
    findings = without_ann.findings(keys=opener(without_ann))
    wrong = [finding for finding in findings if finding.grade is Grade.TAMPERED]
    assert [(finding.kind, finding.key) for finding in wrong] == [
        (Kind.ALTERED, f"{ACME}/{part(without_ann, 1, '.ndz').name}")
    ]


def _swapped_keys(groups: Groups, rest: list[bytes]) -> None:
    del rest
    groups[0]["key"], groups[1]["key"] = groups[1]["key"], groups[0]["key"]


def _swapped_groups(groups: Groups, rest: list[bytes]) -> None:
    del groups
    rest[0], rest[1] = rest[1], rest[0]


def _swapped_numbers(groups: Groups, rest: list[bytes]) -> None:
    """Bob's second record is said to be the first of the service."""
    del rest
    bob = next(group for group in groups if group["records"] == [2, 7])
    bob["records"] = [1, 7]


def _dropped(groups: Groups, rest: list[bytes]) -> None:
    del groups, rest[2]


def _put_in(groups: Groups, rest: list[bytes]) -> None:
    del groups
    rest.insert(3, b"forged")


def _reordered(groups: Groups, rest: list[bytes]) -> None:
    del groups
    rest[2], rest[5] = rest[5], rest[2]


def _replaced(groups: Groups, rest: list[bytes]) -> None:
    del groups
    rest[-1] = b"forged"


def _cut(groups: Groups, rest: list[bytes]) -> None:
    del groups, rest[1:]


CHANGES: list[tuple[Callable[[Groups, list[bytes]], None], set[tuple[Kind, int, int]]]] = [
    # of two groups that can't be opened no record is as sealed
    (_swapped_keys, {(Kind.ALTERED, 2, 2), (Kind.ALTERED, 2, 0)}),
    (_swapped_groups, {(Kind.ALTERED, 2, 2), (Kind.ALTERED, 2, 0)}),
    (_swapped_numbers, {(Kind.ALTERED, 2, 1), (Kind.ALTERED, 2, 2)}),
    (_dropped, {(Kind.MISSING, 2, 1)}),
    (_put_in, {(Kind.INSERTED, 2, 3)}),
    (_reordered, {(Kind.REORDERED, 2, 1), (Kind.REORDERED, 3, 3)}),
    (_replaced, {(Kind.ALTERED, 3, 3)}),
    (_cut, {(Kind.MISSING, 2, 1), (Kind.MISSING, 3, 3)}),
]
"""What somebody with the month's key does to a body, and some of the places that are named for it."""


@pytest.mark.parametrize(("how", "places"), CHANGES, ids=[how.__name__.strip("_") for how, _ in CHANGES])
def test_what_is_done_with_the_months_key_is_named_by_record(
    made: MadeArchive, how: Callable[[Groups, list[bytes]], None], places: set[tuple[Kind, int, int]]
) -> None:
    change(made, 1, how)
    findings = made.findings(keys=opener(made))
    assert {finding.seq for finding in findings} == {1}
    assert any(finding.key.endswith(".ndz") and finding.kind is Kind.ALTERED for finding in findings)
    assert {(finding.kind, finding.offset, finding.index) for finding in findings} >= places


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"groups":{}}',
        b'{"groups":[]} ',
        b'{"groups":[[]]}',
        b'{"groups":[{"key":1,"records":[0]}]}',
        b'{"groups":[{"key":"KEY","records":[]}]}',
        b'{"groups":[{"key":"KEY","records":[true]}]}',
        b'{"groups":[{"key":"KEY","records":[-1]}]}',
        b'{"groups":[{"key":"KEY","records":[1,0]}]}',
        b'{"groups":[{"key":"KEY","records":[10]}]}',
        b'{"groups":[{"key":"KEY","records":[99999999999999999999]}]}',
        b'{"groups":[{"key":"KEY","records":[0]},{"key":"KEY","records":[0]}]}',
        b'{"groups":[{"key":"../../../etc/passwd","records":[0]}]}',
        b'{"groups":[{"key":"2026-02-00000000-000000000000000000000000-00000000","records":[0]}]}',
        b"[" * 100_000,
    ],
)
def test_an_index_that_is_none_is_named_and_never_an_error(made: MadeArchive, index: bytes) -> None:
    put_back(made, 1, index.replace(b"KEY", key_of(made, ANN).encode()), parts_of(made, 1)[1])
    findings = made.findings(keys=opener(made))
    assert {(finding.kind, finding.seq) for finding in findings} == {(Kind.ALTERED, 1)}
    assert sum("the index of its groups" in finding.detail for finding in findings) == 1


def test_a_key_that_a_forged_index_invents_is_not_told_to_be_missing(made: MadeArchive) -> None:
    def invented(groups: Groups, rest: list[bytes]) -> None:
        del rest
        groups[0]["key"] = groups[0]["key"][:-1] + ("0" if groups[0]["key"][-1] != "0" else "1")

    change(made, 1, invented)
    assert {finding.kind for finding in made.findings(keys=opener(made))} == {Kind.ALTERED}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.lists(st.binary(max_size=60), max_size=12))
def test_whatever_stands_in_a_body_is_found_and_never_an_error(
    clean: MadeArchive, index: bytes, rest: list[bytes]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spoilt = copied(clean, Path(folder) / "spoilt")
        put_back(spoilt, 1, index, rest)
        assert {(finding.kind, finding.seq) for finding in spoilt.findings(keys=opener(spoilt))} == {(Kind.ALTERED, 1)}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_groups_an_index_names_is_found_and_never_an_error(clean: MadeArchive, data: st.DataObject) -> None:
    ids = [key_of(clean, ANN), key_of(clean, BOB)]
    numbers = st.lists(st.integers(-1, 10), max_size=6)
    group = st.fixed_dictionaries({"key": st.sampled_from(ids), "records": numbers | numbers.map(sorted)})
    groups = data.draw(st.lists(group, max_size=4))
    with tempfile.TemporaryDirectory() as folder:
        spoilt = copied(clean, Path(folder) / "spoilt")
        change(spoilt, 1, lambda known, _: known.__setitem__(slice(None), groups))
        assert {finding.seq for finding in spoilt.findings(keys=opener(spoilt))} == {1}


def test_a_body_of_nothing_is_named(made: MadeArchive) -> None:
    bound = location_of(manifest_of(made, 1)).bound("body")
    for body in (frames.pack([]), b"", b"no zstd"):
        part(made, 1, ".ndz").write_bytes(Cipher(month_of(made)).seal(body, bound))
        assert {(finding.kind, finding.seq) for finding in made.findings(keys=opener(made))} == {(Kind.ALTERED, 1)}


def test_damaged_leaves_of_a_segment_with_somebody_erased_leave_its_root_unproven(
    made: MadeArchive, without_ann: MadeArchive
) -> None:
    for archive, many in ((made, 1), (without_ann, 2)):
        path = part(archive, 1, ".leaves")
        path.write_bytes(bytes(32) + path.read_bytes()[32:])
        wrong = [finding for finding in archive.findings(keys=opener(archive)) if finding.kind is Kind.ALTERED]
        assert len(wrong) == many
        assert {finding.seq for finding in wrong} == {1}


@pytest.mark.parametrize(
    "fields", [{"v": 2}, {"v": 1}, {"v": 4}, {"encryption": {"v": 1}}, {"encryption": {"v": 3}}, {"encryption": None}]
)
def test_a_manifest_of_another_version_or_scheme_is_not_believed(made: MadeArchive, fields: dict[str, Any]) -> None:
    path = made.root / ACME / "000000000001.manifest.json"
    manifest = json.loads(path.read_bytes())
    for name, value in fields.items():
        if value is None:
            del manifest[name]
        else:
            manifest[name] = {**manifest[name], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(manifest, sort_keys=True, separators=(",", ":")))
    findings = made.findings(keys=opener(made))
    assert {finding.seq for finding in findings if finding.grade is Grade.TAMPERED} >= {1}


@pytest.mark.parametrize("time", ["2026)03-01T12:00:02.000000Z", "", "2026-03-01", "0001-01-01T00:00:00+23:59"])
@pytest.mark.parametrize("name", ["sealed_at", "min", "max"])
def test_a_time_in_a_manifest_that_is_none_is_named_and_never_an_error(made: MadeArchive, name: str, time: str) -> None:
    path = made.root / ACME / "000000000001.manifest.json"
    manifest = json.loads(path.read_bytes())
    (manifest if name == "sealed_at" else manifest["received"])[name] = time
    path.write_text(json.dumps(manifest, sort_keys=True, separators=(",", ":")))
    findings = made.findings(keys=opener(made))
    assert [finding.seq for finding in findings if f"{name} is no time" in finding.detail] == [1]


def test_a_record_of_somebody_can_be_proven_and_checked_offline(clean: MadeArchive) -> None:
    for index, record in ((0, did("ann", 30)), (2, did("bob", 32)), (3, b"no event 30"), (4, did("ann", 34))):
        proof = make_proof(Directory(clean.root), Asked(TOPIC, 0, 3, index), keys=opener(clean))
        read = parse_proof(proof.encode())
        assert (read.record, read.manifest["v"], check_proof(read, clean.pins()).wrong) == (record, 3, [])
        by_single_file(proof.encode(), clean.vkeys()[0])
        bare = parse_proof(dataclasses.replace(proof, record=None).encode())
        assert check_proof(bare, clean.pins(), record).wrong == []
        assert check_proof(bare, clean.pins(), record + b" ").wrong == ["the record is another one than was sealed"]


def test_of_somebody_erased_only_the_leaf_can_be_proven_and_the_reason_is_told(without_ann: MadeArchive) -> None:
    place, keys = Directory(without_ann.root), opener(without_ann)
    asked = Asked(TOPIC, 0, 3, 4)
    with pytest.raises(Unprovable, match=r"somebody whose key .* is gone: was it destroyed"):
        make_proof(place, asked, keys=keys)
    proof = make_proof(place, asked, keys=keys, with_record=False)
    assert (proof.record, proof.opening, check_proof(proof, without_ann.pins()).wrong) == (None, None, [])
    by_single_file(proof.encode(), without_ann.vkeys()[0])
    beside = make_proof(place, Asked(TOPIC, 0, 3, 2), keys=keys)
    assert (beside.record, check_proof(beside, without_ann.pins()).wrong) == (did("bob", 32), [])


def test_without_the_table_or_of_a_damaged_body_there_is_no_proof_of_a_persons_record(made: MadeArchive) -> None:
    place, asked = Directory(made.root), Asked(TOPIC, 0, 3, 0)
    with pytest.raises(Unprovable, match="no table of these is here"):
        make_proof(place, asked, keys=Opener(keys_of(made)))
    put_back(made, 1, b"{}", [])
    with pytest.raises(Unprovable, match="gone or damaged"):
        make_proof(place, asked, keys=opener(made))
