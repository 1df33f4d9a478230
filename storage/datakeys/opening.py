"""Opens the data keys that the settings name, and refuses places that would make them worthless."""

from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path

from ingest.schema.errors import ConfigError
from storage.archive.stores.filesystem import FilesystemStore
from storage.datakeys.keys import DataKeys
from storage.datakeys.provider import open_provider
from storage.datakeys.subjects import SubjectKeys
from storage.datakeys.table import KeyTable
from storage.settings import ArchiveSettings


def open_data_keys(settings: ArchiveSettings, archive_dir: Path, state_dir: Path) -> DataKeys | None:
    """The data keys of an archive; None where nothing is encrypted and nothing ever was.

    Args:
        settings: Of the archive.
        archive_dir: Its directory, where it is one.
        state_dir: Where keys lie by default.

    Raises:
        ConfigError: Keys and archive lie in each other, or the provider's settings are incomplete.
    """
    own = settings.encryption
    table = own.table or state_dir / "datakeys" / "table"
    if own.provider == "none" and not table.is_dir():
        return None
    if settings.cloud is None:
        keks = own.kek_directory or state_dir / "datakeys" / "keks"
        people_table = subject_table(settings, state_dir)
        for name, place in (("table", table), ("kek_directory", keks), ("subject_table", people_table)):
            _refuse_within(f"archive.encryption.{name}", place, archive_dir)
    provider_of = functools.cache(lambda name: open_provider(name, own, state_dir))
    current = None if own.provider == "none" else provider_of(own.provider)
    keys = KeyTable(FilesystemStore(table, allow_delete=True))
    people = SubjectKeys(FilesystemStore(subject_table(settings, state_dir), allow_delete=True))
    return DataKeys(keys, current, provider_of, lambda: dt.datetime.now(dt.UTC), people, by_subject=own.subjects)


def subject_table(settings: ArchiveSettings, state_dir: Path) -> Path:
    """Where the keys of single people lie."""
    return settings.encryption.subject_table or state_dir / "datakeys" / "subjects"


def _refuse_within(setting: str, place: Path, archive: Path) -> None:
    """Keys that lie in the archive are copied, kept and locked with it: then nothing can be erased any more."""
    here, there = place.resolve(), archive.resolve()
    if here == there or here.is_relative_to(there) or there.is_relative_to(here):
        raise ConfigError(
            f"opening the data keys: {setting} and archive.directory lie in each other",
            where=str(place),
            mend=f"set {setting} to another directory, with a backup of its own that can be erased",
        )
