"""The checker finds every change, of the right kind, at the right place, and nothing in a clean archive."""

from __future__ import annotations

import ast
import datetime as dt
import errno
import hashlib
import json
import os
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard

import storage.verify
from storage.verify import places as places_of_archives
from storage.verify import workers
from storage.verify.archive import check, examine
from storage.verify.findings import Finding, Kind, Summary
from storage.verify.places import Directory
from storage.verify.scope import Scope
from tests.storage.archive.samples import START, TOPIC, expected_records
from tests.storage.verify.conftest import MESSAGES
from tests.storage.verify.ledger.samples import SETTINGS, MadeArchive, witness, writable

FLIPS_PER_FILE = 24
ACME = f"acme/seg/{TOPIC}/0"


def segment(root: Path, seq: int, ending: str, stream_folder: str = ACME) -> Path:
    """A file of a segment of the chain of acme."""
    return next(path for path in sorted((root / stream_folder).glob(f"{seq:012d}*")) if path.name.endswith(ending))


def records_in(body: bytes) -> list[bytes]:
    content = zstandard.decompress(body)
    records = []
    at = 0
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        records.append(content[at + 4 : at + 4 + size])
        at += 4 + size
    return records


def body_of(records: list[bytes]) -> bytes:
    content = b"".join(struct.pack(">I", len(record)) + record for record in records)
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def places(findings: list[Finding], kind: Kind) -> list[tuple[int | None, int | None, int | None]]:
    return [(finding.seq, finding.offset, finding.index) for finding in findings if finding.kind is kind]


@dataclass(frozen=True, slots=True)
class Refusing(Directory):
    """A directory in which one file is not for us to read."""

    key: str

    def read(self, key: str) -> bytes | None:
        if key == self.key:
            raise PermissionError(errno.EACCES, "Permission denied", key)
        return Directory.read(self, key)

    def chunks(self, key: str) -> Iterator[bytes]:
        if key == self.key:
            raise PermissionError(errno.EACCES, "Permission denied", key)
        return Directory.chunks(self, key)


def test_a_clean_archive_gives_no_finding_and_is_counted_whole(clean: Path):
    summary = Summary()
    seen: list[int] = []
    assert list(check(clean, summary, lambda counts: seen.append(counts.segments))) == []
    expected = expected_records(MESSAGES)
    assert summary.ok
    assert (summary.streams, summary.objects, summary.orphans) == (3, 1, 0)
    assert (summary.records, summary.bytes) == (len(expected), sum(map(len, expected.values())))
    assert summary.segments == len(list(clean.rglob("*.manifest.json"))) == max(seen)


def test_more_processes_find_the_same_in_the_same_order(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "_INLINE", 0)
    for seq in (0, 2):
        path = segment(root, seq, ".ndz")
        path.write_bytes(path.read_bytes()[:-9])
    alone, together = Summary(), Summary()
    expected = list(check(root, alone))
    assert expected
    assert list(examine(Directory(root), Scope(jobs=2), together)) == expected
    assert together == alone


def test_segments_outside_of_the_time_range_keep_their_place_but_are_not_read(root: Path):
    for seq in (0, 2):
        segment(root, seq, ".ndz").unlink()
    counts = Summary()
    middle = Scope(since=START + dt.timedelta(seconds=4), until=START + dt.timedelta(seconds=9))
    assert list(examine(Directory(root), middle, counts)) == []
    assert (counts.segments, counts.skipped) == (7, 4)
    late = Scope(since=START + dt.timedelta(seconds=9))
    assert [(f.kind, f.seq) for f in examine(Directory(root), late)] == [(Kind.MISSING, 2)]


def test_what_can_not_be_read_is_incomplete_and_the_rest_is_checked(root: Path):
    path = segment(root, 1, ".ndz")
    counts = Summary()
    findings = list(examine(Refusing(root, path.relative_to(root).as_posix()), Scope(), counts))
    assert [(f.kind, f.seq) for f in findings] == [(Kind.UNCHECKED, 1)]
    assert (counts.ok, counts.unchecked, counts.segments) == (False, 1, 7)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> MadeArchive:
    """Three chains with their ledgers, an anchor and a whole object."""
    made = MadeArchive(tmp_path_factory.mktemp("sealed"), SETTINGS | {"witnesses": [str(witness("w.example/1").key)]})
    made.seal(9, [3])
    for name in ("acme", "globex", "unreadable"):
        made.enter(name)
    made.anchor(["w.example/1"])
    (made.root / "acme/obj").mkdir()
    (made.root / "acme/obj" / hashlib.sha256(b"whole").hexdigest()).write_bytes(b"whole")
    writable(made.root)
    assert {finding.kind for finding in made.findings()} == set()
    return made


def keys_of(root: Path, ending: str = "") -> list[str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and path.name[0] != ".")
    return [path.relative_to(root).as_posix() for path in files if path.name.endswith(ending)]


def test_one_file_that_can_not_be_read_accuses_nobody_and_hides_nothing_beside_it(sealed: MadeArchive, tmp_path: Path):
    root = tmp_path / "spoiled"
    shutil.copytree(sealed.root, root)
    bodies = keys_of(root, ".ndz")
    for key in bodies:
        body = (root / key).read_bytes()
        (root / key).write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    for refused in keys_of(sealed.root):
        scope, counts = Scope(pins=sealed.pins(), now=sealed.clock()), Summary()
        findings = list(examine(Refusing(sealed.root, refused), scope, counts))
        assert {each.kind for each in findings} <= {Kind.UNCHECKED}, refused
        assert counts.ok == (not findings)
        found = {each.key for each in examine(Refusing(root, refused), scope) if each.kind is Kind.ALTERED}
        beside = [key for key in bodies if not refused.startswith(key[: key.rindex("/") + 13])]  # other segments
        assert found >= set(beside), refused


SPOILING: list[Callable[[Path], object]] = [
    os.mkfifo,
    Path.mkdir,
    lambda path: path.symlink_to(path),
    lambda path: path.symlink_to("/dev/zero"),
]
ENDINGS = (".ndz", ".leaves", ".headers", ".manifest.json", "head.json", "checkpoint", "obj/*")


@pytest.mark.parametrize("spoil", SPOILING)
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_no_file_is_no_object_and_nobody_waits_for_it(
    sealed: MadeArchive, tmp_path: Path, ending: str, spoil: Callable[[Path], object]
):
    root = tmp_path / "spoiled"
    shutil.copytree(sealed.root, root)
    path = next(each for each in root.rglob(ending if "*" in ending else f"*{ending}") if each.is_file())
    path.unlink()
    spoil(path)
    counts = Summary()
    findings = list(examine(Directory(root), Scope(pins=sealed.pins(), now=sealed.clock()), counts))
    assert findings or ending == "head.json"  # the hint may be missing
    assert counts.tampered or ending in ("head.json", "obj/*"), findings


@pytest.mark.parametrize("ending", [".ndz", ".leaves", ".manifest.json", "checkpoint"])
def test_a_file_without_end_is_read_to_a_bound_and_is_altered(
    sealed: MadeArchive, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(places_of_archives, "MOST_BYTES", 1024 * 1024)
    root = tmp_path / "spoiled"
    shutil.copytree(sealed.root, root)
    path = next(path for path in sorted(root.rglob(f"*{ending}")) if "acme" in path.parts)
    os.truncate(path, 1 << 42)
    counts = Summary()
    findings = list(examine(Directory(root), Scope(pins=sealed.pins(), now=sealed.clock()), counts))
    assert Kind.ALTERED in {each.kind for each in findings}
    assert counts.tampered


def test_where_there_is_no_archive_nothing_is_proven(tmp_path: Path):
    summary = Summary()
    assert [finding.kind for finding in check(tmp_path / "nowhere", summary)] == [Kind.UNCHECKED]
    assert (summary.ok, summary.tampered) == (False, False)


def test_an_empty_archive_is_clean(tmp_path: Path):
    assert list(check(tmp_path)) == []


def test_the_checker_shares_no_code_with_what_it_checks():
    for path in Path(storage.verify.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [
                name for name in names if name.startswith(("storage.archive", "storage.ledger", "ingest", "streams"))
            ], path


def test_a_flipped_bit_anywhere_is_found_in_its_segment(clean: Path, root: Path):
    rng = random.Random(7)
    for path in sorted(path for path in clean.rglob("*") if path.is_file() and path.name[0] != "."):
        original = path.read_bytes()
        target = root / path.relative_to(clean)
        for at in sorted(rng.sample(range(len(original)), min(FLIPS_PER_FILE, len(original)))):
            changed = bytearray(original)
            changed[at] ^= 1 << rng.randrange(8)
            target.write_bytes(bytes(changed))
            findings = list(check(root))
            assert findings, f"{path.name} byte {at}"
            if path.parent.name == "obj":
                assert [(finding.kind, finding.key) for finding in findings] == [
                    (Kind.ALTERED, path.relative_to(clean).as_posix())
                ]
            elif path.name != "head.json":
                wrong = {finding.seq for finding in findings if finding.kind in {Kind.ALTERED, Kind.INSERTED}}
                assert int(path.name[:12]) in wrong, f"{path.name} byte {at}: {findings}"
        target.write_bytes(original)
    assert list(check(root)) == []


def forge(root: Path, change: Callable[[list[bytes]], None], seq: int = 1, *, with_manifest: bool) -> list[Finding]:
    """Change the records of a segment of acme; with its manifest, when the forger knows what he does."""
    path = segment(root, seq, ".ndz")
    records = records_in(path.read_bytes())
    change(records)
    body = body_of(records)
    path.write_bytes(body)
    if with_manifest:
        manifest_path = segment(root, seq, ".manifest.json")
        manifest = json.loads(manifest_path.read_bytes())
        sha256 = hashlib.sha256(body).hexdigest()
        key = f"{ACME}/{seq:012d}-{sha256[:16]}.ndz"
        path.rename(root / key)
        manifest["body"] |= {"sha256": sha256, "size": len(body), "key": key}
        text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        manifest_path.write_bytes(text.encode())
    return list(check(root))


@pytest.mark.parametrize("with_manifest", [False, True])
@pytest.mark.parametrize(
    ("change", "kind", "expected"),
    [
        (lambda records: records.__setitem__(2, b"forged"), Kind.ALTERED, [(7, 1)]),
        (lambda records: records.pop(3), Kind.MISSING, [(7, 2)]),
        (lambda records: records.insert(3, b"forged"), Kind.INSERTED, [(7, 2)]),
        (lambda records: records.append(records[0]), Kind.DUPLICATE, [(8, 0)]),
        (lambda records: records.insert(1, records.pop(2)), Kind.REORDERED, [(7, 0), (7, 1)]),
    ],
    ids=["altered", "dropped", "put in", "doubled", "exchanged"],
)
def test_a_forged_record_is_named(
    root: Path,
    change: Callable[[list[bytes]], None],
    kind: Kind,
    expected: list[tuple[int, int]],
    with_manifest: bool,  # noqa: FBT001 - given by the parametrization
):
    sealed = records_in(segment(root, 1, ".ndz").read_bytes())
    assert [record.split(b'"')[3] for record in sealed] == [b"4-0", b"7-0", b"7-1", b"7-2", b"7-3", b"8-0"]
    findings = forge(root, change, with_manifest=with_manifest)
    named = {place for kind in Kind for place in places(findings, kind) if place[1] is not None}
    assert named == {(1, *place) for place in expected}
    assert {finding.kind for finding in findings if finding.offset is not None} == {kind}
    assert {finding.topic for finding in findings} == {TOPIC}
    assert {finding.namespace for finding in findings} == {"acme"}


@pytest.mark.parametrize(
    ("ending", "kind"),
    [(".ndz", Kind.MISSING), (".leaves", Kind.MISSING), (".headers", Kind.MISSING), (".manifest.json", Kind.MISSING)],
)
@pytest.mark.parametrize("seq", [0, 1])
def test_a_removed_part_is_missing(root: Path, seq: int, ending: str, kind: Kind):
    segment(root, seq, ending).unlink()
    assert seq in {finding.seq for finding in check(root) if finding.kind is kind}


def test_a_run_of_removed_manifests_is_one_finding_and_its_offsets_a_gap(root: Path):
    for seq in (0, 1):
        segment(root, seq, ".manifest.json").unlink()
    findings = list(check(root))
    assert [finding.detail for finding in findings if finding.kind is Kind.MISSING] == ["manifests 0 to 1 are gone"]
    assert [finding.offset for finding in findings if finding.kind is Kind.GAP] == [0]


def test_a_segment_removed_with_all_its_parts_leaves_a_hole(root: Path):
    for path in (root / ACME).glob("000000000001*"):
        path.unlink()
    kinds = [(finding.kind, finding.offset) for finding in check(root)]
    assert (Kind.MISSING, None) in kinds
    assert (Kind.GAP, 4) in kinds


def test_an_end_that_was_cut_off_shows_by_the_hint(root: Path):
    for path in (root / ACME).glob("000000000002*"):
        path.unlink()
    assert [(finding.kind, finding.seq) for finding in check(root)] == [(Kind.TRUNCATED, 2)]


def test_a_removed_middle_closed_up_by_renumbering_is_found(root: Path):
    for path in (root / ACME).glob("000000000001*"):
        path.unlink()
    for path in (root / ACME).glob("000000000002*"):
        path.rename(path.with_name(path.name.replace("000000000002", "000000000001")))
    assert {Kind.INSERTED, Kind.TRUNCATED} <= {finding.kind for finding in check(root)}


def test_exchanged_segments_are_found(root: Path):
    one, two = segment(root, 0, ".manifest.json"), segment(root, 1, ".manifest.json")
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert {(Kind.INSERTED, 0), (Kind.INSERTED, 1)} <= {(finding.kind, finding.seq) for finding in check(root)}


def test_a_manifest_of_another_namespace_is_found(root: Path):
    foreign = segment(root, 0, ".manifest.json", f"globex/seg/{TOPIC}/0").read_bytes()
    segment(root, 0, ".manifest.json").write_bytes(foreign)
    assert (Kind.INSERTED, "acme", 0) in {(finding.kind, finding.namespace, finding.seq) for finding in check(root)}


@pytest.mark.parametrize(
    "key",
    [
        "stray.txt",
        "acme/stray.txt",
        "acme/obj/readme",
        f"{ACME}/notes.txt",
        f"{ACME}/1.manifest.json",
        f"{ACME}/.hidden",
    ],
)
def test_what_does_not_belong_there_is_found(root: Path, key: str):
    (root / key).write_bytes(b"x")
    assert [(finding.kind, finding.key) for finding in check(root)] == [(Kind.INSERTED, key)]


def test_a_hint_of_another_version_is_altered(root: Path):
    head = root / ACME / "head.json"
    head.write_bytes(head.read_bytes().replace(b'"v":1', b'"v":3'))
    assert [(finding.kind, finding.key) for finding in check(root)] == [(Kind.ALTERED, f"{ACME}/head.json")]


def test_parts_that_no_manifest_names_are_orphans_and_harmless(root: Path):
    (root / ACME / "000000000003-0123456789abcdef.ndz").write_bytes(b"left by a sealer that died")
    summary = Summary()
    assert list(check(root, summary)) == []
    assert summary.orphans == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("n",), 10**18),
        (("bytes",), 10**18),
        (("positions",), [[4, 10**15, 1]]),
        (("positions",), [[4, 10**15, 0]]),
        (("totals", "records"), 1),
        (("covers", "last_offset"), 3),
        (("covers", "first_offset"), 2),
        (("partition", "start"), 1),
        (("previous",), None),
        (("body", "key"), "../../etc/passwd"),
        (("leaves", "codec"), "other"),
        (("received",), None),
        (("sources", "count"), 9),
        (("v",), 2),
        (("namespace",), True),
        (("unknown",), 1),
    ],
)
def test_a_forged_field_of_a_manifest_is_found_in_bounded_memory(root: Path, path: tuple[str, ...], value: object):
    target = segment(root, 1, ".manifest.json")
    manifest = json.loads(target.read_bytes())
    inner = manifest
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    target.write_bytes(json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
    findings = list(check(root))
    assert 1 in {finding.seq for finding in findings}
    assert len(findings) < 50


def test_a_manifest_that_is_equal_but_not_canonical_is_altered(root: Path):
    target = segment(root, 1, ".manifest.json")
    target.write_bytes(json.dumps(json.loads(target.read_bytes())).encode())
    assert any("canonical" in finding.detail for finding in check(root))


def test_a_body_that_inflates_without_end_is_cut_at_what_the_manifest_states(root: Path):
    segment(root, 1, ".ndz").write_bytes(zstandard.compress(b"\x00" * 200_000_000))
    assert {finding.kind for finding in check(root)} >= {Kind.ALTERED}


def test_bytes_hidden_behind_the_end_of_a_body_are_found(root: Path):
    path = segment(root, 1, ".ndz")
    path.write_bytes(path.read_bytes() + body_of([b"hidden"]))
    assert Kind.ALTERED in {finding.kind for finding in check(root)}


def test_damaged_leaves_do_not_accuse_the_records(root: Path):
    path = segment(root, 1, ".leaves")
    path.write_bytes(bytes(len(path.read_bytes())))
    findings = list(check(root))
    assert [(finding.kind, finding.offset) for finding in findings] == [(Kind.ALTERED, None)]
    assert findings[0].key.endswith(".leaves")
