"""Signed notes, checkpoints and the three kinds of signatures."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from storage.ledger.checkpoint import TreeHead, parse_head
from storage.ledger.note import Note, parse
from storage.ledger.signing import NoteSigner, VerifierKey, parse_vkey, signed, time_of

# From the documentation of golang.org/x/mod/sumdb/note.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
HEAD = TreeHead("logs.example.org/acme/1", 257, bytes(range(32)))
SECONDS = 1_790_000_000
SIGNERS = {
    "ed25519": lambda: NoteSigner(HEAD.origin, Ed25519PrivateKey.from_private_bytes(b"\1" * 32)),
    "cosignature": lambda: NoteSigner(
        "witness.example/w1", Ed25519PrivateKey.from_private_bytes(b"\2" * 32), witness=True
    ),
    "mldsa44": lambda: NoteSigner(HEAD.origin, MLDSA44PrivateKey.from_seed_bytes(b"\3" * 32)),
}


def test_a_note_of_the_go_library_is_read_and_verified():
    note, key = parse(GO_NOTE.encode()), parse_vkey(GO_VKEY)
    assert note.encode().decode() == GO_NOTE
    assert key.verifies(note.text, note.signatures[0])
    assert not key.verifies(note.text.replace("think", "thank"), note.signatures[0])
    assert str(key) == GO_VKEY


@pytest.mark.parametrize("kind", SIGNERS)
def test_a_signature_is_verified_and_no_changed_byte_of_it_or_of_the_text(kind: str):
    signer = SIGNERS[kind]()
    signature = signer.sign(HEAD.text, SECONDS)
    assert signer.key.verifies(HEAD.text, signature)
    assert parse_vkey(str(signer.key)) == signer.key
    for at in {0, 5, 9, len(signature.body) - 1}:
        changed = bytearray(signature.body)
        changed[at] ^= 1
        assert not signer.key.verifies(HEAD.text, type(signature)(signature.name, signature.key_id, bytes(changed)))
    other = TreeHead(HEAD.origin, HEAD.size + 1, HEAD.root)
    assert not signer.key.verifies(other.text, signature)
    assert not signer.key.verifies(HEAD.text, type(signature)(signature.name, signature.key_id, b"short"))


@pytest.mark.parametrize("kind", ["cosignature", "mldsa44"])
def test_a_timed_signature_carries_its_time(kind: str):
    assert time_of(SIGNERS[kind]().sign(HEAD.text, SECONDS)) == SECONDS


def test_a_checkpoint_reads_back_and_is_verified_by_each_of_its_keys():
    signers = [make() for make in SIGNERS.values()]
    note = parse(signed(HEAD, signers, SECONDS).encode())
    assert parse_head(note.text) == HEAD
    assert [signer.key.verifies(note.text, each) for signer, each in zip(signers, note.signatures, strict=True)] == [
        True
    ] * 3


@pytest.mark.parametrize(
    "broken",
    [
        GO_NOTE[:-1],
        GO_NOTE.replace("— ", "- "),
        GO_NOTE.replace("\n\n", "\n"),
        GO_NOTE.replace("JnAM=", "JnAN="),
        GO_NOTE.replace("JnAM=", "JnAM"),
        GO_NOTE.replace("\n", "\r\n"),
        GO_NOTE + "\n",
        GO_NOTE + "— PeterNeumann x08g\n",
        "\n\n— a b\n",
        "text\n\n",
        "",
    ],
)
def test_what_is_no_note_is_refused(broken: str):
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ
        parse(broken.encode())


@pytest.mark.parametrize(
    "text",
    [
        HEAD.text.replace("\n257\n", "\n0257\n"),
        HEAD.text.replace("\n257\n", "\n-1\n"),
        HEAD.text.replace("\n257\n", "\n+257\n"),
        HEAD.text.replace("\n257\n", "\n\n"),
        HEAD.text[:-1],
        HEAD.text + "\n",
        HEAD.text.replace("=\n", "\n"),
        "a\n1\nAAAA\n",
        "",
    ],
)
def test_what_is_no_text_of_a_checkpoint_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ
        parse_head(text)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        GO_VKEY.replace("c74f20a3", "c74f20a4"),
        GO_VKEY.replace("PeterNeumann", "Peter Neumann"),
        GO_VKEY.replace("+AR", "+BR"),
        GO_VKEY[:-4],
    ],
)
def test_what_is_no_verifier_key_is_refused(vkey: str):
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ
        parse_vkey(vkey)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_note_or_refused(raw: bytes):
    try:
        note = parse(raw)
    except ValueError:
        return
    assert parse(note.encode()) == note


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=50))
def test_any_text_can_be_signed_and_read_back(line: str):
    signer = SIGNERS["ed25519"]()
    note = Note(f"{line}\n", (signer.sign(f"{line}\n", 0),))
    read = parse(note.encode())
    assert read == note
    assert signer.key.verifies(read.text, read.signatures[0])


def test_a_private_key_shows_nowhere():
    secret = b"\1" * 32
    signer = SIGNERS["ed25519"]()
    shown = f"{signer!r} {signer} {vars(signer)!r} {VerifierKey('a', 1, b'x' * 32)!r}"
    assert secret.hex() not in shown
    assert repr(secret)[2:-1] not in shown
