"""Keys that sign checkpoints, and how each algorithm does it.

| type | algorithm | signed | body of the signature |
|---|---|---|---|
| 0x01 | Ed25519 | the text of the note | 64 bytes |
| 0x04 | Ed25519, witness | `cosignature/v1`, a time, the text | 8 bytes of time, 64 bytes |
| 0x06 | ML-DSA-44 | `cosigned_message` | 8 bytes of time, 2420 bytes |

https://c2sp.org/signed-note, https://c2sp.org/tlog-cosignature. Nothing here shows a private key in its repr or errors.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from storage.ledger.checkpoint import TreeHead, parse_head
from storage.ledger.note import Note, Signature, is_key_name, key_id_of, strict_base64

ED25519 = 0x01
COSIGNATURE = 0x04
MLDSA44 = 0x06
PUBLIC_BYTES = {ED25519: 32, COSIGNATURE: 32, MLDSA44: 1312}
_LABEL = b"subtree/v1\n\0"
_TIME = struct.Struct(">Q")
_MAX_NAME = 255

PrivateKey = Ed25519PrivateKey | MLDSA44PrivateKey


class VerifierKey(msgspec.Struct, frozen=True):
    """A public key with its name and what it signs. As a string it is a `vkey` of signed-note.

    Attributes:
        algorithm: Signature type: `ED25519`, `COSIGNATURE` or `MLDSA44`.
        public: Raw public key.
    """

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes by which a signature names this key."""
        return key_id_of(self.name, self.algorithm, self.public)

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def made(self, signature: Signature) -> bool:
        """Whether a signature names this key."""
        return (signature.name, signature.key_id) == (self.name, self.key_id)

    def verifies(self, text: str, signature: Signature) -> bool:
        """Whether a signature is this key's over this text."""
        if not self.made(signature):
            return False
        body, message = signature.body, text.encode()
        if self.algorithm != ED25519:
            if len(body) <= _TIME.size:
                return False
            seconds = _TIME.unpack_from(body)[0]
            body = body[_TIME.size :]
            try:
                message = _timed_message(self, text, seconds)
            except ValueError:
                return False
        try:
            if self.algorithm == MLDSA44:
                MLDSA44PublicKey.from_public_bytes(self.public).verify(body, message)
            else:
                Ed25519PublicKey.from_public_bytes(self.public).verify(body, message)
        except InvalidSignature:
            return False
        return True


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key.

    Raises:
        ValueError: It is none, its key id is wrong, or its type is unknown.
    """
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    decoded = strict_base64(encoded)
    if not is_key_name(name) or not decoded or len(decoded) - 1 != PUBLIC_BYTES.get(decoded[0]):
        raise ValueError("not a verifier key of a known type")
    key = VerifierKey(name, decoded[0], decoded[1:])
    if key.key_id.hex() != key_id:
        raise ValueError("the key id in the verifier key is not that of its name and key")
    return key


class NoteSigner:
    """A private key with a name.

    Args:
        name: Name of the key; of a log, its origin.
        private: The key.
        witness: Whether it makes cosignatures.
    """

    def __init__(self, name: str, private: PrivateKey, *, witness: bool = False) -> None:
        self._private = private
        algorithm = COSIGNATURE if witness else ED25519
        if isinstance(private, MLDSA44PrivateKey):
            algorithm = MLDSA44
        self.key = VerifierKey(name, algorithm, private.public_key().public_bytes_raw())

    def sign(self, text: str, seconds: int) -> Signature:
        """Sign the text of a note.

        Args:
            text: The text; of a checkpoint for all but `ED25519`.
            seconds: POSIX time; `ED25519` has no place for it.
        """
        if self.key.algorithm == ED25519:
            return Signature(self.key.name, self.key.key_id, self._private.sign(text.encode()))
        signed = self._private.sign(_timed_message(self.key, text, seconds))
        return Signature(self.key.name, self.key.key_id, _TIME.pack(seconds) + signed)


def signed(head: TreeHead, signers: Iterable[NoteSigner], seconds: int) -> Note:
    """The checkpoint with a signature of each signer."""
    return Note(head.text, tuple(signer.sign(head.text, seconds) for signer in signers))


def time_of(signature: Signature) -> int:
    """POSIX seconds of a cosignature or an ML-DSA-44 signature."""
    return int(_TIME.unpack_from(signature.body)[0])


def _timed_message(key: VerifierKey, text: str, seconds: int) -> bytes:
    if key.algorithm == COSIGNATURE:
        return f"cosignature/v1\ntime {seconds}\n{text}".encode()
    head = parse_head(text)
    name, origin = key.name.encode(), head.origin.encode()
    if not 0 < len(name) <= _MAX_NAME or not 0 < len(origin) <= _MAX_NAME:
        raise ValueError("a name of the cosigned message has not 1 to 255 bytes")
    return b"".join(
        (
            _LABEL,
            bytes([len(name)]) + name,
            _TIME.pack(seconds),
            bytes([len(origin)]) + origin,
            _TIME.pack(0) + _TIME.pack(head.size),
            head.root,
        )
    )
