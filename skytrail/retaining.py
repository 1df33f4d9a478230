"""What retention needs at once: the ledgers of all namespaces, what is in force in each, and what there is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
from elasticsearch import AsyncElasticsearch

from ingest.schema.errors import ConfigError
from skytrail.settings import Settings
from storage.archive.opening import open_archive
from storage.archive.store import ArchiveStore
from storage.index.names import parse
from storage.index.visibility import make_visible
from storage.ledger.entries import Tips
from storage.ledger.keyring import KeyRing
from storage.ledger.notary import Notary, told_settings
from storage.retention import inventory
from storage.retention.plan import ChainFacts, IndexFacts, Item, Plan, chain_items, index_item, make_plan
from storage.retention.policy import Policy
from storage.retention.record import Record, State
from storage.retention.verdict import InForce
from streams.naming import dataset_of


@dataclass(slots=True)
class Retaining:
    """The archive and the ledgers of an installation, for whoever decides what is kept.

    Args:
        store: The archive.
        notary: Its ledgers.
    """

    store: ArchiveStore
    notary: Notary
    _records: dict[str, Record] = field(default_factory=dict)

    def namespaces(self) -> list[str]:
        """Those that have a ledger."""
        return [name for name in self.store.folders("") if self.store.folders(f"{name}/log/")]

    def record(self, namespace: str) -> Record:
        """What the ledger of a namespace says."""
        if namespace not in self._records:
            self._records[namespace] = Record(self.store, self.notary.log(namespace))
        return self._records[namespace]

    def states(self, preview: Policy | None, now: dt.datetime) -> dict[str, State]:
        """The state of every namespace; with a policy as if it came into force now."""
        found = {name: self.record(name).now() for name in self.namespaces()}
        if preview is None:
            return found
        return {name: preview_of(state, preview, now) for name, state in found.items()}

    def tips(self, namespace: str) -> Tips:
        """The newest segment of each chain that the ledger has."""
        return self.notary.log(namespace).state().tips

    def chains(self, namespace: str) -> Iterator[ChainFacts]:
        """The chains of a namespace, without what has a tombstone. Raises as `storage.retention.inventory.chains`."""
        gone = self.record(namespace).now().destroyed()
        return inventory.chains(self.store, namespace, self.tips(namespace), gone, dataset_of)


def open_retaining(settings: Settings, clock: Callable[[], dt.datetime], *, allow_delete: bool) -> Retaining:
    """Open the archive and its ledgers.

    Raises:
        ConfigError: There is no archive with a ledger, or no keys for it.
    """
    found = retaining_of(settings, clock, allow_delete=allow_delete)
    if not found.namespaces():
        raise ConfigError(
            "opening the ledger: this archive has none",
            where=settings.archive_place,
            mend="start a seal worker (`skytrail worker seal`): it makes one with the first segment",
        )
    return found


def retaining_of(settings: Settings, clock: Callable[[], dt.datetime], *, allow_delete: bool) -> Retaining:
    """The archive and its ledgers, if there are any yet.

    Raises:
        ConfigError: The archive can't be opened.
    """
    # Appending lets go of superseded tiles, so even who destroys nothing needs the right to delete.
    store = open_archive(settings.archive, settings.archive_dir, allow_delete=allow_delete)
    keys = KeyRing(settings.keys_file)
    told = told_settings(settings.ledger, settings.archive)
    return Retaining(store, Notary(store, keys, settings.ledger, told, clock, lambda _: None))


def preview_of(state: State, policy: Policy, now: dt.datetime) -> State:
    """A state as if a policy came into force now."""
    return State(
        policies=[*state.policies, InForce(now, policy)],
        holds=state.holds,
        releases=state.releases,
        tombstones=state.tombstones,
        receipts=state.receipts,
        oldest=state.oldest,
        newest=state.newest,
        leap=state.leap,
        namespace=state.namespace,
    )


async def planned(
    retaining: Retaining, client: AsyncElasticsearch | None, now: dt.datetime, preview: Policy | None = None
) -> Plan:
    """What would be done now.

    Args:
        retaining: Archive and ledgers.
        client: Of the reader identity; None leaves Elasticsearch out.
        now: The present, or another day to look at.
        preview: A policy that is not in force yet.

    Raises:
        IndexUnavailable: Elasticsearch does not answer.
        IntegrityError: Archive or ledger are damaged.
    """
    states = retaining.states(preview, now)
    items: list[Item] = []
    for name, state in states.items():
        for chain in retaining.chains(name):
            items += chain_items(name, chain, state, now)
    if client is not None:
        await make_visible(client)
        holds = [hold for state in states.values() for hold in state.open_holds()]
        for facts in await inventory.indices(client, holds):
            if (item := _index_item(retaining, states, facts, now)) is not None:
                items.append(item)
    return make_plan(now, states, items)


def _index_item(retaining: Retaining, states: dict[str, State], facts: IndexFacts, now: dt.datetime) -> Item | None:
    name = parse(facts.name)
    if name is None:
        return None
    state = states.get(name.namespace)
    if state is None:  # nothing of it was ever sealed, so nobody vouches for anything in it
        return index_item(facts, State(), {}, now)
    return index_item(facts, state, sealed_of(retaining, name.namespace), now)


def sealed_of(retaining: Retaining, namespace: str) -> dict[tuple[str, int], int]:
    """Up to which offset each chain is in the ledger."""
    return {place: tip.last_offset for place, tip in retaining.tips(namespace).items()}


def row_of(item: Item) -> dict[str, object]:
    """An item as a row of output."""
    return dict(msgspec.to_builtins(item))
