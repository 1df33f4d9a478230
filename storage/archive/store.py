"""What an archive store promises, and the rule for its keys.

A store knows bytes and keys and nothing of segments. Every implementation in `stores/` passes the contract suite in
tests/storage/archive/test_store_contract.py, with faults injected at each operation.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from ingest.schema.errors import Refused

_KEY_LENGTH = 900  # S3 takes 1024 bytes; a bucket prefix must still fit
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,249}")


class ArchiveStore(Protocol):
    """Write-once objects under keys like ``acme/seg/topic/0/000000000000.manifest.json``.

    Every method raises `StoreUnavailable` when the other side is away or full: then nothing may be assumed, neither
    that it happened nor that it did not, and the same call is made again. A bad key raises `Refused`.
    """

    def put(self, key: str, body: bytes, until: dt.datetime | None = None) -> None:
        """Write an object, whole or not at all; durable on return.

        Putting the same bytes again succeeds silently.

        Args:
            key: Where.
            body: Its bytes.
            until: Where the store can keep it from being deleted by anybody, it does so until then at least.

        Raises:
            AlreadyExists: The key holds other bytes; they are left as they are.
        """

    def swap(self, key: str, expected: bytes | None, body: bytes) -> bool:
        """Replace `expected` (None: no object) by `body`; durable on return.

        Returns:
            False when the key held something else; nothing was changed. Of racing writers exactly one gets True.
        """

    def get(self, key: str) -> bytes | None:
        """The bytes of an object, None where there is none."""

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """Every key that starts with `prefix` and sorts after `after`, in the order of their bytes, complete."""

    def folders(self, prefix: str) -> list[str]:
        """The distinct next parts, sorted, of keys below `prefix` (empty or ending in ``/``) that go on below them."""

    def delete(self, key: str) -> None:
        """Take an object away, so that `get` finds none; no object is fine. Where the store keeps versions, they stay.

        Raises:
            Refused: This store was opened without the right to delete.
        """

    def destroy(self, key: str) -> None:
        """Remove an object for good, with every version of it that the store keeps; no object is fine.

        Raises:
            Refused: Nothing is hidden and what was refused is there: a lock or a hold of the store keeps it, or this
                store was opened without the right to delete.
        """

    def probe(self) -> list[str]:
        """Prove by attempting that this store keeps its promises.

        Returns:
            The promises that it can't give, a sentence each.

        Raises:
            ConfigError: A promise that it must give is broken.
        """


@runtime_checkable
class HoldingStore(Protocol):
    """A store that can keep an object from being deleted by anyone until it lets go of it. Raises as `ArchiveStore`."""

    @property
    def holds_objects(self) -> bool:
        """Whether this one can."""

    def hold(self, key: str, *, on: bool) -> bool:
        """Hold every version of an object, or let go of it; whether that changed anything. No object is fine."""


@runtime_checkable
class StagingStore(Protocol):
    """A store whose writers may leave a copy of an object when they die. Raises as `ArchiveStore`."""

    def leftovers(self, mark: bytes) -> int:
        """How many copies with these bytes in them there are that no name leads to."""

    def sweep(self, mark: bytes) -> None:
        """Remove these copies. Nobody may be writing such an object."""


def check_key(key: str) -> str:
    """The key, if it is one: parts of letters, digits, ``.``, ``_`` and ``-``, none starting with a mark.

    Raises:
        Refused: It is not; ``..``, absolute and hidden paths are among these.
    """
    if len(key) > _KEY_LENGTH or not all(_PART.fullmatch(part) for part in key.split("/")):
        raise Refused("using archive key: not a key", where=repr(key[:200]), mend="keys are parts of [A-Za-z0-9._-]")
    return key


def is_key_part(name: str) -> bool:
    """Whether a name (a namespace, a topic) can be one part of a key."""
    return _PART.fullmatch(name) is not None
