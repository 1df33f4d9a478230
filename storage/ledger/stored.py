"""A log as it lies in a store: reads its state, commits an append, recovers one that was stopped.

Order of an append: the bundle (tiles, entries) is staged; the lock is compared and swapped, which makes the checkpoint
binding; the bundle is applied; the checkpoint is published. Starting up applies the bundle that the lock names with the
same function, so recovery is the normal path.

| stopped or failed | what the next one finds |
|---|---|
| before the lock is swapped | the log as it was; the staged bundle is an orphan and harmless |
| while it is swapped | one of both: the state is unknown until it is read anew |
| after it | the bundle is applied, as if nothing had happened |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ingest.schema.errors import IntegrityError
from storage.archive.store import ArchiveStore
from storage.ledger.checkpoint import TreeHead, parse_head
from storage.ledger.entries import KeyInForce, Tips, advanced
from storage.ledger.lock import VERSION, Lock, pack_bundle, parse_lock, read_bundle, tips_of
from storage.ledger.note import parse
from storage.ledger.proofs import TreeReader
from storage.ledger.signing import NoteSigner, signed
from storage.ledger.tiles import Edge, read_edge

_ATTEMPTS = 12
_SET_BACK = "restore it, do not delete anything; docs/runbook.md#integrityerror"


@dataclass(frozen=True, slots=True)
class State:
    """What was read from or written to the store, all of one moment.

    Attributes:
        raw: The bytes of the lock; with `lock` and `published` None while the log is empty.
        published: The published checkpoint.
    """

    raw: bytes | None
    lock: Lock | None
    tips: Tips
    edge: Edge
    published: bytes | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one append adds.

    Attributes:
        signers: Sign the checkpoint.
        keys: Those in force after it.
        config: Hex SHA-256 of the settings in force after it.
    """

    entries: Sequence[bytes]
    signers: Sequence[NoteSigner]
    keys: list[KeyInForce]
    config: str


class StoredLog:
    """The objects of one log. Not safe for threads: `Log` is.

    Args:
        store: Where; it must let go of superseded partial tiles and bundles, so it needs the right to delete.
        namespace: Whose entries these are.
        origin: First line of every checkpoint.
        prefix: Where the log lies.
        check: Gives the head that a lock states, after checking its signature.
    """

    def __init__(
        self, store: ArchiveStore, namespace: str, origin: str, prefix: str, check: Callable[[Lock], TreeHead]
    ) -> None:
        self.known: TreeHead | None = None
        self._store = store
        self._namespace = namespace
        self._origin = origin
        self._prefix = prefix
        self._check = check
        self._state: State | None = None
        self._superseded: set[str] = set()

    def forget(self) -> None:
        """Read the store anew at the next use; what the log was like at least stays known."""
        self._state = None

    def state(self) -> State:
        """The present state, read if it is not known; finishes an append that was stopped.

        Raises:
            StoreUnavailable: Call it again.
            IntegrityError: The log contradicts itself or what this process knows of it.
        """
        attempt = 0
        while self._state is None:
            raw = self._store.get(self.lock_key)
            try:
                self._state = self._read_state()
            except IntegrityError:
                # Another worker may have gone on and cleaned up while this one was reading.
                attempt += 1
                if attempt == _ATTEMPTS or self._store.get(self.lock_key) == raw:
                    raise
        return self._state

    def commit(self, batch: Batch, seconds: int) -> bool:
        """Append to the present state; durable and published on return.

        Args:
            batch: What.
            seconds: Present POSIX time.

        Returns:
            False when another worker was faster: nothing was appended.

        Raises:
            StoreUnavailable: It may have been appended or not; `state` will tell.
            IntegrityError: An entry does not follow.
        """
        before = self.state()
        tips = advanced(before.tips, self._namespace, batch.entries)
        edge, made = before.edge.grow(batch.entries)
        head = TreeHead(self._origin, edge.size, edge.root())
        objects = {self._prefix + path: body for path, body in made.items()}
        staged, bundle = pack_bundle(self._prefix, head.size, objects)
        lock = Lock(
            v=VERSION,
            checkpoint=signed(head, batch.signers, seconds).encode().decode(),
            staged=staged,
            tips=[tips[place] for place in sorted(tips)],
            config=batch.config,
            keys=batch.keys,
        )
        raw = lock.encode()
        self._state = None  # unknown, until all of this is done
        self._store.put(staged.key, bundle)
        if not self._store.swap(self.lock_key, before.raw, raw):
            return False  # the bundle stays: whoever was faster may have staged, and need, the very same
        published = self._settle(lock, objects, before.published)
        self._clean(before, edge)
        self.known = head
        self._state = State(raw, lock, tips, edge, published)
        return True

    def reader(self, size: int) -> TreeReader:
        """Reads proofs out of the log of this size."""
        return TreeReader(self._read, size)

    @property
    def lock_key(self) -> str:
        """Where the lock lies."""
        return f"{self._prefix}lock.json"

    def _read_state(self) -> State:
        # The published checkpoint first: it follows the lock, so read in this order it can't be ahead of it.
        published = self._store.get(f"{self._prefix}checkpoint")
        raw = self._store.get(self.lock_key)
        if raw is None:
            if published is not None or self.known is not None:
                raise IntegrityError("opening the ledger: its lock is missing", where=self.lock_key, mend=_SET_BACK)
            return State(None, None, {}, Edge(), None)
        lock = parse_lock(raw, self.lock_key)
        head = self._check(lock)
        public = head_of(published) if published is not None else None
        if public is not None and public != head and public.size >= head.size:
            raise IntegrityError(
                f"opening the ledger: the published checkpoint ({public.size} entries) is ahead of or contradicts the "
                f"lock ({head.size} entries)",
                where=self.lock_key,
                mend=f"the lock was set back: {_SET_BACK}",
            )
        if published is None or public != head:
            published = self._settle(lock, read_bundle(lock.staged, self._store.get(lock.staged.key)), published)
        edge = read_edge(self._read, head.size)
        if edge.root() != head.root:
            raise IntegrityError("opening the ledger: its tiles do not give its root", where=self._prefix)
        self._remember(head)
        self._clean_staging(head.size)
        return State(raw, lock, tips_of(lock), edge, published)

    def _remember(self, head: TreeHead) -> None:
        """A log never becomes shorter or another while this process lives."""
        known = self.known
        if known is not None and (head.size < known.size or self.reader(head.size).root(known.size) != known.root):
            raise IntegrityError(
                f"opening the ledger: with {head.size} entries it does not continue the {known.size} this worker knows",
                where=self._prefix,
                mend=f"someone set the ledger back: {_SET_BACK}",
            )
        self.known = head

    def _settle(self, lock: Lock, objects: dict[str, bytes], published: bytes | None) -> bytes:
        """Apply what the lock made binding, then publish it: after an append and at start-up alike."""
        for key, body in objects.items():
            self._store.put(key, body)
        key, checkpoint = f"{self._prefix}checkpoint", lock.checkpoint.encode()
        while not self._store.swap(key, published, checkpoint):
            published = self._store.get(key)
            if published is not None and head_of(published).size >= head_of(checkpoint).size:
                return published  # another worker published this one, or went on from it
        return checkpoint

    def _clean(self, before: State, edge: Edge) -> None:
        """Let go of the partial tiles of the append before the last one, and of the last staged bundle."""
        for path in self._superseded - edge.partials():
            self._store.delete(self._prefix + path)
        self._superseded = before.edge.partials() - edge.partials()
        if before.lock is not None:
            self._store.delete(before.lock.staged.key)

    def _clean_staging(self, size: int) -> None:
        """Let go of what was staged for sizes that the log is beyond: no lock can name it any more.

        Not of this size: whoever is faster may have staged, and need, the very same bytes.
        """
        prefix = f"{self._prefix}staging/"
        for key in list(self._store.keys(prefix)):
            staged_for = key.removeprefix(prefix).partition("-")[0]
            if staged_for.isdecimal() and int(staged_for) < size:
                self._store.delete(key)

    def _read(self, path: str) -> bytes | None:
        return self._store.get(self._prefix + path)


def head_of(note: bytes) -> TreeHead:
    """The head that a stored checkpoint states.

    Raises:
        IntegrityError: It is no checkpoint.
    """
    try:
        return parse_head(parse(note).text)
    except ValueError as exc:
        raise IntegrityError(f"reading a checkpoint: {exc}") from exc
