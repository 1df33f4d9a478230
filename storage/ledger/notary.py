"""Enters the segments of chains in the ledgers of their namespaces.

What a ledger lacks is found by comparing it with the chain, not remembered: so a segment whose worker was killed before
it entered it is entered by whoever looks next, and nothing is entered twice. An archive that is older than its ledger
is entered in the same way, from its first segment on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ingest.schema.errors import ConfigError
from storage.archive.chain import Chain
from storage.archive.manifest import instant
from storage.archive.store import ArchiveStore
from storage.ledger import entries
from storage.ledger.cosigning import witness_key
from storage.ledger.entries import MAX_STREAMS, Streamed, Tips
from storage.ledger.keyring import KeyRing
from storage.ledger.log import Log, LogIdentity
from storage.settings import ArchiveSettings, LedgerSettings

MAX_ENTRIES = 256  # of one append: bounds the staged bundle


class Notary:
    """The ledgers of an archive, one log per namespace, opened when they are needed.

    Calls block on the store.

    Args:
        store: The archive, with the right to delete (see `StoredLog`).
        keys: What checkpoints are signed with.
        ledger: Settings of the ledger.
        told: What the `config` entries say, see `told_settings`.
        clock: Gives the present time, with zone.
        on_backlog: Told, in words, before each append that fills up: the entering of an older archive takes long.
    """

    def __init__(
        self,
        store: ArchiveStore,
        keys: KeyRing,
        ledger: LedgerSettings,
        told: Mapping[str, Any],
        clock: Callable[[], dt.datetime],
        on_backlog: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._keys = keys
        self._ledger = ledger
        self._told = dict(told)
        self._clock = clock
        self._on_backlog = on_backlog
        self._logs: dict[str, Log] = {}

    def sizes(self) -> dict[str, int]:
        """Entries of the logs that were opened, by namespace, as far as this process knows."""
        return {namespace: log.size for namespace, log in list(self._logs.items())}

    def keys_end(self) -> dt.datetime:
        """When the keys end that sign now.

        Raises:
            ConfigError: There is no valid key.
        """
        return dt.datetime.fromisoformat(self._keys.newest(self._clock()).not_after)

    def log(self, namespace: str) -> Log:
        """The log of a namespace."""
        if namespace not in self._logs:
            identity = LogIdentity(self._ledger.organisation, self._ledger.epoch, namespace, self._told)
            self._logs[namespace] = Log(self._store, identity, self._keys, self._clock)
        return self._logs[namespace]

    def record(self, chains: Iterable[Chain]) -> None:
        """Enter every segment of these chains that is not in the ledger yet; durable on return.

        Raises:
            StoreUnavailable: Nothing is lost; call it again.
            IntegrityError: Ledger and chain contradict each other.
            ConfigError: There is no valid key.
        """
        for namespace, of_namespace in _by_namespace(chains).items():

            def lacking(tips: Tips, namespace: str = namespace, own: Sequence[Chain] = of_namespace) -> list[bytes]:
                found = _lacking(own, tips)
                if len(found) == MAX_ENTRIES:
                    self._on_backlog(f"ledger: many segments of {namespace} are being entered")
                return found

            self.log(namespace).append(lacking)

    def tell_idle(self, chains: Iterable[Chain]) -> int:
        """Enter a heartbeat for those of these chains that nothing was entered of for a while.

        Returns:
            How many chains were idle.

        Raises:
            StoreUnavailable: Call it again.
        """
        count = 0
        for namespace, of_namespace in _by_namespace(chains).items():
            now = self._clock()
            before = instant(now - dt.timedelta(seconds=self._ledger.heartbeat_interval_s))

            def idle(tips: Tips, own: Sequence[Chain] = of_namespace, before: str = before) -> list[Streamed]:
                return [stream for chain in own if (stream := _idle_stream(chain, tips, before)) is not None]

            def beat(
                tips: Tips, namespace: str = namespace, now: dt.datetime = now, idle: Callable[..., Any] = idle
            ) -> list[bytes]:
                silent = idle(tips)
                groups = [silent[at : at + MAX_STREAMS] for at in range(0, len(silent), MAX_STREAMS)]
                return [entries.heartbeat(namespace, now, group) for group in groups]

            count += len(idle(self.log(namespace).state().tips))
            self.log(namespace).append(beat)
        return count


def ready_keys(store: ArchiveStore, keys: KeyRing, now: dt.datetime, days: int) -> bool:
    """Make sure that there are keys: the first ones are made if there is nothing yet that they could contradict.

    Returns:
        Whether they were made.

    Raises:
        ConfigError: There is a ledger, and no keys file.
    """
    if keys.path.exists():
        return False
    for namespace in store.folders(""):
        if store.folders(f"{namespace}/log/"):
            raise ConfigError(
                f"opening the ledger: namespace {namespace} has one, and the keys file is missing",
                where=str(keys.path),
                mend="restore it from its backup, or read docs/runbook.md#a-signing-key-is-lost-or-leaked",
            )
    return keys.add_first(now, days=days) is not None


def told_settings(ledger: LedgerSettings, archive: ArchiveSettings) -> dict[str, Any]:
    """What a `config` entry says (docs/ledger-format.md).

    Raises:
        ConfigError: What is set for a witness is no verifier key.
    """
    return {
        "heartbeat_interval_s": ledger.heartbeat_interval_s,
        "segment_max_age_ms": round(archive.segment_max_age_s * 1000),
        "stamp_interval_s": ledger.stamp_interval_s,
        "quorum": ledger.quorum,
        "witnesses": sorted(str(witness_key(name, each.vkey)) for name, each in ledger.witnesses.items()),
        "authorities": sorted(ledger.authorities),
    }


def _by_namespace(chains: Iterable[Chain]) -> dict[str, list[Chain]]:
    found: dict[str, list[Chain]] = {}
    for chain in sorted(chains, key=lambda each: (each.namespace, each.topic, each.partition)):
        if chain.last is not None:
            found.setdefault(chain.namespace, []).append(chain)
    return found


def _lacking(chains: Sequence[Chain], tips: Tips) -> list[bytes]:
    """The next manifests that a log with these tips lacks, at most `MAX_ENTRIES`."""
    found: list[bytes] = []
    for chain in chains:
        assert chain.last is not None
        tip = tips.get((chain.topic, chain.partition))
        start = 0 if tip is None else tip.seq + 1
        if tip is not None and tip.seq > chain.last.seq:
            # Another worker went on with this chain, or its end was cut off: then this raises.
            chain.manifest_bytes(tip.seq)
        stop = min(chain.last.seq + 1, start + MAX_ENTRIES - len(found))
        found += map(chain.manifest_bytes, range(start, stop))
    return found


def _idle_stream(chain: Chain, tips: Tips, before: str) -> Streamed | None:
    """What a heartbeat says of a chain, if nothing was entered of it since `before`."""
    tip = tips.get((chain.topic, chain.partition))
    if tip is None or tip.at > before:
        return None
    return Streamed(topic=tip.topic, partition=tip.partition, seq=tip.seq, last_offset=tip.last_offset)
