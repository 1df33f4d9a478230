"""Erases one person: the entry in the ledger, the keys, then the documents. Can be stopped anywhere and run again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from elasticsearch import AsyncElasticsearch

from ingest.pseudonyms.key_file import open_where_possible
from ingest.pseudonyms.pseudonyms import Pseudonyms
from ingest.pseudonyms.tokens import TOKEN
from ingest.schema.envelope import Position
from ingest.schema.errors import ConfigError
from skytrail.data_keys import data_keys
from skytrail.retaining import Retaining, open_retaining
from skytrail.settings import Settings
from storage.archive.people import records_of_people
from storage.datakeys.keys import DataKeys
from storage.index.client import connect
from storage.index.erasing import Place, delete, documents_of, mentions
from storage.index.visibility import make_visible
from storage.ledger.key_history import Shred
from storage.retention.erasing import ErasurePlan, plan_erasure
from storage.retention.record import Record
from streams.pseudonyms import NO_PSEUDONYMS

_OPEN = frozenset({"later", "held", "kept"})


@dataclass(slots=True)
class Hot:
    """What Elasticsearch has of a person.

    Attributes:
        going: Events whose key goes or is gone.
        staying: Events whose key stays.
        unkeyed: Events that were sealed without a key of their own: they go with their month.
        alerts: About the person.
        mentions: How many documents of others name the person.
    """

    going: list[Place]
    staying: int
    unkeyed: int
    alerts: list[Place]
    mentions: int


@dataclass(frozen=True, slots=True)
class Erasing:
    """One person in one namespace.

    Args:
        settings: Of the installation.
        retaining: Archive and ledgers.
        keys: The data keys.
        namespace: Whose logs.
        subjects: The keys of who acted, as records have them: what `skytrail.principal.key` is without pseudonyms.
        now: The present.
        pseudonyms: The keys that there are, so that documents under them are found.
    """

    settings: Settings
    retaining: Retaining
    keys: DataKeys
    namespace: str
    subjects: tuple[str, ...]
    now: dt.datetime
    pseudonyms: Pseudonyms = NO_PSEUDONYMS

    @property
    def record(self) -> Record:
        """What the ledger says."""
        return self.retaining.record(self.namespace)

    @property
    def spelled(self) -> tuple[str, ...]:
        """The subjects as documents may have them: also as their tokens."""
        return tuple(name for each in self.subjects for name in self.pseudonyms.asked(self.namespace, each))

    def plan(self, entry: Shred | None = None) -> ErasurePlan:
        """What becomes of each key, those of an entry that was made before included."""
        found = [each for subject in self.subjects for each in self.keys.of_subject(self.namespace, subject)]
        wanted = sorted({*found, *(entry.keys if entry else ())})
        belongings = records_of_people(self.retaining.store, self.namespace, wanted, self.keys)
        return plan_erasure(self.namespace, wanted, belongings, self.record.now(), self.now, self.keys.in_use)

    def destroy(self, keys: Sequence[str]) -> None:
        """Destroy the keys, for ever."""
        for each in keys:
            self.keys.destroy(self.namespace, each)

    async def hot(self, plan: ErasurePlan, going: Sequence[str]) -> Hot:
        """What Elasticsearch has.

        Args:
            plan: With the places of all records.
            going: Ids of the keys that go.
        """
        client = connect(self.settings.elasticsearch, "reader")
        try:
            await make_visible(client)
            return await self._found(client, plan, going)
        finally:
            await client.close()

    async def _found(self, client: AsyncElasticsearch, plan: ErasurePlan, going: Sequence[str]) -> Hot:
        gone = {each.key for each in plan.keys if each.fate == "gone"}
        leaving: set[Position] = set().union(*(plan.places.get(key, set()) for key in {*going, *gone}))
        known: set[Position] = set().union(*plan.places.values())
        found = Hot([], 0, 0, [], await mentions(client, self.namespace, self.spelled))
        async for each in documents_of(client, self.namespace, self.spelled):
            if each.position in leaving:
                found.going.append(each)
            elif each.position in known:
                found.staying += 1
            else:
                found.unkeyed += 1
        found.alerts = [each async for each in documents_of(client, self.namespace, self.spelled, alerts=True)]
        return found

    async def delete(self, places: Sequence[Place]) -> int:
        """Delete documents with the identity that may; how many were there."""
        client = connect(self.settings.elasticsearch, "eraser")
        try:
            return await delete(client, places)
        finally:
            await client.close()


def alerts_may_go(plan: ErasurePlan, hot: Hot) -> bool:
    """Whether nothing of the person stays: until then alerts about it are evidence that must not be cut."""
    return not any(each.fate in _OPEN for each in plan.keys) and not hot.staying and not hot.unkeyed


def open_erasing(settings: Settings, namespace: str, subjects: Sequence[str]) -> Erasing:
    """Open archive, ledger and keys.

    Args:
        settings: Of the installation.
        namespace: Whose logs.
        subjects: The keys of who acted; a token in the place of one is turned back, and shown to nobody.

    Raises:
        ConfigError: There is no such ledger, or people have no keys of their own here.
    """
    now = dt.datetime.now(dt.UTC)
    retaining = open_retaining(settings, lambda: dt.datetime.now(dt.UTC), allow_delete=True)
    if namespace not in retaining.namespaces():
        raise ConfigError(f"erasing: namespace {namespace!r} has no ledger", mend="`skytrail status` names them")
    keys = data_keys(settings)
    if keys is None or keys.subjects is None:
        raise ConfigError(
            "erasing: this archive is not encrypted, so nothing in it can be made unreadable",
            where=settings.archive_place,
            mend="set archive.encryption.provider and archive.encryption.subjects: docs/retention.md",
        )
    pseudonyms = open_where_possible(settings.pseudonyms, settings.state_dir, settings.archive_dir)
    known = tuple(dict.fromkeys(_as_recorded(pseudonyms, namespace, each) for each in subjects))
    return Erasing(settings, retaining, keys, namespace, known, now, pseudonyms)


def _as_recorded(pseudonyms: Pseudonyms, namespace: str, subject: str) -> str:
    """A subject as records have it.

    Raises:
        ConfigError: It is a token of a key that is not here.
    """
    if not TOKEN.fullmatch(subject):
        return subject
    told = pseudonyms.reveal(namespace, subject)
    if told is None:
        raise ConfigError(
            f"erasing: {subject} is a token of a key or a namespace that is not here",
            where="pseudonyms.key_file",
            mend="run it where the keys are, or name the person by the key that records have",
        )
    return told[1]
