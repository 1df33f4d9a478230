"""What the entries of a log tell of keys: from which size to which each signs it, and which data keys are destroyed."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from storage.archive.store import ArchiveStore
from storage.ledger.entries import KeyInForce, RetiredKey
from storage.ledger.lock import parse_lock
from storage.ledger.stored import head_of
from storage.ledger.tiles import WIDTH, read_bundle

_MARK = b'"type":"keychange"'


class KeyUse(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of the checkpoints that a key signs.

    Attributes:
        last_size: None while it signs.
    """

    first_size: int
    last_size: int | None = None


class _KeyChange(msgspec.Struct, frozen=True):
    type: str
    keys: list[KeyInForce] = []
    retired: list[RetiredKey] = []


def key_history(store: ArchiveStore, prefix: str) -> dict[str, KeyUse]:
    """Every key that the log below `prefix` ever named, by its verifier key; empty where there is no log.

    Raises:
        StoreUnavailable: The store does not answer.
        IntegrityError: The log can't be read.
    """
    raw, published = store.get(f"{prefix}lock.json"), store.get(f"{prefix}checkpoint")
    if raw is None or published is None:
        return {}
    found = {key.vkey: KeyUse(first_size=key.first_size) for key in parse_lock(raw, f"{prefix}lock.json").keys}
    if all(use.first_size == 0 for use in found.values()):
        return found  # never rotated: that is in the first entry, and nothing else is to be read
    for entry in _marked(store, prefix, published, _MARK):
        _take(found, msgspec.json.decode(entry, type=_KeyChange))
    return found


def shredded_keys(store: ArchiveStore, prefix: str) -> set[str]:
    """Ids of the data keys of which the log below `prefix` says that they are to be destroyed. Raises as above."""
    return {key for each in shreds(store, prefix) for key in each.keys}


class Shred(msgspec.Struct, frozen=True):
    """An entry that data keys are to be destroyed; see `storage.ledger.entries.shred`."""

    type: str
    at: str = ""
    keys: tuple[str, ...] = ()
    request: str = ""
    basis: str = ""
    approvers: tuple[str, ...] = ()


def shreds(store: ArchiveStore, prefix: str) -> list[Shred]:
    """The entries of the log below `prefix` by which data keys are to be destroyed, oldest first. Raises as above."""
    published = store.get(f"{prefix}checkpoint")
    if published is None:
        return []
    marked = _marked(store, prefix, published, b'"type":"shred"')
    return [each for each in (msgspec.json.decode(entry, type=Shred) for entry in marked) if each.type == "shred"]


def shreds_anywhere(store: ArchiveStore, namespace: str) -> list[Shred]:
    """The same of all logs of a namespace, those of earlier epochs as well. Raises as above."""
    folder = f"{namespace}/log/"
    epochs = sorted(int(name) for name in store.folders(folder) if name.isdecimal())
    return [each for epoch in epochs for each in shreds(store, f"{folder}{epoch}/")]


def shredded_anywhere(store: ArchiveStore, namespace: str) -> set[str]:
    """Ids of the data keys that any log of a namespace says to be destroyed. Raises as above."""
    return {key for each in shreds_anywhere(store, namespace) for key in each.keys}


def _marked(store: ArchiveStore, prefix: str, published: bytes, mark: bytes) -> Iterator[bytes]:
    """The entries that have a mark; it may stand in a text of theirs, too."""
    size = head_of(published).size
    for number in range(-(-size // WIDTH)):
        width = min(WIDTH, size - number * WIDTH)
        for entry in read_bundle(lambda path: store.get(prefix + path), number, width):
            if mark in entry:
                yield entry


def _take(found: dict[str, KeyUse], change: _KeyChange) -> None:
    if change.type != "keychange":
        return
    for key in change.keys:
        found[key.vkey] = KeyUse(first_size=key.first_size)
    for retired in change.retired:
        if retired.vkey in found:
            found[retired.vkey] = KeyUse(first_size=found[retired.vkey].first_size, last_size=retired.last_size)
