"""Identifiers as the clouds write them, drawn from a seeded source so that a day can be made again byte for byte."""

from __future__ import annotations

import random

_KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_KEY_TAIL = 16
_REQUEST_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Identifiers:
    """Draws identifiers from one random source."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def uuid(self) -> str:
        """A random UUID (RFC 9562, version 4)."""
        bits = self._rng.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | (0x4 << 76) | (0x2 << 62)
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def key(self, prefix: str) -> str:
        """An access key id: `AKIA` for long-term keys, `ASIA` for temporary ones."""
        return prefix + self._letters(_KEY_ALPHABET, _KEY_TAIL)

    def principal(self, prefix: str) -> str:
        """A unique id of IAM: `AIDA` for users, `AROA` for roles."""
        return prefix + self._letters(_KEY_ALPHABET, _KEY_TAIL + 1)

    def resource(self, prefix: str) -> str:
        """An EC2 resource id such as `i-0f3c…` or `snap-0…`."""
        return f"{prefix}-0{self._rng.getrandbits(64):016x}"

    def s3_request(self) -> str:
        """A request id of S3."""
        return self._letters(_REQUEST_ALPHABET, 16)

    def token(self, length: int) -> str:
        """An opaque token, for session tokens and file names."""
        return self._letters(_KEY_ALPHABET + _KEY_ALPHABET.lower(), length)

    def suffix(self, length: int) -> str:
        """A suffix of a generated Kubernetes name, from the letters Kubernetes uses for it."""
        return self._letters(_NAME_ALPHABET, length)

    def hexadecimal(self, digits: int) -> str:
        """Random hexadecimal digits."""
        return f"{self._rng.getrandbits(4 * digits):0{digits}x}"

    def _letters(self, alphabet: str, length: int) -> str:
        return "".join(self._rng.choices(alphabet, k=length))
