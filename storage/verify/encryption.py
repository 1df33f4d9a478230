"""Opens encrypted segments from the description of scheme 1 (docs/integrity.md), not with the code that made them.

What scheme 2 adds is in `storage.verify.groups`.

Where a ciphertext was damaged its tag says so and nothing more; then the content is decrypted without it, so that the
records that were hit can be named: their leaves decide.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from storage.verify.reading import canonical

SCHEME = 1
CODEC_SUFFIX = "+aes256gcm"
_NONCE, _TAG = 12, 16
_FIRST_COUNTER = (2).to_bytes(4, "big")  # NIST SP 800-38D: the counter 1 makes the tag


class KeySource(Protocol):
    """Where data keys come from."""

    @property
    def subjects(self) -> Path | None:
        """Directory of the table of subjects' keys; None: whoever asks has none."""
        ...

    def key(self, namespace: str, key_id: str) -> bytes | None:
        """A data key of 32 bytes; None where the key table has none of this id.

        Raises:
            OSError: It can't be opened: nothing is known about it.
        """


class Opened:
    """A data key in a segment, and the keys made of it."""

    def __init__(self, key: bytes, manifest: dict[str, Any]) -> None:
        self._encryption, self._commitment, self._source = (
            derived(key, use) for use in ("encryption", "commitment", "source")
        )
        self._bound = {
            "v": SCHEME,
            "namespace": manifest["namespace"],
            "topic": manifest["stream"]["topic"],
            "partition": manifest["stream"]["partition"],
            "first_offset": manifest["covers"]["first_offset"],
        }

    def content(self, stored: bytes, part: str) -> tuple[bytes, bool]:
        """What a part holds, and whether its tag is right."""
        nonce, sealed = stored[:_NONCE], stored[_NONCE:]
        if len(sealed) < _TAG:
            return b"", False
        try:
            bound = canonical({**self._bound, "part": part})
            return AESGCM(self._encryption).decrypt(nonce, sealed, bound), True
        except InvalidTag:
            counter = modes.CTR(nonce + _FIRST_COUNTER)
            return Cipher(algorithms.AES(self._encryption), counter).decryptor().update(sealed[:-_TAG]), False

    def opening(self, record: bytes) -> bytes:
        """What opens the commitment of a record: with it anybody can check the leaf."""
        return hmac.digest(self._commitment, record, "sha256")

    def leaf(self, record: bytes) -> bytes:
        """The leaf hash of a record."""
        return committed_leaf(record, self.opening(record))

    def leaves(self, records: Iterable[bytes]) -> list[bytes]:
        """The leaf hashes of records."""
        return list(map(self.leaf, records))

    def source(self, sha256: str) -> str:
        """What the manifest has for the hash of a source."""
        return hmac.new(self._source, sha256.encode(), "sha256").hexdigest()


def derived(key: bytes, use: str) -> bytes:
    """The key that is made of a data key for one use."""
    extracted = hmac.digest(bytes(32), key, "sha256")  # RFC 5869 2.2, without a salt
    return HKDFExpand(hashes.SHA256(), 32, f"skytrail archive 1 {use}".encode()).derive(extracted)


def committed_leaf(record: bytes, opening: bytes) -> bytes:
    """SHA-256(0x00 ‖ 0x01 ‖ SHA-256(opening ‖ record))."""
    return hashlib.sha256(b"\x00\x01" + hashlib.sha256(opening + record).digest()).digest()
