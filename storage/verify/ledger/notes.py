"""Signed notes, checkpoints and the keys that sign them, read from the specifications, not with the writer's code.

https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint, https://c2sp.org/tlog-cosignature. There is one way to
write each of them here; what other readers let pass (a leading zero, CRLF, a missing last newline) is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

ED25519, COSIGNATURE, MLDSA44 = 0x01, 0x04, 0x06
_KEY_BYTES = {ED25519: 32, COSIGNATURE: 32, MLDSA44: 1312}
_NAME = re.compile(r"[^\s+\x00-\x1f]{1,255}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_DASH = "\u2014 "
_TIME_BYTES = 8
_ID_BYTES = 4
_HASH_BYTES = 32
_MOST_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: name and id of the key, and what the algorithm made."""

    name: str
    key_id: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint with its signatures; whether they are right is another question.

    Attributes:
        text: What is signed.
        root: RFC 6962 root over the first `size` entries.
        raw: The whole note.
    """

    text: str
    origin: str
    size: int
    root: bytes
    signatures: tuple[Signature, ...]
    raw: bytes


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key, its name, and what it signs; as a string a `vkey` of signed-note."""

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """By which signatures name it."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def signature_in(self, signatures: Iterable[Signature]) -> Signature | None:
        """The first signature that names this key."""
        return next((each for each in signatures if (each.name, each.key_id) == (self.name, self.key_id)), None)

    def signed(self, checkpoint: Checkpoint, signature: Signature) -> bool:
        """Whether a signature is this key's over a checkpoint."""
        if self.algorithm == ED25519:
            return self.signed_bytes(checkpoint.text.encode(), signature.body)
        seconds, body = signature.body[:_TIME_BYTES], signature.body[_TIME_BYTES:]
        if self.algorithm == COSIGNATURE:
            message = f"cosignature/v1\ntime {int.from_bytes(seconds)}\n{checkpoint.text}".encode()
            return self.signed_bytes(message, body)
        return self.signed_bytes(_cosigned_message(self.name, seconds, checkpoint), body)

    def signed_bytes(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed a message."""
        try:
            if self.algorithm == MLDSA44:
                MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, message)
            else:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


def _cosigned_message(name: str, seconds: bytes, checkpoint: Checkpoint) -> bytes:
    """What ML-DSA-44 signs (tlog-cosignature)."""
    named, origin = name.encode(), checkpoint.origin.encode()
    parts = (bytes([len(named)]), named, seconds, bytes([len(origin)]), origin, bytes(8), checkpoint.size.to_bytes(8))
    return b"subtree/v1\n\0" + b"".join(parts) + checkpoint.root


def time_of(signature: Signature) -> int:
    """POSIX seconds at which a cosignature or ML-DSA-44 signature was made."""
    return int.from_bytes(signature.body[:_TIME_BYTES])


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key.

    Raises:
        ValueError: It is none, of an unknown type, or its id is not that of its name and key.
    """
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    decoded = strict_base64(encoded)
    if not _NAME.fullmatch(name) or not decoded or len(decoded) - 1 != _KEY_BYTES.get(decoded[0]):
        raise ValueError(f"{text[:80]!r} is no verifier key of a known type")
    key = VerifierKey(name, decoded[0], decoded[1:])
    if key.key_id.hex() != key_id:
        raise ValueError(f"the id in the verifier key {text[:80]!r} is not that of its name and key")
    return key


def as_witness(key: VerifierKey) -> VerifierKey:
    """The key as which a witness cosigns: its Ed25519 key may be given as either type."""
    return VerifierKey(key.name, COSIGNATURE, key.public) if key.algorithm == ED25519 else key


def parse_checkpoint(raw: bytes) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ValueError: It is none, in words.
    """
    if len(raw) > _MOST_BYTES:
        raise ValueError("larger than a checkpoint can be")
    text, gap, lines = raw.decode("utf-8").partition("\n\n")
    origin, _, rest = text.partition("\n")
    size, _, root = rest.partition("\n")
    decoded = strict_base64(root)
    if not gap or not lines.endswith("\n") or not _NAME.fullmatch(origin):
        raise ValueError("not a signed note of a checkpoint")
    if not _SIZE.fullmatch(size) or len(decoded) != _HASH_BYTES:
        raise ValueError("its size or root is not in its only form")
    signatures = tuple(map(parse_signature, lines[:-1].split("\n")))
    return Checkpoint(f"{text}\n", origin, int(size), decoded, signatures, raw)


def parse_signature(line: str) -> Signature:
    """Read a signature line without its newline.

    Raises:
        ValueError: It is none.
    """
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    body = strict_base64(encoded)
    if not line.startswith(_DASH) or not _NAME.fullmatch(name) or len(body) <= _ID_BYTES:
        raise ValueError("a signature line is malformed")
    return Signature(name, body[:_ID_BYTES], body[_ID_BYTES:])


def strict_base64(text: str) -> bytes:
    """Standard base64 in its only form.

    Raises:
        ValueError: Another form.
    """
    try:
        body = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as exc:
        raise ValueError(f"not base64: {exc}") from exc
    if base64.b64encode(body).decode() != text:
        raise ValueError("not the only form of this base64")
    return body
