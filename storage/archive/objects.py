"""Whole bodies kept as objects: records above the limit of an envelope and bodies refused for their size.

``<namespace>/obj/<hex SHA-256 of what is stored>``: the body; with ``.enc`` behind it: one line of canonical JSON that
names the data key, a line feed, and the body encrypted as a part of a segment is (`storage.archive.encryption`).
"""

from __future__ import annotations

import datetime as dt
import hashlib

import msgspec

from ingest.schema.errors import IntegrityError, Refused
from storage.archive.encryption import Cipher
from storage.archive.manifest import SCHEME, Encryption, canonical
from storage.archive.store import ArchiveStore, check_key
from storage.datakeys.keys import DataKeys

ENCRYPTED = ".enc"


def put_object(
    store: ArchiveStore, namespace: str, body: bytes, keys: DataKeys | None = None, now: dt.datetime | None = None
) -> str:
    """Keep a body under the hash of what is stored; durable on return.

    Args:
        store: Where.
        namespace: Whose it is.
        body: The exact bytes.
        keys: Data keys; None, or such as seal nothing: in the clear.
        now: Its month is that of the key.

    Returns:
        Its key; the same for the same bytes, within a month where they are encrypted.
    """
    ending = ""
    if keys is not None and keys.seals:
        cipher = Cipher(keys.for_sealing(namespace, f"{now or dt.datetime.now(dt.UTC):%Y-%m}"))
        head = canonical(Encryption(v=SCHEME, key=cipher.key_id)) + b"\n"
        body, ending = head + cipher.seal(body, _bound(namespace)), ENCRYPTED
    key = check_key(f"{namespace}/obj/{hashlib.sha256(body).hexdigest()}{ending}")
    store.put(key, body)
    return key


def get_object(store: ArchiveStore, key: str, keys: DataKeys | None = None) -> bytes | None:
    """The body that lies under a key; None where there is none.

    Raises:
        Refused: It is encrypted, and its data key is gone, or there are no keys.
        IntegrityError: It was changed.
    """
    stored = store.get(key)
    if stored is None or not key.endswith(ENCRYPTED):
        return stored
    namespace = key.partition("/")[0]
    head, _, sealed = stored.partition(b"\n")
    try:
        encryption = msgspec.json.decode(head, type=Encryption)
    except msgspec.MsgspecError as exc:
        raise IntegrityError(f"reading archive object: {exc}", where=key) from exc
    found = keys.opened(namespace, encryption.key) if keys is not None else None
    if found is None:
        raise Refused(
            f"reading archive object: its data key {encryption.key} is not in the key table",
            where=key,
            mend="set archive.encryption as it is for the collector; if the key was destroyed nobody can read it again",
        )
    return Cipher(found).open(sealed, _bound(namespace), key)


def _bound(namespace: str) -> bytes:
    return canonical({"v": SCHEME, "namespace": namespace, "part": "object"})
