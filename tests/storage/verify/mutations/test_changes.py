"""Every change of a record, segment, entry, hash, checkpoint, cosignature, stamp or key is found, where it happened.

What a change of single bytes does is in `test_bytes`. What is done with the log's own keys is found by what others
keep: a witness, a time stamp, a checkpoint.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.ledger.note import Note, parse
from storage.ledger.signing import NoteSigner
from storage.verify.findings import Finding, Grade, Kind
from storage.verify.ledger.notes import parse_vkey
from storage.verify.ledger.pins import Pins
from tests.storage.verify.mutations import changes
from tests.storage.verify.mutations.changes import WAYS, part_of, stranger, with_tiles, without
from tests.storage.verify.mutations.memory import Memory
from tests.storage.verify.mutations.subject import ANCHOR, LOG, SEG, Subject, subject

Place = tuple[Kind, str, int | None]
"""A finding: kind; end of the key; offset, entry or number of the segment, whichever the test is about."""
CHECKPOINT = f"{LOG}checkpoint"


@pytest.fixture
def whole() -> Subject:
    return subject()


def tampered(whole: Subject, archive: Memory, pins: Pins | None = None) -> list[Finding]:
    """The findings that say so; there is at least one."""
    findings, summary = whole.findings(archive, pins)
    assert summary.tampered, findings
    return [finding for finding in findings if finding.grade is Grade.TAMPERED]


def kinds(findings: list[Finding]) -> set[Kind]:
    return {finding.kind for finding in findings}


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("edit", {(Kind.ALTERED, 4, 0)}),
        ("drop", {(Kind.MISSING, 7, 0)}),
        ("insert", {(Kind.INSERTED, 7, 0)}),
        ("swap", {(Kind.REORDERED, 7, 0), (Kind.REORDERED, 7, 1)}),
        ("truncate", {(Kind.MISSING, 8, 0)}),
        ("replay", {(Kind.DUPLICATE, 8, 0)}),
    ],
)
def test_records_of_a_segment(whole: Subject, way: str, expected: set[tuple[Kind, int, int]]):
    change = WAYS[way] if way != "edit" else (lambda parts: parts.__setitem__(0, parts[0] + b" "))
    found = tampered(whole, changes.records(whole.archive, 1, change))
    assert {(each.kind, each.offset, each.index) for each in found if each.offset is not None} == expected
    assert {each.seq for each in found} == {1}


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("what", ["leaves", "headers"])
def test_leaves_and_headers_of_a_segment(whole: Subject, what: str, way: str):
    if what == "leaves":
        spoilt = changes.hashes(whole.archive, part_of(whole.archive, 1, ".leaves"), WAYS[way])
    else:
        spoilt = changes.header_lines(whole.archive, 1, WAYS[way])
    found = tampered(whole, spoilt)
    assert {(each.kind, each.key) for each in found} == {(Kind.ALTERED, part_of(whole.archive, 1, f".{what}"))}


def test_a_segment_that_was_written_anew_with_all_its_hashes(whole: Subject):
    """By someone without the keys, who lets a manifest follow from other records and the next one from it."""
    manifests = [f"{SEG}{seq:012d}.manifest.json" for seq in (1, 2)]
    first, second = (json.loads(whole.archive[key]) for key in manifests)
    raw = changes.canonical(first | {"sealed_at": first["sealed_at"][:-2] + "1Z"})
    second["previous"] = hashlib.sha256(raw).hexdigest()
    found = tampered(whole, Memory(whole.archive | {manifests[0]: raw, manifests[1]: changes.canonical(second)}))
    assert {(each.kind, each.seq) for each in found} >= {(Kind.ALTERED, 1), (Kind.ALTERED, 2)}
    assert {"not the manifest that is in the ledger"} <= {each.detail for each in found}


@pytest.mark.parametrize(
    ("name", "spoil", "expected"),
    [
        ("first gone", lambda a: without(a, f"{SEG}000000000000"), {(Kind.MISSING, 0)}),
        ("middle gone", lambda a: without(a, f"{SEG}000000000001"), {(Kind.MISSING, 1)}),
        ("last gone", lambda a: without(a, f"{SEG}000000000002"), {(Kind.TRUNCATED, 2)}),
        ("last gone with its hint", lambda a: without(a, f"{SEG}000000000002", f"{SEG}head"), {(Kind.TRUNCATED, 2)}),
        ("chain gone", lambda a: without(a, SEG), {(Kind.MISSING, 0)}),
        ("replayed at the end", lambda a: Memory(a | changes.renumbered(a, 0, 3)), {(Kind.DUPLICATE, 3)}),
        ("put in the place of the next", lambda a: Memory(a | changes.renumbered(a, 0, 1)), {(Kind.ALTERED, 1)}),
        (
            "exchanged",
            lambda a: Memory(a | changes.renumbered(a, 1, 2) | changes.renumbered(a, 2, 1)),
            {(Kind.ALTERED, 1), (Kind.ALTERED, 2)},
        ),
    ],
)
def test_segments_of_a_chain(
    whole: Subject, name: str, spoil: Callable[[Memory], Memory], expected: set[tuple[Kind, int]]
):
    found = tampered(whole, spoil(whole.archive))
    assert {(each.kind, each.seq) for each in found} >= expected, name


@pytest.mark.parametrize("way", sorted(WAYS))
def test_entries_of_the_ledger(whole: Subject, way: str):
    found = tampered(whole, changes.entries(whole.archive, WAYS[way]))
    assert Kind.ALTERED in kinds(found)
    first = {"truncate": 0, "replay": 0}.get(way, 1)  # an extra or lost one at the end makes it no bundle of its width
    named = {each.entry for each in found if each.entry is not None}
    assert min(named) <= first
    assert any(each.key.endswith("tile/entries/000.p/8") for each in found)


@pytest.mark.parametrize("way", sorted(WAYS))
def test_entries_of_the_ledger_with_all_hashes_made_anew(whole: Subject, way: str):
    """By someone without the keys, who can only put the old signatures below another root."""
    parts = changes.entries_of(whole.archive)
    WAYS[way](parts)
    found = tampered(whole, with_tiles(whole.archive, parts))
    assert (Kind.SIG, CHECKPOINT) in {(each.kind, each.key) for each in found}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_hashes_of_a_tile(whole: Subject, way: str):
    found = tampered(whole, changes.hashes(whole.archive, f"{LOG}tile/0/000.p/8", WAYS[way]))
    assert {(each.kind, each.key) for each in found} == {(Kind.ALTERED, f"{LOG}tile/0/000.p/8")}


def lines(change: Callable[[list], None]) -> Callable[[Note], Note]:
    """A change of the signatures of a checkpoint."""

    def changed(note: Note) -> Note:
        signatures = list(note.signatures)
        change(signatures)
        return Note(note.text, tuple(signatures))

    return changed


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("where", ["published", "anchored"])
def test_a_signature_of_the_log_is_gone_doubled_or_of_another_checkpoint(whole: Subject, where: str, number: int):
    key = CHECKPOINT if where == "published" else f"{changes.anchors_of(whole)[0]}checkpoint"
    other = parse(whole.archive[f"{changes.anchors_of(whole)[1]}checkpoint"]).signatures[number]
    for change in (
        lambda signatures: signatures.pop(number),
        lambda signatures: signatures.append(signatures[number]),
        lambda signatures: signatures.__setitem__(number, other),
    ):
        spoilt = Memory(whole.archive | {key: changes.resigned(whole.archive[key], lines(change))})
        assert (Kind.SIG, key) in {(each.kind, each.key) for each in tampered(whole, spoilt)}


def test_a_checkpoint_signed_by_a_forged_key(whole: Subject):
    origin = whole.signers[0].key.name
    forged = stranger(origin)
    for change in (
        lambda note: Note(note.text, (forged.sign(note.text, 0), *note.signatures[1:])),
        lambda note: Note(note.text, (*note.signatures, forged.sign(note.text, 0))),
    ):
        spoilt = Memory(whole.archive | {CHECKPOINT: changes.resigned(whole.archive[CHECKPOINT], change)})
        assert {(each.kind, each.key) for each in tampered(whole, spoilt)} == {(Kind.SIG, CHECKPOINT)}


def test_a_checkpoint_that_was_set_back(whole: Subject):
    """So does a worker leave it that dies before it publishes: only who knows a newer one can tell."""
    spoilt = Memory(whole.archive | {CHECKPOINT: whole.earlier[CHECKPOINT]})
    findings, summary = whole.findings(spoilt)
    assert [(each.kind, each.key) for each in findings] == [(Kind.UNCHECKED, f"{LOG}lock.json")]
    assert not summary.ok
    found = tampered(whole, spoilt, whole.keeping(whole.archive[CHECKPOINT]))
    assert {(each.kind, each.key) for each in found} == {(Kind.ROLLBACK, "kept")}


def test_an_archive_that_was_set_back_whole(whole: Subject):
    """A kept checkpoint shows it; to whoever kept none it is old: nothing tells of the time since."""
    later = dataclasses.replace(whole, now=whole.now + dt.timedelta(minutes=2))
    findings, summary = later.findings(whole.earlier)
    assert (summary.tampered, summary.ok) == (False, False)
    assert Kind.GAP in kinds(findings)
    found = tampered(whole, whole.earlier, whole.keeping(whole.archive[CHECKPOINT]))
    assert {(each.kind, each.key, each.entry) for each in found} == {(Kind.ROLLBACK, "kept", 5)}


@pytest.mark.parametrize("way", ["edit", "drop", "swap", "truncate"])
def test_a_history_rewritten_with_the_real_keys(whole: Subject, way: str):
    """What was anchored contradicts it; and if the anchors go too, what the auditor kept."""
    parts = changes.entries_of(whole.archive)
    match way:
        case "edit":
            parts[-1] = parts[-1].replace(b'"last_offset":', b'"last_offset":1')
        case "swap":
            parts[-2:] = parts[:-3:-1]
        case "drop":
            del parts[-2]
        case _:
            del parts[-1]
    seconds = int(whole.now.timestamp())
    forged = with_tiles(whole.archive, parts, whole.signers, seconds)
    assert kinds(tampered(whole, forged)) & {Kind.SPLIT_VIEW, Kind.ALTERED, Kind.TRUNCATED, Kind.ROLLBACK}
    alone = tampered(whole, without(forged, ANCHOR), whole.keeping(whole.archive[CHECKPOINT]))
    expected = Kind.ROLLBACK if len(parts) < len(changes.entries_of(whole.archive)) else Kind.SPLIT_VIEW
    assert (expected, "kept") in {(each.kind, each.key) for each in alone}


def test_a_split_view(whole: Subject):
    """Two checkpoints of one size, both with the real signatures."""
    parts = changes.entries_of(whole.archive)
    parts[-1] = parts[-1].replace(b'"last_offset":', b'"last_offset":1')
    other = with_tiles(whole.archive, parts, whole.signers, int(whole.now.timestamp()))
    shown = Memory(whole.archive | {CHECKPOINT: other[CHECKPOINT]})
    assert (Kind.SPLIT_VIEW, CHECKPOINT) in {(each.kind, each.key) for each in tampered(whole, shown)}


def test_cosignatures(whole: Subject):
    first, second, *_ = changes.anchors_of(whole)
    key = f"{first}checkpoint"
    note = parse(whole.archive[key])
    replayed = parse(whole.archive[f"{second}checkpoint"]).signatures[-1]
    forged = stranger(replayed.name, witness=True).sign(note.text, int(whole.now.timestamp()))
    one, two = note.signatures[-2:]
    swapped = (
        type(one)(one.name, one.key_id, two.body),
        type(two)(two.name, two.key_id, one.body),
    )
    for signatures in (
        (*note.signatures[:-1], replayed),
        (*note.signatures[:-1], forged),
        (*note.signatures[:-2], *swapped),
        (*note.signatures, one),
    ):
        spoilt = Memory(whole.archive | {key: Note(note.text, signatures).encode()})
        assert (Kind.SIG, key) in {(each.kind, each.key) for each in tampered(whole, spoilt)}


def test_cosignatures_and_stamps_that_are_gone_leave_entries_unanchored(whole: Subject):
    """No crime is proven by that: the verification is incomplete."""
    bare = Memory(whole.archive)
    for key in [*whole.archive.below(ANCHOR), CHECKPOINT]:
        if key.endswith(".tsr"):
            del bare[key]
        else:
            own = {signer.key.name for signer in whole.signers}
            note = parse(bare[key])
            bare[key] = Note(note.text, tuple(each for each in note.signatures if each.name in own)).encode()
    later = dataclasses.replace(whole, now=whole.now + dt.timedelta(minutes=2))
    findings, summary = later.findings(bare)
    assert (kinds(findings), summary.tampered) == ({Kind.UNANCHORED, Kind.GAP}, False)  # nothing was told since
    assert min(each.entry for each in findings if each.entry is not None) == 0


def test_stamps(whole: Subject):
    one, two = sorted(key for key in whole.archive.below(ANCHOR) if key.endswith(".tsr"))[:2]
    a, b = whole.archive[one], whole.archive[two]
    for spoilt, expected in (
        ({one: b, two: a}, {(Kind.ALTERED, one), (Kind.ALTERED, two)}),
        ({one: b}, {(Kind.ALTERED, one)}),
        (
            {one.rpartition("/")[0] + "/" + two.rpartition("/")[2]: b},
            {(Kind.ALTERED, one.rpartition("/")[0] + "/" + two.rpartition("/")[2])},
        ),
    ):
        found = tampered(whole, Memory(whole.archive | spoilt))
        assert {(each.kind, each.key) for each in found} == expected


def test_keys(whole: Subject):
    """A key that was not pinned, and a change of keys that the old ones did not sign."""
    origin = whole.signers[0].key.name
    pins = Pins(keys=(parse_vkey(str(stranger(origin).key)),))
    assert kinds(tampered(whole, whole.archive, pins)) == {Kind.SIG}
    parts = changes.entries_of(whole.archive)
    (at,) = (n for n, each in enumerate(parts) if n and json.loads(each)["type"] == "keychange")
    change = json.loads(parts[at])
    mine = NoteSigner(origin, Ed25519PrivateKey.from_private_bytes(b"m" * 32))
    change["keys"][0]["vkey"] = str(mine.key)
    body = {name: each for name, each in change.items() if name != "signatures"}
    text = f"skytrail keychange v1\n{changes.canonical(body).decode()}\n"
    change["signatures"][-1] = mine.sign(text, 0).line.rstrip()
    parts[at] = changes.canonical(change)
    forged = with_tiles(whole.archive, parts, (mine, *whole.signers[1:]), int(whole.now.timestamp()))
    assert (Kind.SIG, at) in {(each.kind, each.entry) for each in tampered(whole, forged)}


def test_objects_and_strangers(whole: Subject):
    (key,) = whole.archive.below("acme/obj/")
    assert {(each.kind, each.key) for each in tampered(whole, Memory(whole.archive | {key: b"another"}))} == {
        (Kind.ALTERED, key)
    }
    for added in ("stray", "acme/stray", f"{SEG}stray", f"{LOG}stray", f"{ANCHOR}stray", "acme/obj/stray"):
        found = tampered(whole, Memory(whole.archive | {added: b"x"}))
        assert {(each.kind, each.key) for each in found} == {(Kind.INSERTED, added)}
