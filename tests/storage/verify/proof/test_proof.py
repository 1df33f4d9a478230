"""A proof holds for its record, its place and its keys, and for nothing else; a checker of a single file agrees."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
import random
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.verify.ledger.notes import parse_vkey
from storage.verify.ledger.pins import Pins
from storage.verify.places import Directory
from storage.verify.proof.checking import check_proof
from storage.verify.proof.document import Proof, parse_proof
from storage.verify.proof.making import Asked, Unprovable, make_proof
from tests.storage.archive.samples import TOPIC, expected_records, message, seal_in_batches, stream
from tests.storage.datakeys.samples import made_keys
from tests.storage.verify.encrypted import encrypted, opener
from tests.storage.verify.ledger.samples import (
    SETTINGS,
    MadeArchive,
    authority,
    keep_stamp,
    stamp_of,
    witness,
    writable,
)

CHECKER = Path(__file__).parents[4] / "docs" / "check_proof.py"
WITNESSES = ["w.example/1", "w.example/2"]
MUTATIONS = 150


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_proof", CHECKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SINGLE_FILE = load()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeArchive:
    """Three chains, 300 heartbeats between the segments of acme, two witnesses and a stamp."""
    told = SETTINGS | {"quorum": 2, "witnesses": [str(witness(name).key) for name in WITNESSES], "authorities": ["tsa"]}
    made = MadeArchive(tmp_path_factory.mktemp("proofs"), told | {"stamp_interval_s": 10**10})
    made.seal(9, [3])
    made.enter()
    for _ in range(300):
        made.beat(passed=1)
    made.seal(14, [], start=9)
    for name in ("acme", "globex", "unreadable"):
        made.enter(name)
    made.anchor(WITNESSES[:1])
    made.beat(passed=1)
    made.anchor(WITNESSES, stamp=True)
    made.beat(passed=1)
    writable(made.root)
    return made


@pytest.fixture(scope="module")
def pins(made: MadeArchive) -> Pins:
    witnesses = tuple(parse_vkey(str(witness(name).key)) for name in WITNESSES)
    return Pins(keys=(made.vkeys()[0],), witnesses=witnesses, authorities=(authority(),))


def prove(made: MadeArchive, offset: int = 7, index: int = 1, **options: bool) -> Proof:
    return make_proof(Directory(made.root), Asked(TOPIC, 0, offset, index), **options)


def by_single_file(proof: bytes | dict[str, Any], *vkeys: object) -> list[str]:
    value = proof if isinstance(proof, dict) else json.loads(gzip.decompress(proof))
    return list(SINGLE_FILE.check(value, list(map(str, vkeys))))


def test_every_record_can_be_proven_and_the_proof_has_its_bytes(made: MadeArchive):
    records = expected_records(stream(14))
    for (namespace, offset, index), body in records.items():
        proof = parse_proof(prove(made, offset, index).encode())
        assert (proof.record, proof.manifest["namespace"]) == (body, namespace)
        key = made.vkeys(namespace)[0]
        assert check_proof(proof, Pins(keys=(key,))).wrong == []
        by_single_file(proof.encode(), key)


def test_a_proof_names_keys_witnesses_and_the_time_of_its_stamp(made: MadeArchive, pins: Pins):
    checked = check_proof(prove(made), pins)
    assert (checked.wrong, checked.unchecked) == ([], [])
    assert checked.keys == list(pins.keys)
    assert set(checked.cosigned) == set(WITNESSES)
    assert [name.partition("-")[0] for name in checked.stamped] == ["tsa"]
    lines = by_single_file(prove(made).encode(), *pins.keys, *pins.witnesses)
    assert [line.partition(" at ")[0] for line in lines if "signed by" in line] == [
        f"signed by {made.origin()}",
        *(f"cosigned by {name}" for name in WITNESSES),
    ]


def test_a_proof_with_cosignatures_and_a_stamp_is_small(made: MadeArchive):
    assert len(prove(made, with_record=False).encode()) <= 6 * 1024


@pytest.mark.parametrize("encrypt", [False, True])
def test_a_proof_is_small_whatever_the_segment_and_however_long_the_ledger(tmp_path: Path, *, encrypt: bool):
    """Messages of random sizes with gaps between them; paths as of 10,000 records and a million entries."""
    rng = random.Random(6)
    made = MadeArchive(tmp_path)
    made.data_keys = made_keys(tmp_path / "datakeys") if encrypt else None
    offsets = sorted(rng.sample(range(10**9, 10**9 + 700), 600))
    seal_in_batches(
        made.store,
        {
            offset: message(
                "acme", *(rng.randbytes(8) for _ in range(rng.randint(1, 50))), locator=rng.randbytes(50).hex()
            )
            for offset in offsets
        },
        [],
        made.clock,
        made.data_keys,
    )
    made.enter(batch=1000)
    made.anchor(WITNESSES, stamp=True)
    keys = opener(made) if encrypt else None
    for offset in rng.sample(offsets, 40):
        proof = make_proof(Directory(made.root), Asked(TOPIC, 0, offset), with_record=False, keys=keys)
        assert check_proof(parse_proof(proof.encode()), made.pins()).wrong == []
        ledger = replace(proof.ledger, path=tuple(rng.randbytes(32) for _ in range(20)), index=10**6)
        longest = replace(proof, path=tuple(rng.randbytes(32) for _ in range(14)), ledger=ledger)
        assert len(longest.encode()) <= 6 * 1024


def test_a_proof_without_its_record_holds_for_the_record_that_is_brought(made: MadeArchive, pins: Pins):
    proof = parse_proof(prove(made, with_record=False).encode())
    body = expected_records(stream(14))["acme", 7, 1]
    assert proof.record is None
    assert check_proof(proof, pins, body).wrong == []
    assert check_proof(proof, pins, body + b"\n").wrong == ["the record is another one than was sealed"]


def test_a_proof_holds_for_a_pinned_key_only(made: MadeArchive, pins: Pins):
    proof = prove(made)
    foreign = made.vkeys("globex")[0]
    assert len(check_proof(proof, Pins(keys=(foreign,))).wrong) == 1
    with pytest.raises(SINGLE_FILE.Wrong):
        by_single_file(proof.encode(), foreign)
    with pytest.raises(SINGLE_FILE.Wrong, match="no key of"):
        by_single_file(proof.encode(), pins.witnesses[0])
    stranger = parse_vkey(str(witness("w.example/9").key))
    assert check_proof(proof, Pins(keys=pins.keys, witnesses=(stranger,))).wrong == ["not cosigned by w.example/9"]
    # An ML-DSA-44 key proves it too; the single file knows Ed25519 only.
    assert check_proof(proof, Pins(keys=(made.vkeys()[1],))).wrong == []


def test_a_stamp_must_be_of_a_pinned_authority_if_one_is_pinned(made: MadeArchive, pins: Pins):
    proof = prove(made)
    checked = check_proof(proof, Pins(keys=pins.keys))
    assert (checked.wrong, len(checked.unchecked)) == ([], 1)
    bare = Proof(proof.offset, proof.index, proof.leaf, None, proof.path, proof.manifest, proof.ledger, ())
    assert check_proof(bare, pins).wrong == ["there is no time stamp in it"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("offset", 8), ("index", 0), ("leaf", "00" * 32), ("record", base64.b64encode(b"forged").decode()), ("path", [])],
)
def test_a_proof_for_another_place_or_record_does_not_hold(made: MadeArchive, pins: Pins, field: str, value: object):
    changed = json.loads(gzip.decompress(prove(made).encode())) | {field: value}
    raw = json.dumps(changed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert check_proof(parse_proof(raw), pins).wrong
    with pytest.raises(SINGLE_FILE.Wrong):
        by_single_file(changed, pins.keys[0])


def holds_by_both(value: dict[str, Any], pins: Pins) -> tuple[bool, bool]:
    raw = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return holds_by_package(raw, pins), holds_by_file(raw, pins)


def test_a_record_is_not_proven_under_a_number_below_zero_of_the_message_behind(made: MadeArchive, pins: Pins):
    value = json.loads(gzip.decompress(prove(made, 7, 3).encode()))
    assert holds_by_both(value, pins) == (True, True)
    assert holds_by_both(value | {"offset": 8, "index": -1}, pins) == (False, False)


def test_a_part_of_a_record_can_not_stand_in_its_opening(tmp_path: Path):
    """The leaf commits to both behind each other, so their lengths must be fixed."""
    made = encrypted(tmp_path)
    proof = make_proof(Directory(made.root), Asked(TOPIC, 0, 7, 1), keys=opener(made))
    value = json.loads(gzip.decompress(proof.encode()))
    pins = Pins(keys=(made.vkeys()[0],))
    assert holds_by_both(value, pins) == (True, True)
    both = bytes.fromhex(value["opening"]) + base64.b64decode(value["record"])
    for length in (0, 31, 33, 40):
        moved = {"opening": both[:length].hex(), "record": base64.b64encode(both[length:]).decode()}
        assert holds_by_both(value | moved, pins) == (False, False)


def test_what_nobody_signed_is_not_among_what_is_told(made: MadeArchive, pins: Pins):
    value = json.loads(gzip.decompress(prove(made).encode()))
    honest = by_single_file(value, pins.keys[0])
    value["stamps"][0]["name"] = "x\ncosigned by auditor.example at 2026-01-01"
    assert by_single_file(value, pins.keys[0]) == honest
    assert not holds_by_both(value, pins)[0]


def test_both_checkers_refuse_every_changed_byte(made: MadeArchive, pins: Pins):
    """But for the ML-DSA-44 line and the stamp, of which no key is pinned here."""
    body = gzip.decompress(prove(made).encode())
    rng = random.Random(5)
    stamps = body.index(b'"stamps"')
    for at in sorted(rng.sample(range(len(body)), MUTATIONS)):
        changed = bytearray(body)
        changed[at] ^= 1 << rng.randrange(7)
        if at < stamps and not in_mldsa_line(body, at):
            assert not holds_by_package(bytes(changed), pins), f"byte {at}: {body[at - 20 : at + 20]!r}"
            assert not holds_by_file(bytes(changed), pins), f"byte {at}: {body[at - 20 : at + 20]!r}"


def in_mldsa_line(body: bytes, at: int) -> bool:
    start = body.rfind("— ".encode(), 0, at)
    return start >= 0 and body.find(b"\\n", start) - start > 1000 and at < body.find(b"\\n", start)


def holds_by_package(raw: bytes, pins: Pins) -> bool:
    try:
        return not check_proof(parse_proof(raw), pins).wrong
    except ValueError:
        return False


def holds_by_file(raw: bytes, pins: Pins) -> bool:
    try:
        by_single_file(json.loads(raw), *pins.keys, *pins.witnesses)
    except (SINGLE_FILE.Wrong, ArithmeticError, IndexError, KeyError, TypeError, ValueError):
        return False
    return True


def test_what_is_not_there_or_not_in_the_ledger_has_no_proof(made: MadeArchive, tmp_path: Path):
    for asked in (Asked(TOPIC, 0, 99), Asked(TOPIC, 0, 7, 9), Asked(TOPIC, 5, 7), Asked("other", 0, 7)):
        with pytest.raises(Unprovable):
            make_proof(Directory(made.root), asked)
    young = MadeArchive(tmp_path)
    young.seal(3, [])
    with pytest.raises(Unprovable, match="there is no ledger of acme"):
        make_proof(Directory(young.root), Asked(TOPIC, 0, 1))
    young.enter()
    young.seal(5, [], start=3)
    with pytest.raises(Unprovable, match="not in the ledger of acme yet"):
        make_proof(Directory(young.root), Asked(TOPIC, 0, 4))


@dataclass(frozen=True)
class Counting(Directory):
    """Counts what is read of a directory."""

    keys: list[str] = field(default_factory=list)

    def read(self, key: str) -> bytes | None:
        self.keys.append(key)
        return super().read(key)

    def names(self, folder: str) -> list[str]:
        assert "/seg/" not in folder, "a chain may be of millions of segments"
        return super().names(folder)


def test_a_record_is_found_in_a_long_chain_without_listing_it(tmp_path: Path):
    made = MadeArchive(tmp_path)
    made.seal(120, range(1, 120))
    made.enter()
    for offset in (1, 2, 62, 64, 119):
        place = Counting(made.root)
        proof = make_proof(place, Asked(TOPIC, 0, offset, 0, "acme"))
        assert check_proof(proof, made.pins()).wrong == []
        assert sum(key.endswith("manifest.json") for key in place.keys) <= 16
    with pytest.raises(Unprovable, match="no record of the message"):
        prove(made, 120, 0)


def test_a_manifest_that_is_gone_leaves_the_others_provable(tmp_path: Path):
    made = MadeArchive(tmp_path)
    made.seal(40, range(1, 40))
    made.enter()
    writable(made.root)
    for seq in (0, 1, 2, 4, 16):
        made.root.joinpath(f"acme/seg/{TOPIC}/0/{seq:012d}.manifest.json").unlink()
    assert check_proof(prove(made, 38, 0), made.pins()).wrong == []


@pytest.mark.parametrize("stamped", [(), (40,), (3, 40), (70,)])
def test_the_anchor_that_proves_most_is_found_without_reading_all(tmp_path: Path, stamped: tuple[int, ...]):
    """An hour has hundreds of anchors; the first one with a stamp and all cosignatures is taken."""
    made = MadeArchive(tmp_path)
    made.seal(3, [])
    made.enter()
    kept: list[Path] = []
    for number in range(80):
        made.beat(passed=1)
        kept.append(made.anchor(WITNESSES[: 1 if number in (0, 3) else 2]))
        if number in stamped:
            keep_stamp(kept[-1], stamp_of((kept[-1] / "checkpoint").read_bytes()))
    place = Counting(made.root)
    proof = make_proof(place, Asked(TOPIC, 0, 1, 0, "acme"))
    best = 40 if 40 in stamped else 1  # beyond the first sixty it is no longer about this record's time
    assert proof.ledger.checkpoint.size == int(kept[best].name)
    assert (len(proof.stamps), len(proof.ledger.checkpoint.signatures)) == (best == 40, 4)
    assert sum("/anchor/" in key and key.endswith("checkpoint") for key in place.keys) <= 4


@pytest.mark.parametrize("broken", [0, 1, 4])
def test_an_anchor_that_is_damaged_or_gone_keeps_no_other_from_proving(tmp_path: Path, broken: int):
    made = MadeArchive(tmp_path)
    made.seal(3, [])
    made.enter()
    anchors = []
    for _ in range(5):
        made.beat(passed=1)
        anchors.append(made.anchor(WITNESSES) / "checkpoint")
    anchors[broken].write_bytes(b"nonsense")
    anchors[2].unlink()
    best = prove(made, 1, 0).ledger.checkpoint
    assert (best.size, len(best.signatures)) == (int(anchors[1 if broken == 0 else 0].parent.name), 4)


def test_a_damaged_segment_has_no_proof(tmp_path: Path):
    made = MadeArchive(tmp_path)
    made.seal(5, [])
    made.enter()
    writable(made.root)
    (path,) = made.root.glob(f"acme/seg/{TOPIC}/0/*.leaves")
    original = path.read_bytes()
    path.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    with pytest.raises(Unprovable, match="not as it was sealed"):
        prove(made, 1, 0)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_nonsense_is_no_proof(raw: bytes):
    with pytest.raises(ValueError):  # noqa: PT011 - any words
        parse_proof(raw)


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.integers(0, 95), st.integers(0, 7))
def test_the_ed25519_of_the_single_file_agrees_with_a_library(seed: bytes, message: bytes, byte: int, bit: int):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert SINGLE_FILE.ed25519_verifies(public, message, signature)
    changed = bytearray(public + signature)
    changed[byte] ^= 1 << bit
    assert not SINGLE_FILE.ed25519_verifies(bytes(changed[:32]), message, bytes(changed[32:]))


def test_the_single_file_runs_alone_and_writes_what_openssl_checks(made: MadeArchive, pins: Pins, tmp_path: Path):
    file = tmp_path / "event.proof"
    file.write_bytes(prove(made).encode())
    command = [sys.executable, "-I", "-S", str(CHECKER), str(file), str(pins.keys[0])]
    done = subprocess.run([*command, "--write", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "it holds:")
    assert (tmp_path / "out" / "record").read_bytes() == expected_records(stream(14))["acme", 7, 1]
    (tmp_path / "root.pem").write_bytes(authority().public_bytes(Encoding.PEM))
    stamp = ["openssl", "ts", "-verify", "-in", "out/0.tsr", "-data", "out/checkpoint", "-CAfile", "root.pem"]
    assert subprocess.run(stamp, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    for nonsense in (b"nonsense", b"\x1f\x8bx", file.read_bytes()[:-9], b"[]", b'{"manifest":1}', b"[" * 100_000):
        file.write_bytes(nonsense)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout[:6], done.stderr) == (1, "wrong:", "")
    assert subprocess.run(command[:4], capture_output=True, check=False).returncode == 3
