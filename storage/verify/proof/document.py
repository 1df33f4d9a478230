"""The proof of one record as a file: gzip-compressed JSON (docs/integrity.md describes its fields)."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
import zlib
from dataclasses import dataclass
from typing import Any

from storage.verify.encryption import committed_leaf
from storage.verify.ledger.notes import Checkpoint, parse_checkpoint, strict_base64
from storage.verify.ledger.tree import leaf_hash
from storage.verify.reading import MANIFEST_SHAPE, canonical, document

VERSION = 1
TLOG_PROOF = "c2sp.org/tlog-proof@v1"
_MOST_BYTES = 64 * 1024 * 1024
_STAMP_NAME = re.compile(r"[A-Za-z0-9._-]{1,250}")
_MAGIC = b"\x1f\x8b"
_SHAPE: dict[str, object] = {
    "v": "number",
    "type": "text",
    "offset": "number",
    "index": "number",
    "leaf": "text",
    "record": ("text", None),
    "opening?": "text",
    "path": ["text"],
    "manifest": MANIFEST_SHAPE,
    "ledger": "text",
    "stamps": [{"name": "text", "reply": "text"}],
}


@dataclass(frozen=True, slots=True)
class Inclusion:
    """A proof of https://c2sp.org/tlog-proof: an entry is in a log.

    Attributes:
        index: Of the entry.
        path: RFC 6962 inclusion path, the sibling of the leaf first.
        checkpoint: Of the log, with its signatures.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    def encode(self) -> str:
        """The text of the proof."""
        hashes = "".join(f"{base64.b64encode(each).decode()}\n" for each in self.path)
        return f"{TLOG_PROOF}\nindex {self.index}\n{hashes}\n{self.checkpoint.raw.decode()}"


@dataclass(frozen=True, slots=True)
class Proof:
    """All that is needed to see that a record was sealed, but the keys.

    Attributes:
        offset: Of its message in the partition that the manifest names.
        index: Of the record in its message.
        leaf: RFC 6962 leaf hash of the record.
        record: Its exact bytes; None where they are not part of the proof.
        path: Inclusion path in its segment.
        manifest: Of the segment.
        ledger: Inclusion of the manifest in the ledger.
        stamps: Name and RFC 3161 reply of each time stamp of the checkpoint.
        opening: Of an encrypted segment: with it the record gives the leaf, without it nobody can tell.
    """

    offset: int
    index: int
    leaf: bytes
    record: bytes | None
    path: tuple[bytes, ...]
    manifest: dict[str, Any]
    ledger: Inclusion
    stamps: tuple[tuple[str, bytes], ...]
    opening: bytes | None = None

    def leaf_of(self, record: bytes) -> bytes | None:
        """The leaf that a record would have at this place; None where the opening is missing."""
        if "encryption" not in self.manifest:
            return leaf_hash(record)
        return committed_leaf(record, self.opening) if self.opening is not None else None

    def encode(self) -> bytes:
        """The bytes of the file."""
        value: dict[str, Any] = {
            "v": VERSION,
            "type": "skytrail-proof",
            "offset": self.offset,
            "index": self.index,
            "leaf": self.leaf.hex(),
            "record": base64.b64encode(self.record).decode() if self.record is not None else None,
            "path": [each.hex() for each in self.path],
            "manifest": self.manifest,
            "ledger": self.ledger.encode(),
            "stamps": [{"name": name, "reply": base64.b64encode(reply).decode()} for name, reply in self.stamps],
        }
        if self.opening is not None:
            value["opening"] = self.opening.hex()
        return _compressed(canonical(value))


def _compressed(body: bytes) -> bytes:
    """One gzip member, whose blocks begin where the alphabet changes: base64, names, hex. It saves 200 bytes of 6,000.

    The ledger stands before the manifest, that before the offset, and the path between it and the stamps.
    """
    starts = [body.find(name) for name in (b'"manifest":{', b'"offset":', b'"stamps":[')]
    edges = [0, *sorted(at for at in starts if at > 0), len(body)]
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(body[at:end]) + packer.flush(zlib.Z_BLOCK) for at, end in itertools.pairwise(edges)]
    return b"".join(parts) + packer.flush()


def parse_proof(raw: bytes) -> Proof:
    """Read a proof, compressed or not.

    Raises:
        ValueError: It is none, in words.
    """
    value, wrong = document(_inflated(raw), _SHAPE)
    if value is None:
        raise ValueError(wrong)
    if (value["v"], value["type"]) != (VERSION, "skytrail-proof"):
        raise ValueError("of an unknown version or type")
    try:
        return Proof(
            offset=value["offset"],
            index=value["index"],
            leaf=_hash(value["leaf"]),
            record=strict_base64(value["record"]) if value["record"] is not None else None,
            path=tuple(map(_hash, value["path"])),
            manifest=value["manifest"],
            ledger=parse_inclusion(value["ledger"]),
            stamps=tuple((stamp_name(each["name"]), strict_base64(each["reply"])) for each in value["stamps"]),
            opening=_hash(value["opening"]) if "opening" in value else None,
        )
    except (binascii.Error, ValueError) as exc:
        raise ValueError(f"a part of it can't be read: {exc}") from exc


def parse_inclusion(text: str) -> Inclusion:
    """Read a tlog-proof; one with an ``extra`` line, which nobody signs, is refused.

    Raises:
        ValueError: It is none, in words.
    """
    head, gap, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    digits = lines[1].removeprefix("index ") if len(lines) > 1 else ""
    if not gap or lines[0] != TLOG_PROOF or not digits.isdecimal() or str(int(digits)) != digits:
        raise ValueError("not a tlog-proof")
    path = tuple(map(strict_base64, lines[2:]))
    if any(len(each) != 32 for each in path):  # noqa: PLR2004 - SHA-256
        raise ValueError("a hash of the tlog-proof has not 32 bytes")
    return Inclusion(int(digits), path, parse_checkpoint(checkpoint.encode()))


def stamp_name(text: str) -> str:
    """Nobody signs the name of a stamp, and it is shown: it must not look like something else.

    Raises:
        ValueError: It is none.
    """
    if _STAMP_NAME.fullmatch(text) is None:
        raise ValueError("a time stamp has a name that is none")
    return text


def _hash(text: str) -> bytes:
    body = bytes.fromhex(text)
    if len(body) != 32 or body.hex() != text:  # noqa: PLR2004 - SHA-256
        raise ValueError("a hash is not 64 lower-case hex digits")
    return body


def _inflated(raw: bytes) -> bytes:
    if raw[:2] != _MAGIC:
        return raw
    inflater = zlib.decompressobj(wbits=31)
    try:
        content = inflater.decompress(raw, _MOST_BYTES)
    except zlib.error as exc:
        raise ValueError(f"not gzip: {exc}") from exc
    if not inflater.eof or inflater.unused_data:
        raise ValueError("cut off, too large, or with bytes after its end")
    return content
