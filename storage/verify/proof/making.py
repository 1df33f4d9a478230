"""Makes the proof of one record from the bytes of an archive."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from storage.verify.encryption import KeySource, Opened
from storage.verify.findings import Kind
from storage.verify.groups import GROUPED_SCHEME, People, SubjectTable
from storage.verify.ledger.notes import Checkpoint, parse_checkpoint
from storage.verify.ledger.tiles import WIDTH, Tiles, WrongTile
from storage.verify.ledger.tree import leaf_hash, path_and_root, root_by_path
from storage.verify.places import Place
from storage.verify.proof.checking import leaf_number
from storage.verify.proof.document import Inclusion, Proof
from storage.verify.reading import MANIFEST_SHAPE, MAX_CONTENT, canonical, cut, document, inflate, nth_record

_MANIFEST = re.compile(r"([0-9]{12})\.manifest\.json")
_ANCHOR = re.compile(r"[0-9]{20}/")
_DAMAGED = "the records of the segment are gone or damaged; run `skytrail verify`"
_ANCHORS_TRIED = 60
"""Anchors behind an entry that are looked at for a better one: an hour of time stamps."""

Stamps = tuple[tuple[str, bytes], ...]
"""Names and replies of time stamps."""


class Unprovable(ValueError):
    """There is no proof: the record is not there, or not in the ledger yet, or the archive is damaged."""


class KeyGone(Unprovable):
    """The key of the record is gone, so only its leaf can be proven."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The record that is to be proven; `namespace` is looked for where it is empty."""

    topic: str
    partition: int
    offset: int
    index: int = 0
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}/{self.index}"


def make_proof(place: Place, asked: Asked, *, with_record: bool = True, keys: KeySource | None = None) -> Proof:
    """The proof of a record.

    Args:
        place: The archive.
        asked: Which one.
        with_record: Put its bytes into the proof.
        keys: Data keys of encrypted segments; only a proof of the leaf alone can be made without.

    Raises:
        Unprovable: See there.
        OSError: The archive can't be read.
    """
    namespace, manifest = _segment(place, asked)
    number = leaf_number(manifest["positions"], asked.offset, asked.index)
    if number is None:
        raise Unprovable(f"the segment that covers {asked} has no such record")
    stored = place.read(manifest["leaves"]["key"]) or b""
    leaf = stored[32 * number : 32 * number + 32]
    if not leaf or len(stored) % 32:
        raise Unprovable(f"the leaves of the segment of {asked} are gone; run `skytrail verify`")
    path, root = path_and_root(stored, number)
    if with_record and keys is None and "encryption" in manifest:
        raise Unprovable(f"the segment of {asked} is encrypted, and there is no key table; its leaf is proven without")
    record, opened = None, None
    try:
        if with_record or (keys is not None and "encryption" in manifest):
            record, opened = _record(place, namespace, manifest, number, keys)
    except KeyGone:
        if with_record:
            raise
    hashed = opened.leaf if opened is not None else leaf_hash
    if root.hex() != manifest["root"] or (record is not None and hashed(record) != leaf):
        raise Unprovable(f"the segment of {asked} is not as it was sealed; run `skytrail verify`")
    ledger, stamps = _in_ledger(place, namespace, canonical(manifest))
    opening = opened.opening(record) if opened is not None and record is not None else None
    shown = record if with_record else None
    return Proof(asked.offset, asked.index, leaf, shown, tuple(path), manifest, ledger, stamps, opening)


def _segment(place: Place, asked: Asked) -> tuple[str, dict[str, Any]]:
    """Namespace and manifest of the segment that holds a message."""
    names = [asked.namespace] if asked.namespace else [name[:-1] for name in place.names("") if name.endswith("/")]
    for search in (_numbered, _listed):
        for namespace in names:
            manifest = search(place, f"{namespace}/seg/{asked.topic}/{asked.partition}", asked.offset)
            # It may be covered, and its records in the chain of another namespace.
            if manifest is not None and leaf_number(manifest["positions"], asked.offset, 0) is not None:
                return namespace, manifest
    raise Unprovable(f"the archive has no record of the message {asked.topic}/{asked.partition}/{asked.offset}")


def _numbered(place: Place, folder: str, offset: int) -> dict[str, Any] | None:
    """The manifest that covers an offset. Numbers have no holes, so a chain of millions need not be listed."""
    end = 1
    while (manifest := _manifest(place, folder, end)) is not None and manifest["covers"]["last_offset"] < offset:
        end *= 2
    return _covering(place, folder, offset, range(end + 1))


def _listed(place: Place, folder: str, offset: int) -> dict[str, Any] | None:
    """The same, of those that are there: the chain may be damaged elsewhere."""
    try:
        names = place.names(folder)
    except OSError:
        return None  # this namespace has no such chain
    numbers = sorted(int(match[1]) for name in names if (match := _MANIFEST.fullmatch(name)))
    return _covering(place, folder, offset, numbers)


def _covering(place: Place, folder: str, offset: int, numbers: Sequence[int]) -> dict[str, Any] | None:
    """Of the manifests of these numbers the one that covers an offset; who is not there is behind the end."""
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        manifest = _manifest(place, folder, numbers[middle])
        if manifest is None or offset < manifest["covers"]["first_offset"]:
            high = middle
        elif offset > manifest["covers"]["last_offset"]:
            low = middle + 1
        else:
            return manifest
    return None


def _manifest(place: Place, folder: str, number: int) -> dict[str, Any] | None:
    """A manifest; None where there is none of this number."""
    key = f"{folder}/{number:012d}.manifest.json"
    body = place.read(key)
    if body is None:
        return None
    manifest, wrong = document(body, MANIFEST_SHAPE)
    if manifest is None:
        raise Unprovable(f"{key} is {wrong}; run `skytrail verify`")
    return manifest


def _record(
    place: Place, namespace: str, manifest: dict[str, Any], number: int, keys: KeySource | None
) -> tuple[bytes, Opened | None]:
    """A record by its number in its segment, and the key that it is under; None for one in the clear."""
    body, opened = place.read(manifest["body"]["key"]) or b"", None
    if "encryption" in manifest and keys is not None:
        key_id = manifest["encryption"]["key"]
        key = keys.key(namespace, key_id)
        if key is None:
            raise KeyGone(f"the data key {key_id} of the segment is not in the key table: was it destroyed?")
        opened = Opened(key, manifest)
        body, _ = opened.content(body, "body")
        if manifest["encryption"]["v"] == GROUPED_SCHEME:
            table = SubjectTable(keys.subjects, namespace, key_id, key) if keys.subjects else None
            return _of_somebody(body, number, People(manifest, opened, table))
    record = nth_record(body, number, manifest["bytes"] + 4 * manifest["n"])
    if record is None:
        raise Unprovable(_DAMAGED)
    return record, opened


def _of_somebody(body: bytes, number: int, people: People) -> tuple[bytes, Opened]:
    """A record of a segment in which people have keys of their own, and the key that it is under."""
    frames, _ = inflate(body, MAX_CONTENT)
    parts, _ = cut(frames)
    groups, unread = people.index(parts)
    if unread:
        raise Unprovable(_DAMAGED)
    found = people.record(groups, parts, number)
    if found.kind in (Kind.MISSING, Kind.ERASED):
        raise KeyGone(f"it is of somebody whose key {found.key} is gone: was it destroyed? Its leaf is proven without")
    if found.kind is Kind.UNCHECKED:
        raise KeyGone(f"it is of somebody whose key {found.key} can't be opened: {found.why}")
    if found.record is None or found.opened is None:
        raise Unprovable(_DAMAGED)
    return found.record, found.opened


def _in_ledger(place: Place, namespace: str, entry: bytes) -> tuple[Inclusion, Stamps]:
    """The entry in the newest log of the namespace that has it, by the best checkpoint for it."""
    epochs = _folders(place, f"{namespace}/log")
    if not epochs:
        raise Unprovable(f"there is no ledger of {namespace}")
    for epoch in sorted((name for name in epochs if name.isdecimal()), key=int, reverse=True):
        root = f"{namespace}/log/{epoch}/"
        published = parse_checkpoint(place.read(f"{root}checkpoint") or b"")
        try:
            index = index_of(Tiles(place, root, published.size), leaf_hash(entry), entry)
            if index is None:
                continue
            best, stamps = best_checkpoint(place, f"{namespace}/anchor/{epoch}", index, published)
            path = tuple(Tiles(place, root, best.size).path(index))
        except WrongTile as exc:
            raise Unprovable(f"{exc.key}: {exc}; run `skytrail verify`") from exc
        if root_by_path(leaf_hash(entry), index, best.size, path) != best.root:
            raise Unprovable(f"the ledger {best.origin} contradicts its checkpoint; run `skytrail verify`")
        return Inclusion(index, path, best), stamps
    raise Unprovable(f"the segment is not in the ledger of {namespace} yet; try again in a minute")


def index_of(tiles: Tiles, leaf: bytes, entry: bytes) -> int | None:
    """Where an entry is in a log; it is looked for outwards from where its time says."""
    blocks = -(-tiles.size // WIDTH)
    for number in _outwards(_near(tiles, entry, blocks), blocks):
        hashes = tiles.hashes(0, number)
        if leaf in hashes:
            return number * WIDTH + hashes.index(leaf)
    return None


def _near(tiles: Tiles, entry: bytes, blocks: int) -> int:
    """The bundle in which an entry should be, as entries are nearly in the order of their times."""
    time = _time(entry)
    low, high = 0, blocks
    while high - low > 1:
        middle = (low + high) // 2
        if _time(tiles.entries(middle)[0]) <= time:
            low = middle
        else:
            high = middle
    return low


def _time(entry: bytes) -> str:
    value, _ = document(entry, None)
    return str((value or {}).get("at") or (value or {}).get("sealed_at") or "")


def _outwards(start: int, end: int) -> Iterator[int]:
    """All numbers below `end`, the nearest to `start` first."""
    for step in range(end):
        if start + step < end:
            yield start + step
        if step and start - step >= 0:
            yield start - step


def best_checkpoint(place: Place, folder: str, index: int, published: Checkpoint) -> tuple[Checkpoint, Stamps]:
    """Of the first checkpoints that were anchored over an entry, and the published one, the one that proves most.

    A log is anchored every few seconds: those with a time stamp are read first, and none behind one that proves enough.
    """
    behind = place.names_behind(folder, f"{index + 1:020d}", _ANCHORS_TRIED)  # a name of a folder sorts behind itself
    anchors = [f"{folder}/{name[:-1]}" for name in behind if _ANCHOR.fullmatch(name)]
    stamps = {anchor: [name for name in place.names(anchor) if name.endswith(".tsr")] for anchor in anchors}
    found: list[tuple[Checkpoint, Stamps]] = [(published, ())]
    newest = _anchored(place, anchors[-1]) if anchors else None
    enough = max(len(each.signatures) for each in (published, newest) if each is not None)
    for anchor in sorted(anchors, key=lambda each: not stamps[each]):
        checkpoint = _anchored(place, anchor)
        if checkpoint is None:
            continue
        replies = [(name, place.read(f"{anchor}/{name}")) for name in stamps[anchor][:1]]
        found.append((checkpoint, tuple((name, reply) for name, reply in replies if reply is not None)))
        if len(checkpoint.signatures) >= enough:
            break
    return max(found, key=lambda each: (len(each[1]), len(each[0].signatures), -each[0].size))


def _anchored(place: Place, folder: str) -> Checkpoint | None:
    """The checkpoint of an anchor; None where it is damaged or gone: `verify` tells of it, and others prove as much."""
    try:
        return parse_checkpoint(place.read(f"{folder}/checkpoint") or b"")
    except ValueError:
        return None


def _folders(place: Place, folder: str) -> list[str]:
    """Names of the folders in a folder; none where it is not there."""
    above = ""
    for name in folder.split("/"):
        if f"{name}/" not in place.names(above):
            return []
        above = f"{above}/{name}".lstrip("/")
    return [each[:-1] for each in place.names(folder) if each.endswith("/")]
