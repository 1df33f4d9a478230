"""Signed notes of C2SP: a text, an empty line, signature lines.

https://c2sp.org/signed-note. Reading is strict: what another reader might take differently is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

import msgspec

_DASH = "— "  # em dash U+2014 and a space
_NAME = re.compile(r"[^\s+]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
MAX_SIGNATURES = 64
MAX_BYTES = 512 * 1024


class Signature(msgspec.Struct, frozen=True):
    """One signature line.

    Attributes:
        name: Name of the key.
        key_id: 4 bytes, see `key_id_of`.
        body: What the algorithm made.
    """

    name: str
    key_id: bytes
    body: bytes

    @property
    def line(self) -> str:
        """The line, with its newline."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.body).decode()}\n"


class Note(msgspec.Struct, frozen=True):
    """A text and its signatures.

    Attributes:
        text: Ends in a newline; this is what is signed.
    """

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """The bytes of the note."""
        return f"{self.text}\n{''.join(each.line for each in self.signatures)}".encode()


def parse(raw: bytes) -> Note:
    """Read a note.

    Raises:
        ValueError: It is none, in words.
    """
    if len(raw) > MAX_BYTES:
        raise ValueError("the note is too large")
    whole = raw.decode("utf-8")
    if _CONTROL.search(whole):
        raise ValueError("the note has control characters")
    text, gap, lines = whole.rpartition("\n\n")
    if not gap or not text or not lines.endswith("\n"):
        raise ValueError("the note has no signatures, or its end is missing")
    listed = lines[:-1].split("\n")
    if len(listed) > MAX_SIGNATURES:
        raise ValueError("the note has too many signatures")
    return Note(text + "\n", tuple(map(parse_line, listed)))


def parse_line(line: str) -> Signature:
    """Read a signature line, without its newline.

    Raises:
        ValueError: It is none.
    """
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    body = strict_base64(encoded)
    if not line.startswith(_DASH) or not _NAME.fullmatch(name) or len(body) <= 4:  # noqa: PLR2004 - key id
        raise ValueError("a signature line is malformed")
    return Signature(name, body[:4], body[4:])


def strict_base64(text: str) -> bytes:
    """Decode standard base64 with padding, in its only form.

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


def is_key_name(name: str) -> bool:
    """Whether a name can be that of a key: not empty, no white space, no plus sign, no control characters."""
    return _NAME.fullmatch(name) is not None and not _CONTROL.search(name)


def key_id_of(name: str, algorithm: int, public: bytes) -> bytes:
    """SHA-256(name ‖ 0x0A ‖ algorithm ‖ public key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]
