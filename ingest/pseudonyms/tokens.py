"""Keyed tokens that stand for a person's name, e-mail address or network address. Pure: secret and value give it.

Names and e-mail addresses are encrypted with AES-SIV (RFC 5297), which gives the same text for the same value and can
be turned back with the key; no table of people is kept. Addresses become unique local ones (RFC 4193, fd00::/8), so
that they stay addresses for whoever stores or compares them: `fd04:` for IPv4, which can be turned back, `fd06:` for
IPv6, which can't, because 128 bits do not fit behind a prefix.

Each namespace has keys of its own, derived from the secret, so tokens of two tenants can't be compared.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import ipaddress
import re
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

Kind = Literal["user", "email", "address"]
KINDS: Final[tuple[Kind, ...]] = ("user", "email", "address")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SECRET_BYTES: Final = 64
LONGEST: Final = 256
"""Bytes of a value; the token of a longer one is a keyed hash and can't be turned back."""
REMEMBERED: Final = 16384
"""Answers about short values that are kept: who writes records must not be able to fill the memory."""
_LONGEST_ADDRESS: Final = 64

_PART = r"[\w-]+"
EMAIL: Final = re.compile(rf"(?<![\w.#+-])[\w.#+-]{{1,128}}@{_PART}(?:\.{_PART})+")
TOKEN: Final = re.compile(r"psn-[ueh]-[a-z2-7]{16,}")
_LETTERS: Final[dict[Kind, str]] = {"user": "u", "email": "e"}
_BLOCK: Final = 8  # lengths are rounded up to it, so that a token tells little of the length of a name
_PREFIX4: Final = b"\xfd\x04"
_PREFIX6: Final = b"\xfd\x06"
_TAG4: Final = 10  # bytes


def address_of(text: str) -> Address | None:
    """The address that a text is; IPv4 within IPv6 is IPv4. None for other texts."""
    return _address_of(text) if len(text) <= _LONGEST_ADDRESS else None


@functools.lru_cache(maxsize=REMEMBERED)
def _address_of(text: str) -> Address | None:
    if not text or text[-1] not in "0123456789abcdefABCDEF:" or ("." not in text and ":" not in text):
        return None
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found


def kind_of(value: str) -> Kind:
    """Which kind a personal value is, by what it looks like: so a name that is an e-mail address joins with that."""
    return _kind_of(value) if len(value) <= LONGEST else "user"


@functools.lru_cache(maxsize=REMEMBERED)
def _kind_of(value: str) -> Kind:
    if address_of(value) is not None:
        return "address"
    return "email" if EMAIL.fullmatch(value) else "user"


class Tokens:
    """The tokens of one namespace under one secret.

    Args:
        secret: `SECRET_BYTES` random bytes.
        namespace: Whose logs.
    """

    def __init__(self, secret: bytes, namespace: str) -> None:
        def derived(purpose: str, size: int) -> bytes:
            info = f"skytrail pseudonyms v1\0{purpose}\0{namespace}".encode()
            return HKDFExpand(SHA512(), size, info).derive(secret)

        self._siv = AESSIV(derived("text", 64))
        self._hash_key = derived("hash", 32)
        self._address_key = derived("address", 32)

    def token(self, value: str) -> str:
        """The token of a value; e-mail addresses that differ in upper and lower case alone have one."""
        kind = kind_of(value)
        if kind == "address":
            address = address_of(value)
            assert address is not None
            return str(self.address(address))
        written = (value.lower() if kind == "email" else value).encode("utf-8", "replace")
        if len(written) > LONGEST:
            digest = hmac.digest(self._hash_key, kind.encode() + b"\0" + written, hashlib.sha256)
            return f"psn-h-{_base32(digest[:20])}"
        padded = written + b"\x80" + bytes(-(len(written) + 1) % _BLOCK)
        return f"psn-{_LETTERS[kind]}-{_base32(self._siv.encrypt(padded, [kind.encode()]))}"

    def address(self, address: Address) -> ipaddress.IPv6Address:
        """The token of an address."""
        packed = address.packed
        if isinstance(address, ipaddress.IPv6Address):
            return ipaddress.IPv6Address(_PREFIX6 + self._mac(b"6", packed)[: 16 - len(_PREFIX6)])
        tag = self._mac(b"4", packed)[:_TAG4]
        return ipaddress.IPv6Address(_PREFIX4 + tag + self._masked(tag, packed))

    def reveal(self, token: str) -> tuple[Kind, str] | None:
        """What a token stands for; None where it is of another key or namespace, or can't be turned back."""
        address = address_of(token)
        if address is not None:
            return self._revealed(address.packed) if isinstance(address, ipaddress.IPv6Address) else None
        kind = next((kind for kind, letter in _LETTERS.items() if token.startswith(f"psn-{letter}-")), None)
        if kind is None:
            return None
        body = token[len("psn-u-") :].upper()
        try:
            sealed = base64.b32decode(body + "=" * (-len(body) % 8))
            padded = self._siv.decrypt(sealed, [kind.encode()])
        except (InvalidTag, ValueError, binascii.Error):
            return None
        return kind, padded[: padded.rindex(b"\x80")].decode("utf-8", "replace")

    def _revealed(self, packed: bytes) -> tuple[Kind, str] | None:
        if not packed.startswith(_PREFIX4):
            return None
        tag, masked = packed[len(_PREFIX4) : -4], packed[-4:]
        found = self._masked(tag, masked)
        if not hmac.compare_digest(self._mac(b"4", found)[:_TAG4], tag):
            return None
        return "address", str(ipaddress.IPv4Address(found))

    def _masked(self, tag: bytes, four: bytes) -> bytes:
        mask = self._mac(b"m", tag)[:4]
        return bytes(a ^ b for a, b in zip(four, mask, strict=True))

    def _mac(self, purpose: bytes, data: bytes) -> bytes:
        return hmac.digest(self._address_key, purpose + data, hashlib.sha256)


def _base32(body: bytes) -> str:
    return base64.b32encode(body).decode().rstrip("=").lower()
