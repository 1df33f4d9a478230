"""Public keys that digests may be signed with, pinned in files, so that nothing need be asked of AWS.

A file is one of: the answer of ``aws cloudtrail list-public-keys`` (JSON), or one RSA public key in PEM or DER, as
SubjectPublicKeyInfo or PKCS #1.
https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_ListPublicKeys.html
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A key; from PEM and DER without fingerprint and without times.

    Attributes:
        fingerprint: Hex, as digests name it.
        start: Valid from.
        end: Valid until.
    """

    key: RSAPublicKey
    fingerprint: str = ""
    start: dt.datetime | None = None
    end: dt.datetime | None = None

    def signed(self, signature: bytes, text: bytes) -> bool:
        """Whether this key made a signature (SHA256withRSA, PKCS #1 v1.5)."""
        try:
            self.key.verify(signature, text, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True

    def valid_at(self, time: dt.datetime, slack: dt.timedelta) -> bool:
        """Whether it is valid at a time, give or take `slack`."""
        return not (
            (self.start is not None and time < self.start - slack) or (self.end is not None and time > self.end + slack)
        )


@dataclass(frozen=True, slots=True)
class PinnedKeys:
    """All pinned keys."""

    keys: tuple[PinnedKey, ...]

    def named(self, fingerprint: str) -> list[PinnedKey]:
        """The keys that may be meant: those with the fingerprint, else those of which none is known."""
        known = [key for key in self.keys if key.fingerprint == fingerprint]
        return known or [key for key in self.keys if not key.fingerprint]


def read_keys(paths: Iterable[Path]) -> PinnedKeys:
    """The keys of files.

    Raises:
        ValueError: A file can't be read or is none of these.
    """
    return PinnedKeys(tuple(key for path in paths for key in _of_file(path)))


def _of_file(path: Path) -> Iterator[PinnedKey]:
    try:
        content = path.read_bytes()
        if content.lstrip()[:1] == b"{":
            for entry in json.loads(content)["PublicKeyList"]:
                yield PinnedKey(
                    _rsa(base64.b64decode(entry["Value"], validate=True)),
                    entry["Fingerprint"],
                    _time(entry["ValidityStartTime"]),
                    _time(entry["ValidityEndTime"]),
                )
        else:
            yield PinnedKey(_rsa(content))
    except OSError as exc:
        raise ValueError(f"{path}: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, UnsupportedAlgorithm) as exc:
        raise ValueError(f"{path} holds no public key and no answer of ListPublicKeys: {exc}") from exc


def _rsa(content: bytes) -> RSAPublicKey:
    pem = content.lstrip().startswith(b"-----BEGIN")
    key = load_pem_public_key(content) if pem else load_der_public_key(content)
    if not isinstance(key, RSAPublicKey):
        raise TypeError("not an RSA key")
    return key


def _time(value: Any) -> dt.datetime:
    """Seconds since 1970 (version 1 of the AWS command line) or ISO 8601 (version 2)."""
    if isinstance(value, int | float):
        return dt.datetime.fromtimestamp(value, dt.UTC)
    found = dt.datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
