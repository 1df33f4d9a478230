"""The key table: a small object per data key, wrapped, outside of the archive, so that it can be erased.

``<namespace>/<id>.json``, canonical JSON. Deleting the object (and its backups) destroys the key, and with it the
content of everything that was sealed under it; leaves and signatures in the archive stay.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

import msgspec

from ingest.schema.errors import IntegrityError
from storage.archive.manifest import canonical
from storage.archive.store import ArchiveStore, StagingStore
from storage.datakeys.provider import Wrapped

VERSION = 1
_SUFFIX = ".json"


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A data key in the table.

    Attributes:
        id: ``YYYY-MM-<8 hex digits>``: month of receipt, and a random part.
        provider: Who wrapped it; `kek` is the key that did.
        wrapped: Base64.
    """

    v: int
    namespace: str
    id: str
    made: str
    provider: str
    kek: str
    wrapped: str

    @property
    def month(self) -> str:
        """``YYYY-MM``."""
        return self.id[:7]

    def content(self) -> Wrapped:
        """As its provider takes it."""
        return Wrapped(self.kek, base64.b64decode(self.wrapped))

    def context(self) -> dict[str, str]:
        """What the wrapping is bound to."""
        return context_of(self.namespace, self.id)


def context_of(namespace: str, key_id: str) -> dict[str, str]:
    """What the wrapping of a data key is bound to: it opens under no other name."""
    return {"purpose": "skytrail archive", "namespace": namespace, "id": key_id}


class KeyTable:
    """The entries, in a store that may delete and is no part of the archive.

    Every method raises `StoreUnavailable` when the store does not answer.
    """

    def __init__(self, store: ArchiveStore) -> None:
        self._store = store

    def namespaces(self) -> list[str]:
        """Namespaces that have keys."""
        return self._store.folders("")

    def entries(self, namespace: str) -> Iterator[KeyEntry]:
        """The keys of a namespace, by their ids."""
        for key in self._store.keys(f"{namespace}/"):
            entry = self.get(namespace, key.removeprefix(f"{namespace}/").removesuffix(_SUFFIX))
            if entry is not None:  # it may have been destroyed meanwhile
                yield entry

    def get(self, namespace: str, key_id: str) -> KeyEntry | None:
        """An entry; None where there is none, or none any more.

        Raises:
            IntegrityError: It is damaged.
        """
        key = _key(namespace, key_id)
        raw = self._store.get(key)
        if raw is None:
            return None
        try:
            entry = msgspec.json.decode(raw, type=KeyEntry)
            known = (entry.v, entry.namespace, entry.id) == (VERSION, namespace, key_id)
        except msgspec.MsgspecError as exc:
            raise _damaged(key, str(exc)) from exc
        if not known:
            raise _damaged(key, "of another version, or another key")
        return entry

    def add(self, entry: KeyEntry) -> None:
        """Keep a new key; durable on return."""
        self._store.put(_key(entry.namespace, entry.id), canonical(entry))

    def replace(self, before: KeyEntry, after: KeyEntry) -> bool:
        """Put another wrapping in place of one; False when it is no longer that."""
        return self._store.swap(_key(before.namespace, before.id), canonical(before), canonical(after))

    def remove(self, namespace: str, key_id: str) -> None:
        """Destroy a key with every copy that a writer left."""
        if isinstance(self._store, StagingStore):
            self._store.sweep(key_id.encode())
        self._store.delete(_key(namespace, key_id))


def _key(namespace: str, key_id: str) -> str:
    return f"{namespace}/{key_id}{_SUFFIX}"


def _damaged(key: str, told: str) -> IntegrityError:
    return IntegrityError(
        f"reading the key table: {told}", where=key, mend="restore the key table from its newest backup"
    )
