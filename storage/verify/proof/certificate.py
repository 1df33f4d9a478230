"""The certificate of a deletion: what existed, under which rule and whose approval it was destroyed, and when.

Everything in it is an entry of the ledger with its path to one signed checkpoint, so whoever has a key of the log
checks it offline. It is gzip-compressed canonical JSON (docs/retention.md).
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from storage.verify.findings import Site
from storage.verify.ledger.entries import read_entry
from storage.verify.ledger.notes import Checkpoint, parse_checkpoint, strict_base64
from storage.verify.ledger.pins import Pins
from storage.verify.ledger.retention import Lawful
from storage.verify.ledger.tiles import Tiles
from storage.verify.ledger.tree import leaf_hash, root_by_path
from storage.verify.places import Place
from storage.verify.proof import erasure
from storage.verify.proof.checking import Checked, check_checkpoint
from storage.verify.proof.document import stamp_name
from storage.verify.proof.making import Stamps, Unprovable, best_checkpoint, index_of
from storage.verify.reading import MANIFEST_SHAPE, canonical, document, sha256

VERSION = 1
_UNREADABLE = (AttributeError, KeyError, OverflowError, TypeError, ValueError)
_MOST_BYTES = 64 * 1024 * 1024
_SHAPE: dict[str, object] = {
    "v": "number",
    "type": "text",
    "checkpoint": "text",
    "stamps": [{"name": "text", "reply": "text"}],
    "entries": [{"index": "number", "entry": "text", "path": ["text"]}],
}


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry of the ledger and its path to the root of the certificate's checkpoint."""

    index: int
    entry: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was destroyed.

    Attributes:
        checkpoint: Covers all entries.
        stamps: Name and RFC 3161 reply of its time stamps.
        entries: The policy in force, the tombstone, the receipt, then the manifests of the segments; or the policy
            and the entry by which the keys of a person went.
    """

    checkpoint: Checkpoint
    stamps: Stamps
    entries: tuple[Proven, ...]

    def encode(self) -> bytes:
        """The bytes of the file."""
        value = {
            "v": VERSION,
            "type": "deletion",
            "checkpoint": self.checkpoint.raw.decode(),
            "stamps": [{"name": name, "reply": _text(reply)} for name, reply in self.stamps],
            "entries": [
                {"index": each.index, "entry": _text(each.entry), "path": list(map(_text, each.path))}
                for each in self.entries
            ],
        }
        return gzip.compress(canonical(value), mtime=0)


def make_certificate(place: Place, namespace: str, epoch: int, wanted: str) -> Certificate:
    """The certificate of a tombstone that has a receipt.

    Args:
        place: The archive.
        namespace: Whose.
        epoch: Of the ledger that has the tombstone.
        wanted: Id of the tombstone.

    Raises:
        Unprovable: There is no such tombstone, or what it announced is not done yet.
        OSError: The archive can't be read.
        ValueError: The ledger is damaged.
    """
    root = f"{namespace}/log/{epoch}/"
    published = parse_checkpoint(place.read(f"{root}checkpoint") or b"")
    tiles = Tiles(place, root, published.size)
    found = _entries(tiles, wanted)
    stone = document(found[1][1], None)[0] or {}
    folder = f"{namespace}/seg/{stone['topic']}/{stone['partition']}"
    for row in stone["segments"]:
        entry = place.read(f"{folder}/{row['seq']:012d}.manifest.json") or b""
        index = index_of(tiles, leaf_hash(entry), entry)
        if index is None:
            raise Unprovable(f"segment {row['seq']} of {folder} is not in this ledger")
        found.append((index, entry))
    best, stamps = best_checkpoint(place, f"{namespace}/anchor/{epoch}", max(index for index, _ in found), published)
    covering = Tiles(place, root, best.size)
    proven = [Proven(index, entry, tuple(covering.path(index))) for index, entry in found]
    return Certificate(best, stamps, tuple(proven))


def make_erasure_certificate(place: Place, namespace: str, epoch: int, request: str) -> Certificate:
    """The certificate of an erasure. Takes and raises as `entries_of_erasure`."""
    checkpoint, stamps, entries = erasure.entries_of_erasure(place, namespace, epoch, request)
    return Certificate(checkpoint, stamps, tuple(Proven(*each) for each in entries))


def parse_certificate(raw: bytes) -> Certificate:
    """Read a certificate.

    Raises:
        ValueError: It is none.
    """
    try:
        inflater = zlib.decompressobj(wbits=31)
        body = inflater.decompress(raw, _MOST_BYTES)
    except zlib.error as exc:
        raise ValueError(f"not compressed with gzip: {exc}") from exc
    if not inflater.eof or inflater.unused_data:
        raise ValueError("cut off, too large, or with bytes after its end")
    value, wrong = document(body, _SHAPE)
    if value is None or (value["v"], value["type"]) != (VERSION, "deletion"):
        raise ValueError(wrong or "not a certificate of a version that this build reads")
    return Certificate(
        parse_checkpoint(value["checkpoint"].encode()),
        tuple((stamp_name(each["name"]), strict_base64(each["reply"])) for each in value["stamps"]),
        tuple(
            Proven(each["index"], strict_base64(each["entry"]), tuple(map(strict_base64, each["path"])))
            for each in value["entries"]
        ),
    )


def check_certificate(certificate: Certificate, pins: Pins) -> tuple[Checked, dict[str, Any]]:
    """Check everything that a certificate says; what it is worth, and what it says.

    Args:
        certificate: See there.
        pins: A key of the log at least; witnesses and authorities that must be in it.
    """
    checked = Checked()
    check_checkpoint(certificate.checkpoint, certificate.stamps, pins, checked)
    for each in certificate.entries:
        leaf = leaf_hash(each.entry)
        if root_by_path(leaf, each.index, certificate.checkpoint.size, each.path) != certificate.checkpoint.root:
            checked.wrong.append(f"entry {each.index} is not in the ledger")
    read = [(each.index, *read_entry(each.entry)) for each in certificate.entries]
    if unread := [f"entry {index} can't be read: {why}" for index, value, why in read if value is None]:
        checked.wrong.extend(unread)
        return checked, {}
    values = [value for _, value, _ in read if value is not None]
    try:
        why, told = _judged(certificate, values)
    except _UNREADABLE as exc:  # a signed entry may still say what makes no sense
        why, told = [f"an entry can't be read: {exc!r}"], {}
    checked.wrong.extend(why)
    return checked, told


def _judged(certificate: Certificate, values: list[dict[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """What its entries say against each other, and what they say."""
    kinds = [str(value.get("type")) for value in values]
    if kinds == erasure.KINDS:
        namespace, indices = _namespace(certificate), [each.index for each in certificate.entries]
        why = list(erasure.contradictions(namespace, indices, values))
        return why, {} if why else erasure.told(certificate.checkpoint, values)
    if kinds[:3] != ["policy", "tombstone", "deleted"] or set(kinds[3:]) - {"segment"}:
        return [
            "it consists neither of a policy, a tombstone, a receipt and segments nor of a policy and an erasure"
        ], {}
    return list(_contradictions(certificate, values)), _told(certificate, values)


def _entries(tiles: Tiles, wanted: str) -> list[tuple[int, bytes]]:
    """The policy in force at the tombstone, the tombstone and its receipt, with their indices."""
    policy: tuple[int, bytes] | None = None
    found: list[tuple[int, bytes]] = []
    for index, entry in tiles.all_entries():
        if b'"type":"segment"' in entry[-200:]:
            continue
        value = document(entry, None)[0] or {}
        kind = value.get("type")
        if kind == "policy" and not found:
            policy = index, entry
        elif kind == "tombstone" and value.get("id") == wanted and not found:
            if policy is None:
                raise Unprovable(f"no policy was in force when {wanted} was announced")
            found = [policy, (index, entry)]
        elif kind == "deleted" and value.get("id") == wanted and found:
            return [*found, (index, entry)]
    raise Unprovable(
        f"what {wanted} announced is not done yet" if found else f"there is no tombstone {wanted!r} in this ledger"
    )


def _contradictions(certificate: Certificate, values: list[dict[str, Any]]) -> Iterator[str]:
    policy, stone, receipt, *manifests = values
    namespace = _namespace(certificate)
    if any(each.get("namespace") != namespace for each in values):
        yield "an entry is of another namespace than the ledger"
    if receipt.get("id") != stone.get("id"):
        yield "the receipt is that of another tombstone"
    if stone.get("policy") != sha256(canonical(policy.get("policy"))):
        yield "the policy is not the one that the tombstone names"
    lawful = Lawful(namespace)
    for proven, value in zip(certificate.entries[:3], values[:3], strict=True):
        lawful.take(proven.index, value)
    yield from (finding.detail for finding in lawful.findings)
    rows = {row["seq"]: row for row in stone.get("segments", [])}
    if sorted(rows) != sorted(each.get("seq", -1) for each in manifests):
        yield "the manifests are not those of the segments that the tombstone names"
        return
    for proven in certificate.entries[3:]:
        manifest, wrong = document(proven.entry, MANIFEST_SHAPE)
        if manifest is None:
            yield f"entry {proven.index} is no manifest: {wrong}"
        elif (manifest["stream"]["topic"], manifest["stream"]["partition"]) != (stone["topic"], stone["partition"]):
            yield f"segment {manifest['seq']} is of another chain"
        else:
            findings = lawful.judge(stone["topic"], stone["partition"], manifest, sha256(proven.entry), Site())
            yield from (f"segment {manifest['seq']}: {finding.detail}" for finding in findings)


def _namespace(certificate: Certificate) -> str:
    """Whose the ledger is, by its name."""
    return next(iter(certificate.checkpoint.origin.split("/")[-2:-1]), "")


def _told(certificate: Certificate, values: list[dict[str, Any]]) -> dict[str, Any]:
    policy, stone, receipt, *manifests = values
    times = [each["received"] for each in manifests if each.get("received")]
    return {
        "namespace": stone["namespace"],
        "tombstone": stone["id"],
        "what": stone["index"] or f"{len(manifests)} segments of {stone['topic']}/{stone['partition']}",
        "records": stone["documents"] or sum(each["n"] for each in manifests),
        "received": [min(each["min"] for each in times), max(each["max"] for each in times)] if times else None,
        "kept_until": stone["until"],
        "decision": stone["decision"],
        "because": stone["because"],
        "policy": policy["policy"]["name"],
        "policy_since": policy["at"],
        "announced_at": stone["at"],
        "destroyed_at": receipt["at"],
        "approved": bool(stone["request"]),
        "log": certificate.checkpoint.origin,
        "size": certificate.checkpoint.size,
    }


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
