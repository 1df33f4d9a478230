"""One log: appends entries, durably and in order, whoever else does and whatever crashes.

Several workers append to the log of a namespace. Whoever loses the race for the lock (see `stored`) reads the log anew
and decides anew what is left to be appended; so a worker that was believed dead can't put anything into it twice.

Before anything else a log says what it needs to be read: which keys sign it, and by what settings it is kept.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.schema.errors import ConfigError, IntegrityError, StoreUnavailable
from storage.archive.manifest import canonical, digest, instant
from storage.archive.store import ArchiveStore
from storage.ledger import entries as entry
from storage.ledger.checkpoint import TreeHead, parse_head
from storage.ledger.entries import KeyInForce, RetiredKey, Tips
from storage.ledger.keyring import KeyPair, KeyRing
from storage.ledger.lock import Lock
from storage.ledger.note import parse
from storage.ledger.proofs import TreeReader
from storage.ledger.signing import NoteSigner
from storage.ledger.stored import Batch, State, StoredLog

_ATTEMPTS = 12
_RUNBOOK = "docs/runbook.md#a-signing-key-is-lost-or-leaked"
Make = Callable[[Tips], Sequence[bytes]]
"""What is to be appended to a log with these tips; nothing ends the append."""


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log.

    Attributes:
        settings: What a `config` entry says.
    """

    organisation: str
    epoch: int
    namespace: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """First line of every checkpoint, and name of the keys."""
        return f"{self.organisation}/{self.namespace}/{self.epoch}"

    @property
    def prefix(self) -> str:
        """Where the log lies."""
        return f"{self.namespace}/log/{self.epoch}/"


class Log:
    """A log in a store. Calls block on the store and exclude each other.

    Args:
        store: See `StoredLog`.
        identity: Which log.
        keys: What it is signed with.
        clock: Gives the present time, with zone.
    """

    def __init__(
        self, store: ArchiveStore, identity: LogIdentity, keys: KeyRing, clock: Callable[[], dt.datetime]
    ) -> None:
        self.identity = identity
        self._store = store
        self._keys = keys
        self._clock = clock
        self._stored = StoredLog(store, identity.namespace, identity.origin, identity.prefix, self._checked)
        self._settings = digest(canonical(identity.settings))
        self._config_told = False
        self._mutex = threading.RLock()

    def load(self) -> State:
        """Read the log anew and finish an append that was stopped.

        Raises:
            StoreUnavailable: Call it again.
            IntegrityError: The log contradicts itself or what this process knows of it.
            ConfigError: The log is signed with keys that this worker does not have.
        """
        with self._mutex:
            self._stored.forget()
            return self._stored.state()

    def state(self) -> State:
        """The log as this process knows it; read if it does not. Raises as `load`."""
        with self._mutex:
            return self._stored.state()

    @property
    def size(self) -> int:
        """Entries of the log, as far as this process knows."""
        known = self._stored.known
        return 0 if known is None else known.size

    def append(self, make: Make) -> TreeHead | None:
        """Append what `make` asks for, until it asks for nothing; durable and published on return.

        Args:
            make: Called with the present tips, and again after each append and each lost race.

        Returns:
            The head of the log.

        Raises:
            StoreUnavailable: Nothing is lost; call it again.
            IntegrityError: As for `load`, or an entry does not follow.
            ConfigError: There is no valid key.
        """
        lost = 0
        with self._mutex:
            while lost < _ATTEMPTS:
                state = self._stored.state()
                batch = self._own(state) or self._asked(state, make)
                if batch is None:
                    return self._stored.known
                if self._stored.commit(batch, int(self._clock().timestamp())):
                    lost = 0
                    # Told once in the life of a process: two workers with different settings must not answer each
                    # other for ever.
                    self._config_told |= batch.config == self._settings
                else:
                    lost += 1
        raise StoreUnavailable(
            "appending to the ledger: other workers were faster, again and again",
            where=self.identity.prefix,
            mend="it is retried; if it stays, let fewer seal workers write to one namespace",
        )

    def reader(self, size: int) -> TreeReader:
        """Reads proofs out of the log of this size."""
        return self._stored.reader(size)

    def _asked(self, state: State, make: Make) -> Batch | None:
        assert state.lock is not None
        wanted = make(dict(state.tips))
        return Batch(wanted, self._signers(state.lock), state.lock.keys, state.lock.config) if wanted else None

    def _own(self, state: State) -> Batch | None:
        """What the log has to say before anything else: its first entries, other keys, other settings."""
        now = self._clock()
        if state.lock is None:
            return self._first(now)
        newest, current = self._keys.newest(now), self._pair(state.lock)
        if newest.not_before > current.not_before:
            return self._rotation(state, state.lock, newest, now)
        if state.lock.config != self._settings and not self._config_told:
            told = entry.config(self.identity.namespace, now, self.identity.settings)
            return Batch([told], self._signers(state.lock), state.lock.keys, self._settings)
        return None

    def _first(self, now: dt.datetime) -> Batch:
        pair, namespace = self._keys.newest(now), self.identity.namespace
        signers = pair.signers(self.identity.origin)
        keys = self._in_force(pair, 0)
        continues = self._epoch_before()
        first = entry.keychange(
            namespace,
            now,
            reason="emergency" if continues else "first",
            keys=keys,
            retired=[],
            continues=continues,
            signers=signers[:1],
        )
        return Batch([first, entry.config(namespace, now, self.identity.settings)], signers, keys, self._settings)

    def _epoch_before(self) -> str | None:
        """The newest checkpoint of the epoch before, if there is one."""
        namespace = self.identity.namespace
        epochs = sorted(int(name) for name in self._store.folders(f"{namespace}/log/") if name.isdecimal())
        for epoch in reversed([number for number in epochs if number < self.identity.epoch]):
            if found := self._store.get(f"{namespace}/log/{epoch}/checkpoint"):
                return found.decode()
        return None

    def _rotation(self, state: State, lock: Lock, newest: KeyPair, now: dt.datetime) -> Batch:
        """Hand over to the newest keys; the checkpoint of this append, and no other, is signed by both."""
        size = state.edge.size + 1
        old, new = self._signers(lock), newest.signers(self.identity.origin)
        keys = self._in_force(newest, size)
        told = entry.keychange(
            self.identity.namespace,
            now,
            reason="rotation",
            keys=keys,
            retired=[RetiredKey(vkey=key.vkey, last_size=size) for key in lock.keys],
            continues=None,
            signers=[old[0], new[0]],
        )
        return Batch([told], [*old, *new], keys, lock.config)

    def _in_force(self, pair: KeyPair, first_size: int) -> list[KeyInForce]:
        return entry.in_force(pair.verifier_keys(self.identity.origin), (pair.not_before, pair.not_after), first_size)

    def _signers(self, lock: Lock) -> list[NoteSigner]:
        """The keys that the lock says sign now."""
        pair, now = self._pair(lock), instant(self._clock())
        if now < pair.not_before:
            raise StoreUnavailable(
                f"signing a checkpoint: the key {pair.id} is valid from {pair.not_before} on",
                where=self.identity.origin,
                mend="it is retried; the clock of this machine is behind that of the one that made the key",
            )
        if now >= pair.not_after:
            raise ConfigError(
                f"signing a checkpoint: the key {pair.id} was valid until {pair.not_after}",
                where=self.identity.origin,
                mend=f"begin a new epoch: {_RUNBOOK}",
            )
        return pair.signers(self.identity.origin)

    def _pair(self, lock: Lock) -> KeyPair:
        wanted = [key.vkey for key in lock.keys]
        for pair in self._keys.pairs():
            if list(map(str, pair.verifier_keys(self.identity.origin))) == wanted:
                return pair
        raise ConfigError(
            "opening the ledger: it is signed with keys that this keys file does not have",
            where=f"{self.identity.prefix} and {self._keys.path}",
            mend="bring here the keys of the worker that made or rotated them, or set ledger.organisation back; "
            f"lost ones: {_RUNBOOK}",
        )

    def _checked(self, lock: Lock) -> TreeHead:
        """The head that a lock states, after the signature of the key that it names."""
        key = self._pair(lock).verifier_keys(self.identity.origin)[0]
        try:
            note = parse(lock.checkpoint.encode())
            head = parse_head(note.text)
        except ValueError as exc:
            raise IntegrityError(f"opening the ledger: {exc}", where=self._stored.lock_key) from exc
        if head.origin != self.identity.origin or not any(key.verifies(note.text, each) for each in note.signatures):
            raise IntegrityError(
                "opening the ledger: its checkpoint is not signed by its key", where=self._stored.lock_key
            )
        return head
