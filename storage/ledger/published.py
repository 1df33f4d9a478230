"""A log as those read it who anchor it: its newest checkpoint, proofs, and what is kept below ``anchor/``."""

from __future__ import annotations

import re

from ingest.schema.errors import AlreadyExists
from storage.archive.manifest import digest
from storage.archive.store import ArchiveStore
from storage.ledger.log import LogIdentity
from storage.ledger.proofs import TreeReader


class PublishedLog:
    """Reads a published log and keeps its anchors (docs/ledger-format.md).

    Every method raises `StoreUnavailable` when the store is away.

    Args:
        store: The archive.
        identity: Which log.
    """

    def __init__(self, store: ArchiveStore, identity: LogIdentity) -> None:
        self.identity = identity
        self._store = store

    def checkpoint(self) -> bytes | None:
        """The newest published checkpoint."""
        return self._store.get(f"{self.identity.prefix}checkpoint")

    def proof(self, old: int, size: int) -> list[bytes]:
        """The proof that the log of `size` entries goes on from that of `old`.

        Raises:
            IntegrityError: A tile is missing: it is damaged, or the log has grown and let go of partial tiles.
        """
        return TreeReader(lambda path: self._store.get(self.identity.prefix + path), size).consistency(old, size)

    def kept(self, size: int) -> bytes | None:
        """The checkpoint that is kept of this size."""
        return self._store.get(f"{self._folder(size)}checkpoint")

    def keep(self, size: int, checkpoint: bytes) -> bytes:
        """Keep a checkpoint for ever; what lies there already stays and is what is returned."""
        try:
            self._store.put(f"{self._folder(size)}checkpoint", checkpoint)
        except AlreadyExists:
            return self.kept(size) or checkpoint
        return checkpoint

    def publish(self, before: bytes, cosigned: bytes) -> bool:
        """Put the same checkpoint with more signatures in place of `before`, unless something else is there."""
        return self._store.swap(f"{self.identity.prefix}checkpoint", before, cosigned)

    def keep_stamp(self, size: int, authority: str, reply: bytes) -> None:
        """Keep the reply of an authority over the kept checkpoint of this size, under a name that tells its bytes."""
        self._store.put(f"{self._folder(size)}{authority}-{digest(reply)[:16]}.tsr", reply)

    def stamped(self, size: int, authority: str) -> bool:
        """Whether a reply of it is kept."""
        own = re.compile(rf"{re.escape(self._folder(size) + authority)}-[0-9a-f]{{16}}\.tsr")
        return any(own.fullmatch(key) for key in self._store.keys(f"{self._folder(size)}{authority}-"))

    def _folder(self, size: int) -> str:
        return f"{self.identity.namespace}/anchor/{self.identity.epoch}/{size:020d}/"
