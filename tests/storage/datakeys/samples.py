"""Data keys in a directory, with a wrapping key in a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from ingest.schema.errors import SkytrailError
from storage.datakeys.keys import DataKeys
from storage.datakeys.provider import KeyProvider
from storage.datakeys.providers.file import FileProvider
from storage.datakeys.subjects import SubjectKeys
from storage.datakeys.table import KeyTable
from tests.storage.archive.samples import START, open_store


def made_keys(
    root: Path,
    *,
    now: Callable[[], dt.datetime] = lambda: START,
    provider: KeyProvider | None = None,
    by_subject: bool = False,
) -> DataKeys:
    """Keys below a directory."""
    own = provider or FileProvider(root / "keks", clock=now)
    table = KeyTable(open_store(root / "table", allow_delete=True))
    people = SubjectKeys(open_store(root / "subjects", allow_delete=True))
    return DataKeys(table, own, lambda name: {own.name: own}[name], now, people, by_subject=by_subject)


class Opener:
    """A `KeySource` of the verifier; may refuse."""

    def __init__(self, keys: DataKeys, refuses: str = "", subjects: Path | None = None) -> None:
        self._keys = keys
        self.subjects = subjects
        self._refuses = refuses

    def key(self, namespace: str, key_id: str) -> bytes | None:
        if self._refuses:
            raise OSError(None, self._refuses)
        try:
            found = self._keys.opened(namespace, key_id)
        except SkytrailError as exc:
            raise OSError(None, exc.what, exc.where) from exc
        return found.body if found else None
