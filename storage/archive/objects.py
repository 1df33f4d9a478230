"""Whole bodies kept as objects: records above the limit of an envelope and bodies refused for their size."""

from __future__ import annotations

import hashlib

from storage.archive.store import ArchiveStore, check_key


def put_object(store: ArchiveStore, namespace: str, body: bytes) -> str:
    """Keep a body under the hash of its bytes; durable on return.

    Args:
        store: Where.
        namespace: Whose it is.
        body: The exact bytes.

    Returns:
        Its key ``<namespace>/obj/<hex SHA-256>``; the same for the same bytes.
    """
    key = check_key(f"{namespace}/obj/{hashlib.sha256(body).hexdigest()}")
    store.put(key, body)
    return key
