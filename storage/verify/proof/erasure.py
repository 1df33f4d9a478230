"""The certificate of an erasure: the policy in force and the entry by which a person's keys went, with who agreed.

It has the form of the certificate of a deletion, and is checked the same way. It names nobody: whose keys they were is
known to those who hold the request that it cites.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from storage.verify.ledger.notes import Checkpoint, parse_checkpoint
from storage.verify.ledger.retention import Lawful
from storage.verify.ledger.tiles import Tiles
from storage.verify.places import Place
from storage.verify.proof.making import Stamps, Unprovable, best_checkpoint
from storage.verify.reading import document

KINDS = ["policy", "shred"]
Entry = tuple[int, bytes, tuple[bytes, ...]]
"""Index, bytes, and path to the root of the checkpoint."""


def entries_of_erasure(
    place: Place, namespace: str, epoch: int, request: str
) -> tuple[Checkpoint, Stamps, tuple[Entry, ...]]:
    """The checkpoint, its stamps and the entries of the certificate of an erasure.

    Args:
        place: The archive.
        namespace: Whose.
        epoch: The newest of the ledger; earlier ones are looked into as well.
        request: The signed request that led to it.

    Raises:
        Unprovable: There is no such entry.
        OSError: The archive can't be read.
        ValueError: The ledger is damaged.
    """
    epochs = [int(name[:-1]) for name in place.names(f"{namespace}/log") if name[:-1].isdecimal()]
    for number in sorted((each for each in epochs if each < epoch), reverse=True):
        try:
            return _of_epoch(place, namespace, epoch, request)
        except Unprovable:
            epoch = number
    return _of_epoch(place, namespace, epoch, request)


def _of_epoch(place: Place, namespace: str, epoch: int, request: str) -> tuple[Checkpoint, Stamps, tuple[Entry, ...]]:
    root = f"{namespace}/log/{epoch}/"
    published = parse_checkpoint(place.read(f"{root}checkpoint") or b"")
    found = _found(Tiles(place, root, published.size), request)
    best, stamps = best_checkpoint(place, f"{namespace}/anchor/{epoch}", found[1][0], published)
    covering = Tiles(place, root, best.size)
    return best, stamps, tuple((index, entry, tuple(covering.path(index))) for index, entry in found)


def _found(tiles: Tiles, request: str) -> list[tuple[int, bytes]]:
    policy: tuple[int, bytes] | None = None
    for index, entry in tiles.all_entries():
        if b'"type":"segment"' in entry[-200:]:
            continue
        value = document(entry, None)[0] or {}
        if value.get("type") == "policy":
            policy = index, entry
        elif value.get("type") == "shred" and value.get("request") == request:
            if policy is None:
                raise Unprovable("no policy was in force when the keys went")
            return [policy, (index, entry)]
    raise Unprovable("this ledger has no erasure by this request")


def contradictions(namespace: str, indices: Sequence[int], values: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the entries of such a certificate say against each other."""
    if any(each.get("namespace") != namespace for each in values):
        yield "an entry is of another namespace than the ledger"
    lawful = Lawful(namespace)
    try:
        for index, value in zip(indices, values, strict=True):
            lawful.take(index, value)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        yield f"an entry can't be read: {exc!r}"
    yield from (finding.detail for finding in lawful.findings)


def told(checkpoint: Checkpoint, values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What it says, for people."""
    policy, shred = values
    return {
        "namespace": shred["namespace"],
        "what": f"{len(shred['keys'])} keys of one person",
        "keys": shred["keys"],
        "basis": shred["basis"],
        "approvers": shred["approvers"],
        "request": shred["request"],
        "policy": policy["policy"]["name"],
        "policy_since": policy["at"],
        "destroyed_from": shred["at"],
        "log": checkpoint.origin,
        "size": checkpoint.size,
    }
