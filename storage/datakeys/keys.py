"""The data keys of an archive: one per namespace and month of receipt, random, wrapped by a provider."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
from collections.abc import Callable, Collection, Iterator

import msgspec

from ingest.schema.errors import ConfigError, Refused
from storage.archive.manifest import instant
from storage.datakeys.key import KEY_BYTES, DataKey
from storage.datakeys.provider import KeyProvider
from storage.datakeys.subjects import SubjectKeys, month_key_of
from storage.datakeys.table import VERSION, KeyEntry, KeyTable, context_of


class DataKeys:
    """Opens data keys, and makes them.

    Opened keys stay in memory; each use looks into the table, so a key that was destroyed is used no more.

    Args:
        table: Where they lie, wrapped.
        current: Who wraps new ones; None: this archive is sealed in the clear, and only old segments are encrypted.
        provider_of: Opens a provider by the name that an entry has.
        clock: The present time, with zone.
        subjects: The keys of single people; None: there are none.
        by_subject: Whether what is sealed gets keys of single people.
    """

    def __init__(
        self,
        table: KeyTable,
        current: KeyProvider | None,
        provider_of: Callable[[str], KeyProvider],
        clock: Callable[[], dt.datetime],
        subjects: SubjectKeys | None = None,
        *,
        by_subject: bool = False,
    ) -> None:
        self.table = table
        self.current = current
        self.subjects = subjects
        self.by_subject = by_subject and subjects is not None
        self._provider_of = provider_of
        self._clock = clock
        self._active: dict[tuple[str, str], str] = {}
        self._open: dict[tuple[str, str], bytes] = {}

    @property
    def seals(self) -> bool:
        """Whether what is sealed from now on is encrypted."""
        return self.current is not None

    def for_sealing(self, namespace: str, month: str) -> DataKey:
        """The key for what a namespace received in a month (``YYYY-MM``); made where there is none.

        Two workers that start together may make one each: both are good, and each segment names its own.

        Raises:
            StoreUnavailable: Call it again.
            ConfigError: The provider refuses.
        """
        active = self._active.get((namespace, month))
        if active is not None and (key := self.opened(namespace, active)) is not None:
            return key
        known = [entry for entry in self.table.entries(namespace) if entry.month == month]
        newest = max(known, key=lambda entry: (entry.made, entry.id)).id if known else self._make(namespace, month)
        self._active[namespace, month] = newest
        key = self.opened(namespace, newest)
        return key if key is not None else self.for_sealing(namespace, month)  # destroyed between two calls

    def opened(self, namespace: str, key_id: str) -> DataKey | None:
        """A key of the table, a month's or a subject's; None where it is not there, or no longer.

        Raises:
            StoreUnavailable: Call it again.
            ConfigError: The provider refuses, or its wrapping key is not there.
            IntegrityError: The table is damaged.
        """
        month_key = month_key_of(key_id)
        if month_key is not None:
            month = self.opened(namespace, month_key) if self.subjects is not None else None
            return self.subjects.opened(namespace, month, key_id) if self.subjects and month else None
        entry = self.table.get(namespace, key_id)
        if entry is None:
            self._open.pop((namespace, key_id), None)
            return None
        body = self._open.get((namespace, key_id))
        if body is None:
            body = self._provider(entry.provider).unwrap(entry.content(), entry.context())
            if len(body) != KEY_BYTES:
                raise ConfigError("unwrapping a data key: it has not 32 bytes", where=f"{namespace}/{key_id}")
            self._open[namespace, key_id] = body
        return DataKey(key_id, body)

    def of_subject(self, namespace: str, subject: str) -> list[str]:
        """The ids of all keys of a subject, of every month whose key can be opened.

        Raises:
            StoreUnavailable: Call it again.
            ConfigError: The provider refuses.
        """
        if self.subjects is None:
            return []
        months = [self.opened(namespace, entry.id) for entry in self.table.entries(namespace)]
        return [key_id for month in months if month for key_id in self.subjects.of(namespace, month, subject)]

    def is_of_subject(self, namespace: str, key_id: str, subject: str) -> bool:
        """Whether a key, present or destroyed, is a subject's; False where the key of its month is gone."""
        month_key = month_key_of(key_id)
        month = self.opened(namespace, month_key) if month_key else None
        return self.subjects is not None and month is not None and key_id.startswith(self.subjects.stem(month, subject))

    def of_person(self, namespace: str, month: DataKey, subject: str) -> DataKey:
        """The key to seal under what a subject did; see `SubjectKeys.for_sealing`.

        Raises:
            ConfigError: People have no keys of their own here.
        """
        if self.subjects is None:
            raise ConfigError("sealing under keys of people: there is no table of them")
        return self.subjects.for_sealing(namespace, month, subject, late=self._is_late(month.id))

    def announce(self, namespace: str, key_ids: Collection[str], manifest: str) -> bool:
        """Note that a manifest is about to be published under keys; False: one of them must not be used any more.

        Only keys of a month that is over can be destroyed, so of others nothing is noted; see `closing`.

        Args:
            namespace: Whose they are.
            key_ids: Of a month, and of people.
            manifest: Its key in the archive.
        """
        late = [each for each in key_ids if self._is_late(each)]
        people = [each for each in late if month_key_of(each) is not None]
        if self.subjects is not None:
            for each in people:
                self.subjects.closing.note(namespace, each, manifest)
        return all(self._may_seal(namespace, each) for each in late)

    def published(self, namespace: str, key_ids: Collection[str], manifest: str) -> None:
        """Take back what `announce` noted: the manifest is there."""
        for each in key_ids:
            if self.subjects is not None and month_key_of(each) is not None and self._is_late(each):
                self.subjects.closing.withdraw(namespace, each, manifest)

    def close(self, namespace: str, key_id: str) -> None:
        """From now on no sealer begins to use a person's key. Raises as `destroy`."""
        self.refuse_in_use(namespace, key_id)
        if self.subjects is not None:
            self.subjects.closing.close(namespace, key_id)

    def noted(self, namespace: str, key_id: str) -> list[str]:
        """Keys of the manifests that a sealer is about to publish under a person's key, or has published."""
        return [] if self.subjects is None else list(self.subjects.closing.noted(namespace, key_id))

    def has_subject_key(self, namespace: str, key_id: str) -> bool:
        """Whether a subject's key is there, or a copy of it."""
        return self.subjects is not None and self.subjects.has(namespace, key_id)

    def check(self) -> None:
        """Open the newest key of each namespace: a lost wrapping key is known before anything is sealed anew.

        Raises:
            ConfigError: One can't be opened, or the key that wraps new ones is not there, or not safe.
            StoreUnavailable: Call it again.
        """
        for namespace in self.table.namespaces():
            newest = max(self.table.entries(namespace), key=lambda entry: (entry.made, entry.id), default=None)
            if newest is not None:
                self.opened(namespace, newest.id)
        if self.current is not None:
            self.current.ready()

    def entries(self) -> Iterator[KeyEntry]:
        """Every key of the table."""
        for namespace in self.table.namespaces():
            yield from self.table.entries(namespace)

    def rewrap(self, entry: KeyEntry) -> bool:
        """Wrap a key with the current key of the current provider; False when it is so already.

        Raises:
            ConfigError: Encryption is off, or a provider refuses.
        """
        current = self._sealing()
        if (entry.provider, entry.kek) == (current.name, current.current()):
            return False
        body = self._provider(entry.provider).unwrap(entry.content(), entry.context())
        wrapped = current.wrap(body, entry.context())
        after = msgspec.structs.replace(
            entry, provider=current.name, kek=wrapped.kek, wrapped=base64.b64encode(wrapped.body).decode()
        )
        return self.table.replace(entry, after)

    def destroy(self, namespace: str, key_id: str) -> None:
        """Destroy a key for ever.

        Raises:
            Refused: Its month is not over for a day: it may still be in use.
        """
        self.refuse_in_use(namespace, key_id)
        if month_key_of(key_id) is not None and self.subjects is not None:
            self.subjects.remove(namespace, key_id)
            return
        self.table.remove(namespace, key_id)
        self._open.pop((namespace, key_id), None)

    def in_use(self, key_id: str) -> bool:
        """Whether records may still be sealed under a key: its month is not over for a day."""
        return key_id[:7] >= f"{self._clock() - dt.timedelta(days=1):%Y-%m}"

    def _is_late(self, key_id: str) -> bool:
        """Whether a key is of a month that is over: a day earlier than anybody destroys it, whose clock may differ."""
        return key_id[:7] < f"{self._clock():%Y-%m}"

    def _may_seal(self, namespace: str, key_id: str) -> bool:
        if self.subjects is None or month_key_of(key_id) is None:
            return self.table.get(namespace, key_id) is not None
        return self.opened(namespace, key_id) is not None and not self.subjects.closing.is_closed(namespace, key_id)

    def refuse_in_use(self, namespace: str, key_id: str) -> None:
        """Raise `Refused` while records may still be sealed under a key."""
        if self.in_use(key_id):
            raise Refused(
                "destroying a data key: its month is not over, so records are still sealed under it",
                where=f"{namespace}/{key_id}",
                mend="wait until the second day of the next month",
            )

    def _make(self, namespace: str, month: str) -> str:
        current, key_id = self._sealing(), f"{month}-{secrets.token_hex(4)}"
        wrapped = current.wrap(secrets.token_bytes(KEY_BYTES), context_of(namespace, key_id))
        self.table.add(
            KeyEntry(
                v=VERSION,
                namespace=namespace,
                id=key_id,
                made=instant(self._clock()),
                provider=current.name,
                kek=wrapped.kek,
                wrapped=base64.b64encode(wrapped.body).decode(),
            )
        )
        return key_id

    def _sealing(self) -> KeyProvider:
        if self.current is None:
            raise ConfigError(
                "wrapping a data key: archive.encryption.provider is none",
                mend="set it to one of the others (docs/settings.md)",
            )
        return self.current

    def _provider(self, name: str) -> KeyProvider:
        return self.current if self.current is not None and self.current.name == name else self._provider_of(name)
