"""A witness cosigns only what goes on from what it cosigned before, and answers as the protocol says."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema.errors import IntegrityError, StoreUnavailable
from storage.archive.merkle import root_of
from storage.archive.stores.filesystem import FilesystemStore
from storage.ledger.checkpoint import TreeHead
from storage.ledger.note import parse_line
from storage.ledger.proofs import TreeReader
from storage.ledger.signing import NoteSigner, signed, time_of
from storage.ledger.tiles import Edge
from storage.ledger.witness import Answer, Witness, encode_submission
from tests.storage.archive.faults import Fault, FaultyStore, Killed
from tests.storage.archive.samples import START, open_store

ORIGIN = "logs.example.org/acme/1"
LOG_KEY = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
OTHER_KEY = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\2" * 32))
WITNESS_KEY = NoteSigner("witness.example/w1", Ed25519PrivateKey.from_private_bytes(b"\3" * 32), witness=True)


def entries(size: int, *, fork: bool) -> list[bytes]:
    return [f"{'other' if fork else 'entry'} {number}".encode() for number in range(size)]


def head(size: int, *, fork: bool = False) -> TreeHead:
    leaves = [hashlib.sha256(b"\0" + entry).digest() for entry in entries(size, fork=fork)]
    return TreeHead(ORIGIN, size, root_of(leaves))


def proof(old: int, new: int) -> list[bytes]:
    _, made = Edge().grow(entries(new, fork=False))
    return TreeReader(made.get, new).consistency(old, new)


def request(old: int, new: int, *, fork: bool = False, signer: NoteSigner = LOG_KEY) -> bytes:
    return encode_submission(old, proof(old, new), signed(head(new, fork=fork), [signer], 0).encode())


def witness(root: Path, store: object = None) -> Witness:
    return Witness(WITNESS_KEY, [LOG_KEY.key], store or open_store(root), lambda: START)  # type: ignore[arg-type]


def is_cosigned(answer: Answer, size: int) -> bool:
    if answer.status != 200:
        return False
    signature = parse_line(answer.body.removesuffix("\n"))
    assert time_of(signature) == int(START.timestamp())
    return WITNESS_KEY.key.verifies(head(size).text, signature)


@pytest.mark.parametrize("sizes", [(1, 2, 3), (5, 300), (256, 257, 512), (7, 7, 7)])
def test_a_log_that_grows_is_cosigned(tmp_path: Path, sizes: tuple[int, ...]):
    one, before = witness(tmp_path), 0
    for size in sizes:
        assert is_cosigned(one.add_checkpoint(request(before, size)), size)
        before = size
    assert is_cosigned(witness(tmp_path).add_checkpoint(request(before, before)), before)


def test_another_old_size_is_told_the_size_that_is_known(tmp_path: Path):
    one = witness(tmp_path)
    one.add_checkpoint(request(0, 5))
    answers = [one.add_checkpoint(request(*sizes)) for sizes in ((0, 9), (3, 9), (6, 9))]
    assert {(a.status, a.body, a.content_type) for a in answers} == {(409, "5\n", "text/x.tlog.size")}
    assert (witness(tmp_path / "new").add_checkpoint(request(3, 9)).body) == "0\n"


def test_a_roll_back_is_not_cosigned(tmp_path: Path):
    one = witness(tmp_path)
    one.add_checkpoint(request(0, 9))
    assert one.add_checkpoint(request(0, 5)).status == 409
    assert one.add_checkpoint(request(5, 5)).status == 409
    assert one.add_checkpoint(request(9, 5)).status == 400
    assert is_cosigned(one.add_checkpoint(request(9, 9)), 9)


def test_another_history_is_not_cosigned(tmp_path: Path):
    one = witness(tmp_path)
    one.add_checkpoint(request(0, 5))
    same_size = one.add_checkpoint(request(5, 5, fork=True))
    assert (same_size.status, same_size.outcome) == (409, "ANOTHER HISTORY")
    assert one.add_checkpoint(request(5, 9, fork=True)).status == 422
    assert is_cosigned(one.add_checkpoint(request(5, 9)), 9)


def test_a_proof_that_does_not_hold_is_not_cosigned(tmp_path: Path):
    one = witness(tmp_path)
    checkpoint = signed(head(9), [LOG_KEY], 0).encode()
    assert one.add_checkpoint(encode_submission(0, [b"\0" * 32], checkpoint)).status == 422
    one.add_checkpoint(request(0, 5))
    right = proof(5, 9)
    for wrong in ([], right[:-1], [*right, right[0]], right[::-1], [bytes(32), *right[1:]]):
        assert one.add_checkpoint(encode_submission(5, wrong, checkpoint)).status == 422
    assert one.add_checkpoint(encode_submission(5, right, checkpoint)).status == 200


def test_unknown_logs_and_keys_are_refused(tmp_path: Path):
    one = witness(tmp_path)
    stranger = NoteSigner("logs.example.org/other/1", Ed25519PrivateKey.from_private_bytes(b"\4" * 32))
    other = signed(TreeHead("logs.example.org/other/1", 1, bytes(32)), [stranger], 0).encode()
    assert one.add_checkpoint(encode_submission(0, [], other)).status == 404
    assert one.add_checkpoint(request(0, 5, signer=OTHER_KEY)).status == 403
    both = signed(head(5), [OTHER_KEY, LOG_KEY], 0).encode()
    assert one.add_checkpoint(encode_submission(0, [], both)).status == 200


def test_a_text_changed_after_it_was_signed_is_refused(tmp_path: Path):
    body = request(0, 5).replace(b"\n5\n", b"\n6\n")
    assert witness(tmp_path).add_checkpoint(body).status == 403


GOOD = request(0, 3)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        GOOD.replace(b"old 0\n", b"old 00\n"),
        GOOD.replace(b"old 0\n", b"old -1\n"),
        GOOD.replace(b"old 0\n", b"old\n"),
        GOOD.replace(b"old 0\n", b"old 0\r\n"),
        GOOD.replace(b"old 0\n", b"old 0\nAAAA\n"),
        GOOD.replace(b"old 0\n", b"old 0\nnot base64\n"),
        encode_submission(0, [b"\0" * 32] * 64, GOOD.partition(b"\n\n")[2]),
        GOOD[:-1],
        GOOD.replace(b"\n3\n", b"\n03\n"),
    ],
)
def test_what_is_no_request_is_refused(tmp_path: Path, body: bytes):
    assert witness(tmp_path).add_checkpoint(body).status == 400


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda junk: GOOD[:40] + junk + GOOD[60:]))
def test_any_bytes_are_answered(tmp_path_factory: pytest.TempPathFactory, body: bytes):
    assert witness(tmp_path_factory.getbasetemp() / "any").add_checkpoint(body).status in {400, 403, 404, 409, 422}


def test_of_requests_that_race_one_is_cosigned(tmp_path: Path):
    witness(tmp_path).add_checkpoint(request(0, 5))
    bodies = [request(5, 6 + number) for number in range(8)]
    answers: list[Answer] = []

    def ask(body: bytes) -> None:
        answers.append(witness(tmp_path).add_checkpoint(body))

    threads = [threading.Thread(target=ask, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7


@pytest.mark.parametrize("fault", ["lost", "applied"])
@pytest.mark.parametrize("at", [0, 1])
def test_a_witness_that_dies_while_it_answers_never_goes_back(tmp_path: Path, at: int, fault: Fault):
    witness(tmp_path).add_checkpoint(request(0, 5))
    dying = FaultyStore(open_store(tmp_path), at, fault, Killed)
    with pytest.raises(Killed):
        witness(tmp_path, dying).add_checkpoint(request(5, 9))
    one = witness(tmp_path)
    known = 9 if at == 1 and fault == "applied" else 5
    assert one.add_checkpoint(request(0, 12)).body == f"{known}\n"
    assert is_cosigned(one.add_checkpoint(request(known, 12)), 12)


def test_a_log_without_entries_has_one_root(tmp_path: Path):
    one = witness(tmp_path)
    forged = signed(TreeHead(ORIGIN, 0, bytes(32)), [LOG_KEY], 0).encode()
    assert one.add_checkpoint(encode_submission(0, [], forged)).status == 422
    for _ in range(2):
        assert is_cosigned(one.add_checkpoint(request(0, 0)), 0)
    assert is_cosigned(one.add_checkpoint(request(0, 5)), 5)


def test_a_checkpoint_is_not_cosigned_again_before_it_is_durable(tmp_path: Path):
    """The disk fails when the new checkpoint has its name and is not durable; the log asks for the same again."""
    witness(tmp_path).add_checkpoint(request(0, 5))
    left = 1  # of the file itself; then it is renamed

    def fails(_: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(5, "Input/output error")

    store = FilesystemStore(tmp_path, fsync=lambda _: None)
    store.swap("warm", None, b"")  # its directories are made
    store._fsync = fails
    one = witness(tmp_path, store)
    for old in (5, 9, 9):
        with pytest.raises(StoreUnavailable):
            one.add_checkpoint(request(old, 9))
    assert is_cosigned(witness(tmp_path).add_checkpoint(request(9, 9)), 9)


def test_a_witness_whose_memory_is_cut_off_anywhere_cosigns_nothing(tmp_path: Path):
    witness(tmp_path).add_checkpoint(request(0, 5))
    (kept,) = tmp_path.glob("*.checkpoint")
    whole = kept.read_bytes()
    kept.chmod(0o600)
    for length in range(len(whole)):
        kept.write_bytes(whole[:length])
        with pytest.raises(IntegrityError, match="what this witness cosigned"):
            witness(tmp_path).add_checkpoint(request(5, 9))
    kept.write_bytes(whole)
    assert is_cosigned(witness(tmp_path).add_checkpoint(request(5, 9)), 9)


def test_the_time_of_a_cosignature_is_signed(tmp_path: Path):
    answer = witness(tmp_path).add_checkpoint(request(0, 5))
    signature = parse_line(answer.body.removesuffix("\n"))
    later = (int(START.timestamp()) + 1).to_bytes(8, "big")
    moved = type(signature)(signature.name, signature.key_id, later + signature.body[8:])
    assert not WITNESS_KEY.key.verifies(head(5).text, moved)
    assert dt.datetime.fromtimestamp(time_of(signature), dt.UTC) == START
