"""Erases one person: the entry in the ledger, the keys, then the documents. Can be stopped anywhere and run again."""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from elasticsearch import AsyncElasticsearch

from ingest.pseudonyms.key_file import open_where_possible
from ingest.pseudonyms.pseudonyms import Pseudonyms
from ingest.pseudonyms.tokens import TOKEN
from ingest.schema.envelope import Position
from ingest.schema.errors import ConfigError, Refused
from skytrail.data_keys import data_keys
from skytrail.retaining import Retaining, open_retaining
from skytrail.settings import Settings
from storage.archive.chain import Chain
from storage.archive.manifest import Manifest
from storage.archive.people import records_of_people, segments_of
from storage.datakeys.keys import DataKeys
from storage.index.client import connect
from storage.index.erasing import Place, delete, documents_of, mentions
from storage.index.names import ALERT_DATASET
from storage.index.visibility import make_visible
from storage.ledger.key_history import Shred, shreds_anywhere
from storage.retention.erasing import ErasurePlan, plan_erasure
from storage.retention.holding import spans
from storage.retention.late import behind, end_of_month
from storage.retention.record import Record
from storage.retention.verdict import Subject, bounds_of
from streams.naming import dataset_of
from streams.pseudonyms import NO_PSEUDONYMS

NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(slots=True)
class Hot:
    """What Elasticsearch has of a person.

    Attributes:
        going: Events whose key goes or is gone.
        staying: Events whose key stays.
        unkeyed: Events that were sealed without a key of their own: they go with their month.
        alerts: About the person.
        mentions: How many documents of others name the person.
        alerts_kept: Why alerts must stay, whatever becomes of the events.
    """

    going: list[Place]
    staying: int
    unkeyed: int
    alerts: list[Place]
    mentions: int
    alerts_kept: str = ""


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
        segments = segments_of(self.retaining.store, self.namespace)
        belongings = records_of_people(self.retaining.store, self.namespace, wanted, self.keys)
        return plan_erasure(
            self.namespace,
            wanted,
            belongings,
            self.record.now(),
            self.now,
            in_use=self._running,
            segments=segments,
            present=lambda key: self.keys.has_subject_key(self.namespace, key),
            dataset_of=dataset_of,
        )

    def _running(self, key: str) -> str:
        """Why something may still be sealed under a key; empty: nothing may."""
        if self.keys.in_use(key):
            return "its month is not over for a day, so records are still sealed under it"
        for manifest in self.keys.noted(self.namespace, key):
            if self.retaining.store.get(manifest) is None:
                return f"a sealer is about to publish {manifest} under it: once that is there, run it again"
        return ""

    def behind(self, plan: ErasurePlan) -> list[str]:
        """Chains that may still have records of a month that goes or is gone to seal, in words."""
        months = [end_of_month(each.key) for each in plan.keys if each.fate in ("erase", "gone")]
        late = behind(self.retaining.store, self.namespace, self.record.log.state().tips, max(months, default=NEVER))
        return [f"{topic}, partition {partition}, up to {reached[:16]}" for topic, partition, reached in late]

    def refuse_others(self, keys: Sequence[str], where: str) -> None:
        """Raise `Refused` unless each subject has one of these keys: nobody agreed to anything about others."""
        for subject in self.subjects:
            if not any(self.keys.is_of_subject(self.namespace, key, subject) for key in keys):
                raise Refused(
                    "erasing: none of these keys is of one of the subjects",  # recorded, so it names nobody
                    where=f"{where}, {subject}",
                    mend="leave it out: `skytrail erase plan` says what there is of each",
                )

    def entries(self) -> list[Shred]:
        """The entries of the ledger, in any epoch, by which a key of each subject goes, oldest first."""
        return [
            entry
            for entry in shreds_anywhere(self.retaining.store, self.namespace)
            if all(
                any(self.keys.is_of_subject(self.namespace, key, who) for key in entry.keys) for who in self.subjects
            )
        ]

    def sealed_without(self) -> int:
        """Records of the namespace that are sealed without keys of people and can be read: some may be the person's."""
        gone = self.record.now().destroyed()
        total = sum(1 for _ in self.retaining.store.keys(f"{self.namespace}/obj/"))
        for topic in self.retaining.store.folders(f"{self.namespace}/seg/"):
            for number in self.retaining.store.folders(f"{self.namespace}/seg/{topic}/"):
                chain = Chain(self.retaining.store, self.namespace, topic, int(number))
                chain.restore()
                for seq in range(chain.last.seq + 1 if chain.last else 0):
                    manifest = chain.manifest(seq)
                    if not manifest.grouped and seq not in gone.get((topic, int(number)), ()):
                        total += manifest.n if self._is_readable(manifest) else 0
        return total

    def _is_readable(self, manifest: Manifest) -> bool:
        encryption = manifest.encryption
        return encryption is msgspec.UNSET or self.keys.opened(self.namespace, encryption.key) is not None

    def alerts_kept(self) -> str:
        """Why alerts must stay, in words; empty where nothing keeps them. They are in Elasticsearch alone."""
        state = self.record.now()
        for hold in state.open_holds():
            if spans(hold, ALERT_DATASET, None, self.now):
                return f"the legal hold {hold.id} covers alerts"
        subject = Subject(namespace=self.namespace, dataset=ALERT_DATASET, event=self.now, received=self.now)
        floors = [
            limit.because
            for kind, limit in bounds_of("cold", subject, state.policies, self.now)
            if kind == "floor" and limit.at > self.now
        ]
        return f"{floors[0]} keeps alerts" if floors else ""

    def close(self, keys: Sequence[str]) -> None:
        """From now on no sealer begins to use these keys; what one began before is told by the next plan."""
        for each in keys:
            self.keys.close(self.namespace, each)

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
        found = Hot([], 0, 0, [], await mentions(client, self.namespace, self.spelled), self.alerts_kept())
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


def alerts_may_go(plan: ErasurePlan, hot: Hot, going: Sequence[str] = ()) -> bool:
    """Whether nothing of the person stays: until then alerts about it are evidence that must not be cut.

    Args:
        plan: Of all keys.
        hot: What Elasticsearch has.
        going: Ids of the keys that go now.
    """
    open_ = any(each.fate != "gone" and each.key not in going for each in plan.keys)
    return not open_ and not hot.staying and not hot.unkeyed and not hot.alerts_kept


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
    if any(fnmatch.fnmatchcase(namespace, each) for each in settings.pseudonyms.namespaces) and not pseudonyms.keys:
        raise ConfigError(
            "erasing: documents of this namespace are under pseudonyms, and their key is not here",
            where="pseudonyms.key_file",
            mend="run it where the key file is: without it no document of the person is found",
        )
    known = tuple(dict.fromkeys(as_recorded(pseudonyms, namespace, each) for each in subjects))
    return Erasing(settings, retaining, keys, namespace, known, now, pseudonyms)


def as_recorded(pseudonyms: Pseudonyms, namespace: str, subject: str) -> str:
    """A subject as records have it, whichever way it is told.

    Raises:
        ConfigError: It is a token of a key that is not here.
    """
    if not TOKEN.fullmatch(subject):
        return subject
    told = pseudonyms.reveal(namespace, subject)
    if told is None:
        raise ConfigError(
            "erasing: a subject is a token of a key or a namespace that is not here",
            where=f"pseudonyms.key_file, {subject}",
            mend="run it where the keys are, or name the person by the key that records have",
        )
    return told[1]
