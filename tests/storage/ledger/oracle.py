"""Re-derives a log from its files, with nothing of the code that wrote them; stricter than a reader has to be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey


def name_of(number: int) -> str:
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def root(hashes: list[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    return hashlib.sha256(b"\x01" + root(hashes[:half]) + root(hashes[half:])).digest()


def entries_of(log: Path) -> list[dict[str, Any]]:
    """Every entry of a log, after everything about it was checked."""
    text, _, signatures = (log / "checkpoint").read_text("utf-8").rpartition("\n\n")
    origin, size_text, root_text = text.split("\n")
    size = int(size_text)
    entries = _entries(log, size)
    hashes = [hashlib.sha256(b"\0" + entry).digest() for entry in entries]
    assert base64.b64encode(root(hashes)).decode() == root_text
    _check_tiles(log, hashes)
    decoded = [json.loads(entry) for entry in entries]
    _check_signatures(f"{text}\n", signatures, [key["vkey"] for key in _keys_at(decoded, size)], origin, size)
    for entry, value in zip(entries, decoded, strict=True):
        assert json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == entry
    _check_chains(entries, decoded)
    return decoded


def ledgers_tell_of_every_segment(archive: Path, epoch: int = 1) -> dict[str, list[dict[str, Any]]]:
    """Every ledger of an archive is sound, and has each manifest that lies there once, and no other; the entries."""
    found: dict[str, list[dict[str, Any]]] = {}
    for namespace in sorted(path.parent for path in archive.glob("*/seg")):
        entries = entries_of(namespace / "log" / str(epoch))
        entered = [each for each in entries if each["type"] == "segment"]
        lying = [json.loads(path.read_bytes()) for path in namespace.glob("seg/*/*/*.manifest.json")]
        assert sorted(map(_place, entered)) == sorted(map(_place, lying))
        assert {_place(each): each for each in entered} == {_place(each): each for each in lying}
        found[namespace.name] = entries
    return found


def _place(manifest: dict[str, Any]) -> tuple[str, int, int]:
    return manifest["stream"]["topic"], manifest["stream"]["partition"], manifest["seq"]


def _entries(log: Path, size: int) -> list[bytes]:
    entries: list[bytes] = []
    while len(entries) < size:
        width = min(256, size - len(entries))
        path = log / "tile" / "entries" / name_of(len(entries) // 256)
        body = (path if width == 256 else path.with_name(f"{path.name}.p") / str(width)).read_bytes()
        while body:
            length = int.from_bytes(body[:2], "big")
            entries.append(body[2 : 2 + length])
            body = body[2 + length :]
    assert len(entries) == size
    return entries


def _check_tiles(log: Path, hashes: list[bytes]) -> None:
    level = 0
    while hashes:
        for at in range(0, len(hashes), 256):
            part = hashes[at : at + 256]
            path = log / "tile" / str(level) / name_of(at // 256)
            stored = (path if len(part) == 256 else path.with_name(f"{path.name}.p") / str(len(part))).read_bytes()
            assert stored == b"".join(part)
        hashes = [root(hashes[at : at + 256]) for at in range(0, len(hashes) - 255, 256)]
        level += 1


def _keys_at(entries: list[dict[str, Any]], size: int) -> list[dict[str, Any]]:
    """The keys that must sign a checkpoint of this size: those in force, and retiring ones at the size of their end."""
    changes = [entry for entry in entries if entry["type"] == "keychange"]
    keys = list(changes[-1]["keys"])
    retired = [key["vkey"] for key in changes[-1]["retired"] if key["last_size"] == size]
    return [*({"vkey": vkey} for vkey in retired), *keys]


def _check_signatures(text: str, signatures: str, vkeys: list[str], origin: str, size: int) -> None:
    lines = [re.fullmatch(r"— (\S+) (\S+)", line) for line in signatures.splitlines()]
    assert all(lines)
    found = [(line[1], base64.b64decode(line[2])) for line in lines if line]
    for vkey, (name, body) in zip(vkeys, found, strict=False):
        key_name, _, rest = vkey.partition("+")
        key_id, _, encoded = rest.partition("+")
        public = base64.b64decode(encoded)
        assert name == key_name == origin
        assert hashlib.sha256(f"{name}\n".encode() + public).digest()[:4].hex() == key_id == body[:4].hex()
        if public[0] == 1:
            Ed25519PublicKey.from_public_bytes(public[1:]).verify(body[4:], text.encode())
            continue
        named = bytes([len(name)]) + name.encode()
        message = b"subtree/v1\n\0" + named + body[4:12] + named + bytes(8) + size.to_bytes(8, "big")
        message += base64.b64decode(text.split("\n")[2])
        MLDSA44PublicKey.from_public_bytes(public[1:]).verify(body[12:], message)
    assert len(found) >= len(vkeys)


def _check_chains(entries: list[bytes], decoded: list[dict[str, Any]]) -> None:
    assert [value["type"] for value in decoded[:2]] == ["keychange", "config"]
    tips: dict[tuple[str, int], tuple[int, int, str]] = {}
    for entry, value in zip(entries, decoded, strict=True):
        if value["type"] == "segment":
            place = value["stream"]["topic"], value["stream"]["partition"]
            seq, last, previous = tips.get(place, (-1, value["covers"]["first_offset"] - 1, None))
            assert (value["seq"], value["covers"]["first_offset"]) == (seq + 1, last + 1)
            assert value["previous"] == previous
            tips[place] = value["seq"], value["covers"]["last_offset"], hashlib.sha256(entry).hexdigest()
        for stream in value.get("streams", []):
            assert tips[stream["topic"], stream["partition"]][:2] == (stream["seq"], stream["last_offset"])
