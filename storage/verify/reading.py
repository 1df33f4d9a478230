"""Reads the artefacts of an archive from the description of their formats, not with the code that wrote them.

* manifest, head: canonical JSON (UTF-8, sorted keys, no spaces)
* body: one zstd frame; inside, per record, its length (unsigned 32 bit, big-endian) and its bytes
* leaves: SHA-256(0x00 ‖ record) of each record, 32 bytes each
* headers: one zstd frame; inside, one line of JSON per message

Of encrypted segments see `storage.verify.encryption`.

Memory stays bounded whatever the bytes say.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable
from typing import Any

import zstandard

_CHECKSUM_FLAG = 0x04  # RFC 8878 §3.1.1.1.1
_STEP = 1024 * 1024
_CUT_STEP = 256 * 1024
_LENGTH = struct.Struct(">I")
_SALVAGE_STEP = 4 * 1024  # what a failing step had read is lost
MAX_CONTENT = 512 * 1024 * 1024  # inflated bytes of one object: far beyond any honest segment
_NUMBER = "number"
_TEXT = "text"
_PART = {"key": _TEXT, "sha256": _TEXT, "size": _NUMBER, "codec": _TEXT}
_SOURCE = {
    "format": _TEXT,
    "collector": _TEXT,
    "transport": _TEXT,
    "locator": _TEXT,
    "sha256": _TEXT,
    "records": _NUMBER,
}
MANIFEST_SHAPE: dict[str, object] = {
    "v": _NUMBER,
    "type": _TEXT,
    "namespace": _TEXT,
    "stream": {"topic": _TEXT, "partition": _NUMBER},
    "seq": _NUMBER,
    "covers": {"first_offset": _NUMBER, "last_offset": _NUMBER},
    "n": _NUMBER,
    "bytes": _NUMBER,
    "root": _TEXT,
    "body": _PART,
    "leaves": _PART,
    "headers": _PART,
    "positions": [[_NUMBER, _NUMBER, _NUMBER]],
    "previous": (_TEXT, None),
    "received": ({"min": _TEXT, "max": _TEXT}, None),
    "sealed_at": _TEXT,
    "sources": {"count": _NUMBER, "sha256": _TEXT, "origins": [_SOURCE]},
    "totals": {"records": _NUMBER, "bytes": _NUMBER},
    "partition": {"start": _NUMBER, "gaps": [[_NUMBER, _NUMBER]]},
    "batch": {"first_offset": _NUMBER, "last_offset": _NUMBER, "parts": _NUMBER},
    "builder": {"product": _TEXT, "version": _TEXT},
    "encryption?": {"v": _NUMBER, "key": _TEXT},
    "retention?": {"policy": _TEXT, "class": _TEXT, "retain_until": _TEXT},
}
HEAD_SHAPE: dict[str, object] = {"v": _NUMBER, "seq": _NUMBER, "manifest": _TEXT}


def sha256(body: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(body).hexdigest()


def canonical(value: object) -> bytes:
    """The one way to write a JSON value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")


def document(body: bytes, shape: dict[str, object] | None) -> tuple[dict[str, Any] | None, str]:
    """A canonical JSON object, of a given shape or of any, or None and what is wrong with it."""
    try:
        value = json.loads(body.decode("utf-8"))
        same = canonical(value) == body
    except (ValueError, RecursionError) as exc:
        return None, f"not JSON: {exc}"
    if not isinstance(value, dict):
        return None, "no JSON object"
    wrong = _mismatch(value, shape, "") if shape is not None else ""
    if not wrong and not same:
        wrong = "not in canonical form"
    return (None, wrong) if wrong else (value, "")


def _mismatch(value: Any, shape: object, path: str) -> str:
    """Which field has not its shape; "" when all have."""
    if isinstance(shape, tuple):
        if value is None:
            return ""
        shape = shape[0]
    pairs: list[tuple[Any, object, str]] = []
    if shape == _NUMBER:
        right = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    elif shape == _TEXT:
        right = isinstance(value, str)
    elif isinstance(shape, dict):
        own = {name.rstrip("?"): inner for name, inner in shape.items() if not _absent(name, value)}
        right = isinstance(value, dict) and value.keys() == own.keys()
        pairs = [(value[name], inner, f"{path}.{name}") for name, inner in own.items()] if right else []
    else:
        right, pairs = _list_pairs(value, shape, path)
    if not right:
        return f"not of the right shape: {path.lstrip('.') or 'the whole'}"
    return next(filter(None, (_mismatch(*pair) for pair in pairs)), "")


def _absent(name: str, value: Any) -> bool:
    """Whether a field that may be left out (its name ends in ``?``) is left out."""
    return name[-1] == "?" and isinstance(value, dict) and name[:-1] not in value


def _list_pairs(value: Any, shape: object, path: str) -> tuple[bool, list[tuple[Any, object, str]]]:
    """A list of one entry describes every entry; a longer one describes an array of that length."""
    if not isinstance(value, list) or not isinstance(shape, list):
        return False, []
    if len(shape) > 1 and len(value) != len(shape):
        return False, []
    each = shape if len(shape) > 1 else shape * len(value)
    return True, [(entry, each[i], f"{path}[{i}]") for i, entry in enumerate(value)]


def leaves_of(records: Iterable[bytes]) -> list[bytes]:
    """RFC 6962 §2.1: the hashes of leaves."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + record).digest() for record in records]


def root_over(leaves: list[bytes]) -> str:
    """RFC 6962 §2.1: the hex root, level by level; an odd one at the end of a level moves up as it is."""
    if not leaves:
        return sha256(b"")
    level = leaves
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0].hex()


def inflate(body: bytes, limit: int) -> tuple[bytes, str]:
    """As much of the content of a zstd frame as can be had, at most `limit` bytes, and what was wrong ("": nothing)."""
    try:
        content, wrong = _drain(body, min(limit, MAX_CONTENT))
        if not wrong and _frame_end(body) != len(body):
            wrong = "bytes after the end of the frame"
    except (zstandard.ZstdError, IndexError) as exc:
        wrong = str(exc) or "damaged"
        content = b""
    else:
        return content, wrong
    # Without its checksum a damaged frame still gives the records that were not hit.
    if len(body) > len(zstandard.FRAME_HEADER):
        bare = bytearray(body)
        bare[len(zstandard.FRAME_HEADER)] &= ~_CHECKSUM_FLAG
        content = _salvage(bytes(bare), min(limit, MAX_CONTENT))
    return content, wrong


def _drain(body: bytes, limit: int) -> tuple[bytes, str]:
    stated = zstandard.frame_content_size(body)
    if 0 < stated <= limit:  # in one piece, which costs half of what many do
        return zstandard.ZstdDecompressor().decompress(body), ""
    content = bytearray()
    with zstandard.ZstdDecompressor().stream_reader(body) as reader:
        while len(content) <= limit and (more := reader.read(_STEP)):
            content += more
    return (
        (bytes(content), "") if len(content) <= limit else (bytes(content[:limit]), "it inflates to more than can be")
    )


def _salvage(body: bytes, limit: int) -> bytes:
    content = bytearray()
    with zstandard.ZstdDecompressor().stream_reader(body) as reader:
        try:
            while len(content) < limit and (more := reader.read(_SALVAGE_STEP)):
                content += more
        except zstandard.ZstdError:
            pass  # the caller already holds what is wrong
    return bytes(content[:limit])


def _frame_end(body: bytes) -> int:
    """Where the first frame ends (RFC 8878 §3.1.1): nothing may hide behind it."""
    at = zstandard.frame_header_size(body)
    last = False
    while not last:
        block = int.from_bytes(body[at : at + 3], "little")
        last = bool(block & 1)
        is_run = (block >> 1) & 3 == 1
        at += 3 + (1 if is_run else block >> 3)
    return at + (4 if zstandard.get_frame_parameters(body).has_checksum else 0)


def cut(frames: bytes) -> tuple[list[bytes], bool]:
    """Every whole record, and whether the frames end where a record ends."""
    at, size = 0, len(frames)
    records: list[bytes] = []
    read_length = _LENGTH.unpack_from
    while at + 4 <= size:
        start = at + 4
        end = start + read_length(frames, at)[0]
        if end > size:
            return records, False
        records.append(frames[start:end])
        at = end
    return records, at == size


def nth_record(body: bytes, number: int, limit: int) -> bytes | None:
    """One record of a segment body, inflating no more than what stands before it; None where it can't be had."""
    read = passed = 0  # inflated bytes, and records that are passed
    piece, read_length = b"", _LENGTH.unpack_from
    try:
        with zstandard.ZstdDecompressor().stream_reader(body) as reader:
            while read <= limit and (more := reader.read(_CUT_STEP)):
                read, piece, at = read + len(more), piece + more, 0
                while (start := at + _LENGTH.size) <= len(piece):
                    end = start + read_length(piece, at)[0]
                    if end > len(piece):
                        break
                    if passed == number:
                        return piece[start:end]
                    at, passed = end, passed + 1
                piece = piece[at:]
    except zstandard.ZstdError:
        return None
    return None
