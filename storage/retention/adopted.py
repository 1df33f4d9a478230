"""The policies in force by namespace, for whoever has no key of the ledger and only wants to read them.

Entries are compared with the root of the published checkpoint; its signatures are not looked at. Nothing is destroyed
by what is read here: whoever destroys reads the ledger with its keys (`record`).
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from ingest.schema.errors import IntegrityError
from ingest.schema.identity import leaf_hash
from storage.archive.merkle import Frontier
from storage.archive.store import ArchiveStore
from storage.ledger.stored import head_of
from storage.retention.policy import decode
from storage.retention.record import entries_between
from storage.retention.verdict import InForce

_MARK = b'"type":"policy"'
_ATTEMPTS = 4


class _Entry(msgspec.Struct, frozen=True):
    type: str
    at: str = ""
    policy: object = None


@dataclass(slots=True)
class _Log:
    """One epoch of a ledger, as far as it was read."""

    tree: Frontier = field(default_factory=Frontier)
    policies: list[InForce] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Namespace:
    """What was read at a time; replaced as a whole, since others look at it meanwhile."""

    logs: dict[int, _Log]
    policies: list[InForce]
    read_s: float


class Adopted:
    """Reads ledgers on as they grow.

    Args:
        store: The archive.
        refresh_s: Seconds for which what was read is taken for new.
        clock: Monotonic seconds.
    """

    def __init__(self, store: ArchiveStore, refresh_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._refresh_s = refresh_s
        self._clock = clock
        self._known: dict[str, _Namespace] = {}
        self._lock = threading.Lock()

    def of(self, namespace: str) -> list[InForce]:
        """The policies that were read, oldest first; asks nobody."""
        known = self._known.get(namespace)
        return known.policies if known else []

    def stale(self, namespaces: Iterable[str]) -> list[str]:
        """Those of which `refresh` would read."""
        now_s = self._clock()
        return [
            name for name in namespaces if name not in self._known or now_s - self._known[name].read_s > self._refresh_s
        ]

    def refresh(self, namespaces: Iterable[str]) -> None:
        """Read what is not known yet, or has not been looked at for a while.

        Raises:
            StoreUnavailable: Call it again; what was known stays.
            IntegrityError: A ledger contradicts its checkpoint.
            ConfigError: A policy of a version that this build does not read.
        """
        with self._lock:
            for namespace in self.stale(namespaces):
                before = self._known[namespace].logs if namespace in self._known else {}
                folder = f"{namespace}/log/"
                epochs = sorted(int(name) for name in self._store.folders(folder) if name.isdecimal())
                logs = {each: self._read(f"{folder}{each}/", before.get(each, _Log())) for each in epochs}
                policies = [policy for log in logs.values() for policy in log.policies]
                self._known[namespace] = _Namespace(logs, policies, self._clock())

    def _read(self, prefix: str, before: _Log) -> _Log:
        """The log below a prefix, read on. Its partial bundle may go while it is read: then it has grown."""
        for attempt in range(_ATTEMPTS):
            published = self._store.get(f"{prefix}checkpoint")
            if published is None:
                return before
            try:
                return self._read_to(prefix, before, published)
            except IntegrityError:
                if attempt == _ATTEMPTS - 1 or self._store.get(f"{prefix}checkpoint") == published:
                    raise
        raise AssertionError("unreachable")

    def _read_to(self, prefix: str, before: _Log, published: bytes) -> _Log:
        head = head_of(published)
        log = _Log(before.tree.copy(), list(before.policies))
        for index, entry in entries_between(self._store, prefix, log.tree.size, head.size):
            log.tree.append(leaf_hash(entry))
            if _MARK in entry and (told := msgspec.json.decode(entry, type=_Entry)).type == "policy":
                policy = decode(told.policy, f"entry {index} of {prefix}")
                log.policies.append(InForce(dt.datetime.fromisoformat(told.at), policy))
        if log.tree.size != head.size or log.tree.root() != head.root:
            raise IntegrityError("reading the ledger: its entries do not give its root", where=prefix)
        return log
