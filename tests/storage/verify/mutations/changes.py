"""Changes to an archive as somebody makes them who knows its formats, from a clumsy one to one with all the keys."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.ledger.checkpoint import TreeHead
from storage.ledger.note import Note, parse
from storage.ledger.signing import NoteSigner, signed
from storage.ledger.tiles import Edge, pack_bundle
from tests.storage.verify.mutations.memory import Memory
from tests.storage.verify.mutations.subject import ANCHOR, LOG, SEG, Subject

Parts = list[bytes]
Change = Callable[[Parts], None]
EDIT: Change = lambda parts: parts.__setitem__(1, parts[1][:-2] + b"~" + parts[1][-1:])  # noqa: E731
DROP: Change = lambda parts: parts.__delitem__(1)  # noqa: E731
INSERT: Change = lambda parts: parts.insert(1, bytes(reversed(parts[0])))  # noqa: E731
SWAP: Change = lambda parts: parts.insert(1, parts.pop(2))  # noqa: E731
TRUNCATE: Change = lambda parts: parts.__delitem__(-1)  # noqa: E731
REPLAY: Change = lambda parts: parts.append(parts[0])  # noqa: E731
WAYS = {"edit": EDIT, "drop": DROP, "insert": INSERT, "swap": SWAP, "truncate": TRUNCATE, "replay": REPLAY}


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def part_of(archive: Memory, seq: int, ending: str) -> str:
    """Key of a part of a segment."""
    (key,) = (key for key in archive.below(f"{SEG}{seq:012d}") if key.endswith(ending))
    return key


def records(archive: Memory, seq: int, change: Change) -> Memory:
    """The records of a segment; nothing else is adapted."""
    key = part_of(archive, seq, ".ndz")
    content, parts, at = zstandard.decompress(archive[key]), [], 0
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        parts.append(content[at + 4 : at + 4 + size])
        at += 4 + size
    change(parts)
    framed = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return Memory(archive | {key: zstandard.ZstdCompressor(write_checksum=True).compress(framed)})


def hashes(archive: Memory, key: str, change: Change) -> Memory:
    """The hashes of a leaf file or tile."""
    body = archive[key]
    parts = [body[at : at + 32] for at in range(0, len(body), 32)]
    change(parts)
    return Memory(archive | {key: b"".join(parts)})


def header_lines(archive: Memory, seq: int, change: Change) -> Memory:
    """The headers of a segment."""
    key = part_of(archive, seq, ".headers")
    parts = zstandard.decompress(archive[key]).splitlines(keepends=True)
    change(parts)
    return Memory(archive | {key: zstandard.ZstdCompressor(write_checksum=True).compress(b"".join(parts))})


def entries_of(archive: Memory) -> Parts:
    """The entries of the log."""
    (key,) = sorted(archive.below(f"{LOG}tile/entries/"), key=lambda each: int(each.rpartition("/")[2]))[-1:]
    body, parts, at = archive[key], [], 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 2])
        parts.append(body[at + 2 : at + 2 + size])
        at += 2 + size
    return parts


def entries(archive: Memory, change: Change) -> Memory:
    """The entries of the log in their bundle; the tiles stay."""
    parts = entries_of(archive)
    key = f"{LOG}tile/entries/000.p/{len(parts)}"
    change(parts)
    return Memory(archive | {key: pack_bundle(parts)})


def with_tiles(archive: Memory, parts: Parts, signers: tuple[NoteSigner, ...] = (), seconds: int = 0) -> Memory:
    """A log of other entries with all its hashes made anew; signed, where the one who does it has keys."""
    made = Memory({key: body for key, body in archive.items() if not key.startswith((f"{LOG}tile/", f"{LOG}staging/"))})
    edge, tiles = Edge().grow(parts)
    made |= {LOG + path: body for path, body in tiles.items()}
    lock = json.loads(archive[f"{LOG}lock.json"])
    note = parse(archive[f"{LOG}checkpoint"])
    head = TreeHead(note.text.partition("\n")[0], edge.size, edge.root())
    note = signed(head, signers, seconds) if signers else Note(head.text, note.signatures)
    bundle = canonical({"v": 1, "size": edge.size, "objects": []})
    staged = hashlib.sha256(bundle).hexdigest()
    key = f"{LOG}staging/{edge.size}-{staged[:16]}.json"
    lock |= {"checkpoint": note.encode().decode(), "staged": {"key": key, "sha256": staged}}
    return Memory(made | {key: bundle, f"{LOG}checkpoint": note.encode(), f"{LOG}lock.json": canonical(lock)})


def resigned(raw: bytes, how: Callable[[Note], Note]) -> bytes:
    """A checkpoint with other signatures."""
    return how(parse(raw)).encode()


def stranger(name: str, *, witness: bool = False) -> NoteSigner:
    """Somebody else's key under a name that is known."""
    return NoteSigner(name, Ed25519PrivateKey.from_private_bytes(b"s" * 32), witness=witness)


def renumbered(archive: Memory, seq: int, to: int) -> Memory:
    """A segment and its parts under another number, its manifest saying so."""
    moved: dict[str, bytes] = {}
    for key in archive.below(f"{SEG}{seq:012d}"):
        moved[key.replace(f"{seq:012d}", f"{to:012d}")] = archive[key]
    key = f"{SEG}{to:012d}.manifest.json"
    manifest = json.loads(moved[key]) | {"seq": to}
    for part in ("body", "leaves", "headers"):
        manifest[part]["key"] = manifest[part]["key"].replace(f"{seq:012d}", f"{to:012d}")
    return Memory(moved | {key: canonical(manifest)})


def without(archive: Memory, *starts: str) -> Memory:
    return Memory({key: body for key, body in archive.items() if not key.startswith(starts)})


def anchors_of(whole: Subject) -> list[str]:
    """The folders of the anchors, oldest first."""
    return sorted({key.rpartition("/")[0] + "/" for key in whole.archive.below(ANCHOR)})
