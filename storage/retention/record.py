"""What is in force, held and destroyed in a namespace: a fold over its ledgers, compared with their signed roots.

Nothing is remembered elsewhere: who deletes a file on this machine, or restores an old one, changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ingest.schema.errors import IntegrityError, SkytrailError
from ingest.schema.identity import leaf_hash
from storage.archive.manifest import canonical, digest
from storage.archive.merkle import Frontier
from storage.archive.store import ArchiveStore
from storage.ledger.log import Log
from storage.ledger.stored import head_of
from storage.ledger.tiles import WIDTH, Edge, read_bundle
from storage.retention import entries
from storage.retention.approval import Request, check
from storage.retention.entries import Hold, Receipt, Release, Tombstone
from storage.retention.policy import Policy, decode, encode
from storage.retention.verdict import InForce

LEAP = dt.timedelta(days=1)
"""Two entries that follow each other further apart tell that nothing was sealed meanwhile, or that a clock leapt."""
_KINDS: dict[str, type[Hold | Release | Tombstone | Receipt]] = {kind: of for of, kind in entries.KINDS.items()}


@dataclass(slots=True)
class State:
    """What the entries of a namespace say, so far.

    Attributes:
        policies: Oldest first.
        holds: By id; released ones too.
        releases: By id of the hold; only those to which enough people agreed.
        tombstones: By id, oldest first.
        receipts: By id of the tombstone.
        indices: Index of the entry that has the hold, tombstone or receipt: (kind, id) → (epoch, index).
        settings: Of the newest `config` entry: by what the ledger is kept, its witnesses and authorities among it.
        oldest: When the first entry was made.
        newest: When the newest entry was made.
        leap: The two times of the newest `LEAP` or more between an entry and the next, in their order in the ledger.
        namespace: Whose ledger it is.
    """

    policies: list[InForce] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    releases: dict[str, Release] = field(default_factory=dict)
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    indices: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    oldest: dt.datetime | None = None
    newest: dt.datetime | None = None
    leap: tuple[dt.datetime, dt.datetime] | None = None
    namespace: str = ""

    @property
    def policy(self) -> Policy | None:
        """The policy in force."""
        return self.policies[-1].policy if self.policies else None

    def open_holds(self) -> list[Hold]:
        """The holds that were not released."""
        return [hold for hold in self.holds.values() if hold.id not in self.releases]

    def unfinished(self) -> list[Tombstone]:
        """What was to be destroyed and has no receipt."""
        return [each for each in self.tombstones.values() if each.id not in self.receipts]

    def destroyed(self) -> dict[tuple[str, int], set[int]]:
        """Numbers of the segments with a tombstone, by topic and partition."""
        found: dict[tuple[str, int], set[int]] = {}
        for each in self.tombstones.values():
            numbers = found.setdefault((each.topic, each.partition), set()) if each.segments else set()
            numbers.update(segment.seq for segment in each.segments)
        return found

    def take(self, epoch: int, index: int, entry: bytes) -> None:
        """Read the next entry.

        Raises:
            ConfigError: A policy of a version that this build does not read.
        """
        value = msgspec.json.decode(entry, type=_Entry)
        at = value.at or value.sealed_at
        if at:
            self._pass_to(dt.datetime.fromisoformat(at))
        if value.type == "config":
            self.settings = msgspec.json.decode(entry)["settings"]
        if value.type == "policy":
            policy = decode(msgspec.json.decode(entry)["policy"], f"entry {index} of epoch {epoch}")
            self.policies.append(InForce(dt.datetime.fromisoformat(at), policy))
            return
        kind = _KINDS.get(value.type)
        if kind is None:
            return
        told = msgspec.json.decode(entry, type=kind)
        if isinstance(told, Release) and not self._agreed(told):
            return  # `skytrail verify` tells it
        known = self._of(kind)
        if told.id not in known:  # of two with one id the first counts
            known[told.id] = told
            self.indices[value.type, told.id] = epoch, index

    def _pass_to(self, at: dt.datetime) -> None:
        if self.newest is not None and abs(at - self.newest) > LEAP:
            self.leap = self.newest, at
        self.oldest, self.newest = self.oldest or at, at

    def _agreed(self, told: Release) -> bool:
        """Whether those agreed to a release who had to by the policy then in force."""
        if self.policy is None or told.id not in self.holds:
            return False
        asked = Request(action="release", namespace=self.namespace, subject=told.id, reason="", requested_by="", at="")
        try:
            check(told.request.encode(), self.policy, asked, self.policy.approvals.release, "a release in the ledger")
        except SkytrailError:
            return False
        return True

    def _of(self, kind: type) -> dict[str, Any]:
        places: dict[type, dict[str, Any]] = {
            Hold: self.holds,
            Release: self.releases,
            Tombstone: self.tombstones,
            Receipt: self.receipts,
        }
        return places[kind]


class _Entry(msgspec.Struct, frozen=True):
    type: str
    at: str = ""
    sealed_at: str = ""


class Record:
    """The state of one namespace, read on as its ledger grows.

    Args:
        store: The archive.
        log: The newest log of the namespace; earlier epochs are read too.
    """

    def __init__(self, store: ArchiveStore, log: Log) -> None:
        self.log = log
        self._store = store
        self._state = State(namespace=log.identity.namespace)
        self._tree = Frontier()
        self._begun = False
        self._read: Edge | None = None

    @property
    def namespace(self) -> str:
        """Whose this is."""
        return self.log.identity.namespace

    def now(self) -> State:
        """The state up to the present end of the log.

        Raises:
            StoreUnavailable: Call it again.
            IntegrityError: The entries are not those of the signed checkpoint.
        """
        if not self._begun:
            self._earlier_epochs()
            self._begun = True
        edge = self.log.state().edge
        if edge is self._read:
            return self._state
        identity = self.log.identity
        full = edge.size - len(edge.entries)
        # The partial bundle is in the edge: its file may be gone as soon as somebody else appends.
        partial = list(enumerate(edge.entries, full))[max(0, self._tree.size - full) :]
        for index, entry in (*entries_between(self._store, identity.prefix, self._tree.size, full), *partial):
            self._tree.append(leaf_hash(entry))
            self._state.take(identity.epoch, index, entry)
        if self._tree.root() != edge.root():
            raise IntegrityError("reading the ledger: its entries do not give its root", where=identity.prefix)
        self._read = edge
        return self._state

    def enter(self, make: Callable[[State], Sequence[bytes]]) -> State:
        """Enter what `make` asks for; durable, signed and published on return.

        Args:
            make: Called with the state that its entries would follow: nobody can have entered anything between. It is
                called again after a lost race and after each success, and must then ask for what is still lacking.

        Raises:
            StoreUnavailable: It may have been entered or not: call it again.
            SkytrailError: What `make` raises; then nothing was entered.
        """
        self.log.load()
        self.log.append(lambda _: make(self.now()))
        return self.now()

    def _earlier_epochs(self) -> None:
        identity = self.log.identity
        folder = f"{identity.namespace}/log/"
        epochs = sorted(int(name) for name in self._store.folders(folder) if name.isdecimal())
        for epoch in [each for each in epochs if each < identity.epoch]:
            prefix = f"{folder}{epoch}/"
            checkpoint = self._store.get(f"{prefix}checkpoint")
            if checkpoint is None:
                continue
            head, tree = head_of(checkpoint), Frontier()
            for index, entry in entries_between(self._store, prefix, 0, head.size):
                tree.append(leaf_hash(entry))
                self._state.take(epoch, index, entry)
            if tree.root() != head.root:
                raise IntegrityError("reading the ledger: its entries do not give its root", where=prefix)


def policy_digest(policy: Policy) -> str:
    """Hex SHA-256 by which tombstones name a policy."""
    return digest(canonical(encode(policy)))


def entries_between(store: ArchiveStore, prefix: str, start: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Entries from `start` on of a log of a size, with their indices."""
    for number in range(start // WIDTH, -(-size // WIDTH)):
        width = min(WIDTH, size - number * WIDTH)
        for at, entry in enumerate(read_bundle(lambda path: store.get(prefix + path), number, width), number * WIDTH):
            if at >= start:
                yield at, entry
