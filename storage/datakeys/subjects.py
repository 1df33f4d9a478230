"""The keys of single people: one per namespace, month and subject, so that one person can be erased alone.

A subject is the key of who acted (`skytrail.principal.key`). Its data key is random, and wrapped under the data key of
its month, so it goes with that at the latest. ``<namespace>/<month key>/<3 digits of the tag>/<id>``, canonical JSON,
in a table of its own outside of the archive; deleting the object (and its backups) destroys the key.

* id = month key's id ‖ ``-`` ‖ tag ‖ ``-`` ‖ 8 random hex digits
* tag = HMAC-SHA256(K_tags, subject), 24 hex digits: neither ids nor the table tell who somebody is
* wrapped = nonce (12, random) ‖ AES-256-GCM(K_wrapping, nonce, key, associated data)
* associated data = canonical JSON of purpose, namespace and id

K_tags and K_wrapping are HKDF-SHA256 (no salt) of the month's data key with ``skytrail archive 1 subject tags`` and
``skytrail archive 1 subject keys``.
"""

from __future__ import annotations

import base64
import functools
import hmac
import re
import secrets
from collections import OrderedDict

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ingest.schema.errors import IntegrityError
from storage.archive.manifest import canonical
from storage.archive.store import ArchiveStore, StagingStore
from storage.datakeys.closing import Closing
from storage.datakeys.key import KEY_BYTES, DataKey

_ID = re.compile(r"(.+)-([0-9a-f]{24})-[0-9a-f]{8}")
_TAG_DIGITS = 24
_SHARD_DIGITS = 3  # 4,096 folders: with a million people a month a look reads a few hundred names
_NONCE_BYTES = 12
_REMEMBERED = 50_000  # subjects of which the id is known without a look into their folder


class SubjectEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A subject's data key in the table; `wrapped` is Base64."""

    v: int
    id: str
    wrapped: str


def month_key_of(key_id: str) -> str | None:
    """The id of the month's data key under which a subject's key is wrapped; None: it is no subject's key."""
    match = _ID.fullmatch(key_id)
    return match[1] if match else None


def person_of(key_id: str) -> str:
    """What the ids of all keys of one person in one month begin with; the id itself where it is no subject's key."""
    return key_id.rpartition("-")[0] if month_key_of(key_id) else key_id


class SubjectKeys:
    """The table of the subjects' keys. Every method raises `StoreUnavailable` when its store does not answer.

    Attributes:
        closing: Which of them are closed, and what is being sealed under them.
    """

    def __init__(self, store: ArchiveStore) -> None:
        self.closing = Closing(store)
        self._store = store
        self._known: OrderedDict[tuple[str, str, str], str] = OrderedDict()

    def for_sealing(self, namespace: str, month: DataKey, subject: str, *, late: bool = False) -> DataKey:
        """The key for what a subject did in the month of a data key; made when it is first seen.

        Two workers that meet somebody together may make one each: both are good, and erasure destroys both.

        Args:
            late: The month is over, so a key of it may be closed; then another is taken.
        """
        who = (namespace, month.id, _tag(month, subject))
        known = self._known.get(who)
        if known is not None and (key := self._usable(namespace, month, known, late=late)) is not None:
            self._known.move_to_end(who)
            return key
        for key_id in self.of(namespace, month, subject):
            if (key := self._usable(namespace, month, key_id, late=late)) is not None:
                return self._remembered(who, key)
        return self._remembered(who, self._made(namespace, month, who[2]))

    def _usable(self, namespace: str, month: DataKey, key_id: str, *, late: bool) -> DataKey | None:
        closed = late and self.closing.is_closed(namespace, key_id)
        return None if closed else self.opened(namespace, month, key_id)

    def of(self, namespace: str, month: DataKey, subject: str) -> list[str]:
        """The ids of a subject's keys under a month's key."""
        stem = _place(namespace, month.id, f"{month.id}-{_tag(month, subject)}-")
        return [key.rpartition("/")[2] for key in self._store.keys(stem)]

    def stem(self, month: DataKey, subject: str) -> str:
        """How the ids of a subject's keys under a month's key begin, whether there are any or not."""
        return f"{month.id}-{_tag(month, subject)}-"

    def count(self, namespace: str, month_key: str) -> int:
        """How many keys there are under a month's key."""
        return sum(1 for _ in self._store.keys(f"{namespace}/{month_key}/"))

    def opened(self, namespace: str, month: DataKey, key_id: str) -> DataKey | None:
        """A key of the table; None where it is not there, or no longer.

        Raises:
            IntegrityError: The table is damaged.
        """
        place = _place(namespace, month.id, key_id)
        raw = self._store.get(place)
        if raw is None:
            return None
        try:
            entry = msgspec.json.decode(raw, type=SubjectEntry)
            wrapped = base64.b64decode(entry.wrapped)
            gcm = AESGCM(_derived(month, "keys"))
            body = gcm.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _bound(namespace, key_id))
        except (msgspec.MsgspecError, ValueError, InvalidTag) as exc:
            raise IntegrityError(
                "reading the table of subjects' keys: damaged, or not wrapped under the key of its month",
                where=place,
                mend="restore it from its newest backup",
            ) from exc
        return DataKey(key_id, body)

    def has(self, namespace: str, key_id: str) -> bool:
        """Whether a key is in the table, or a copy of it that a writer left that died."""
        place = _place(namespace, month_key_of(key_id) or "none", key_id)
        left = isinstance(self._store, StagingStore) and self._store.leftovers(key_id.encode()) > 0
        return left or self._store.get(place) is not None

    def remove(self, namespace: str, key_id: str) -> None:
        """Destroy a key with every copy that a writer left; none is fine."""
        if isinstance(self._store, StagingStore):
            self._store.sweep(key_id.encode())
        self._store.delete(_place(namespace, month_key_of(key_id) or "none", key_id))
        self.closing.forget(namespace, key_id)

    def _made(self, namespace: str, month: DataKey, tag: str) -> DataKey:
        key = DataKey(f"{month.id}-{tag}-{secrets.token_hex(4)}", secrets.token_bytes(KEY_BYTES))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(_derived(month, "keys")).encrypt(nonce, key.body, _bound(namespace, key.id))
        entry = SubjectEntry(v=1, id=key.id, wrapped=base64.b64encode(nonce + sealed).decode())
        self._store.put(_place(namespace, month.id, key.id), canonical(entry))
        return key

    def _remembered(self, who: tuple[str, str, str], key: DataKey) -> DataKey:
        self._known[who] = key.id
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return key


def _tag(month: DataKey, subject: str) -> str:
    return hmac.new(_derived(month, "tags"), subject.encode("utf-8", "surrogatepass"), "sha256").hexdigest()[
        :_TAG_DIGITS
    ]


def _place(namespace: str, month_key: str, key_id: str) -> str:
    tag = key_id.removeprefix(f"{month_key}-")
    return f"{namespace}/{month_key}/{tag[:_SHARD_DIGITS]}/{key_id}"


def _bound(namespace: str, key_id: str) -> bytes:
    return canonical({"purpose": "skytrail archive subject", "namespace": namespace, "id": key_id})


@functools.lru_cache(maxsize=64)
def _derived(month: DataKey, use: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, None, f"skytrail archive 1 subject {use}".encode()).derive(month.body)
