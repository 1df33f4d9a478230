"""Ends the use of a person's key, so that nothing is sealed under a key that is about to be destroyed.

A sealer notes which manifest it is about to publish under a key of a month that is over, then looks whether the key is
still open. Who erases closes the key, then looks for notes. Whoever looks second sees the other: the sealer seals anew
under another key, or the key stays until the manifest that a note names is there, and its records are judged as well.
A note never has to be believed for longer than that: the number of a manifest is won once, by whoever it may be.

``<namespace>/closed/<key>`` and ``<namespace>/sealing/<key>/<24 digits of the manifest's digest>``, beside the keys.
"""

from __future__ import annotations

from collections.abc import Iterator

from storage.archive.manifest import digest
from storage.archive.store import ArchiveStore

_DIGITS = 24
_CLOSED = b"closed\n"


class Closing:
    """Closed keys, and notes of what is being sealed. Every method raises `StoreUnavailable`.

    Args:
        store: That of the table of subjects' keys.
    """

    def __init__(self, store: ArchiveStore) -> None:
        self._store = store

    def close(self, namespace: str, key_id: str) -> None:
        """From now on no sealer begins to use the key. It still opens what was sealed under it."""
        self._store.put(_closed(namespace, key_id), _CLOSED)

    def is_closed(self, namespace: str, key_id: str) -> bool:
        """Whether nothing may be sealed under a key any more."""
        return self._store.get(_closed(namespace, key_id)) is not None

    def note(self, namespace: str, key_id: str, manifest: str) -> None:
        """Note that a manifest is about to be published under a key; durable on return."""
        self._store.put(_note(namespace, key_id, manifest), manifest.encode())

    def withdraw(self, namespace: str, key_id: str, manifest: str) -> None:
        """Take a note away whose manifest is there."""
        self._store.delete(_note(namespace, key_id, manifest))

    def noted(self, namespace: str, key_id: str) -> Iterator[str]:
        """The manifests that may be published under a key at any moment, or were."""
        for place in list(self._store.keys(f"{namespace}/sealing/{key_id}/")):
            told = self._store.get(place)
            if told is not None:
                yield told.decode()

    def forget(self, namespace: str, key_id: str) -> None:
        """Take away what is left of a key that is destroyed."""
        for place in list(self._store.keys(f"{namespace}/sealing/{key_id}/")):
            self._store.delete(place)
        self._store.delete(_closed(namespace, key_id))


def _closed(namespace: str, key_id: str) -> str:
    return f"{namespace}/closed/{key_id}"


def _note(namespace: str, key_id: str, manifest: str) -> str:
    return f"{namespace}/sealing/{key_id}/{digest(manifest.encode())[:_DIGITS]}"
