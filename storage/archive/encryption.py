"""Encryption of a segment, scheme 1: commit, then encrypt (for outsiders: docs/integrity.md; reasons: ADR 0015).

Of the data key of 32 bytes, HKDF-SHA256 (no salt) makes one key for each use, by the text in `_INFO`.

* stored bytes = nonce (12) ‖ AES-256-GCM(K_encryption, nonce, what a clear segment would store, associated data)
* nonce = HMAC-SHA256(K_nonce, associated data ‖ SHA-256(what is encrypted))[:12]: the same content at the same place
  gives the same bytes, so that a restart writes what was written; two contents never share a nonce
* associated data = canonical JSON of namespace, topic, partition, first covered offset, part and version
* leaf = SHA-256(0x00 ‖ 0x01 ‖ C), C = SHA-256(r ‖ record), r = HMAC-SHA256(K_commitment, record)
* SHA-256 of a source in the manifest: HMAC-SHA256(K_source, its hex digits), so that nobody can try guesses out
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ingest.schema.errors import ConfigError, IntegrityError
from storage.archive.manifest import SCHEME, Manifest, canonical
from storage.datakeys.key import DataKey
from storage.datakeys.keys import DataKeys

CODEC_SUFFIX = "+aes256gcm"
NONCE_BYTES = 12
_INFO = "skytrail archive 1 {}"


class KeyGone(Exception):
    """The data key of a segment is not in the key table: destroyed, or lost."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a segment is; bound to its ciphertext."""

    namespace: str
    topic: str
    partition: int
    first_offset: int

    def bound(self, part: str) -> bytes:
        """The associated data of a part (``body``, ``headers``)."""
        return canonical(
            {
                "v": SCHEME,
                "namespace": self.namespace,
                "topic": self.topic,
                "partition": self.partition,
                "first_offset": self.first_offset,
                "part": part,
            }
        )


class Cipher:
    """Encrypts and decrypts under one data key."""

    def __init__(self, key: DataKey) -> None:
        self.key_id = key.id
        self._gcm = AESGCM(_derived(key.body, "encryption"))
        self._nonce = _derived(key.body, "nonce")
        self._commitment = _derived(key.body, "commitment")
        self._source = _derived(key.body, "source")

    def seal(self, content: bytes, bound: bytes) -> bytes:
        """The stored bytes."""
        nonce = hmac.digest(self._nonce, bound + hashlib.sha256(content).digest(), "sha256")[:NONCE_BYTES]
        return nonce + self._gcm.encrypt(nonce, content, bound)

    def open(self, stored: bytes, bound: bytes, where: str) -> bytes:
        """The content.

        Raises:
            IntegrityError: It was changed, or belongs elsewhere, or to another key.
        """
        try:
            return self._gcm.decrypt(stored[:NONCE_BYTES], stored[NONCE_BYTES:], bound)
        except (InvalidTag, ValueError) as exc:
            raise IntegrityError("decrypting archive object: not sealed here under this data key", where=where) from exc

    def leaf(self, record: bytes) -> bytes:
        """The leaf hash of a record: it binds the record, and tells nothing of it once the key is gone."""
        opening = hmac.digest(self._commitment, record, "sha256")
        return hashlib.sha256(b"\x00\x01" + hashlib.sha256(opening + record).digest()).digest()

    def source(self, sha256: str) -> str:
        """What stands in the manifest for the hash of a source."""
        return hmac.new(self._source, sha256.encode(), "sha256").hexdigest()


def location_of(manifest: Manifest) -> Location:
    """Where the segment of a manifest is."""
    stream = manifest.stream
    return Location(manifest.namespace, stream.topic, stream.partition, manifest.covers.first_offset)


def cipher_of(manifest: Manifest, keys: DataKeys | None) -> Cipher | None:
    """The cipher of a segment; None for one in the clear.

    Raises:
        KeyGone: Its data key is not in the key table.
        ConfigError: There is no key table, or its provider refuses.
        StoreUnavailable: Call it again.
    """
    if manifest.encryption is msgspec.UNSET:
        return None
    key_id = manifest.encryption.key
    if keys is None:
        raise ConfigError(
            f"reading an encrypted segment: no data keys are configured, and {key_id} is needed",
            where=manifest.body.key,
            mend="set archive.encryption as it is for the seal role (provider, table)",
        )
    key = keys.opened(manifest.namespace, key_id)
    if key is None:
        raise KeyGone(key_id)
    return Cipher(key)


def _derived(key: bytes, use: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, None, _INFO.format(use).encode()).derive(key)
