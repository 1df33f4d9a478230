"""Keeps the record of a final statement, and reads it back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ingest.durable_files import replace_durably
from ingest.schema.errors import ConfigError, StoreUnavailable
from skytrail.offboarding.closing import folder
from skytrail.offboarding.statement import Entered, Record, Statement, digest_of, faults
from skytrail.settings import Settings
from storage.archive.opening import open_archive
from storage.ledger.entering import enter, entry_at
from storage.ledger.entries import offboarding
from storage.ledger.keyring import KeyRing
from storage.ledger.notary import Notary, told_settings


def record_file(state_dir: Path, name: str) -> Path:
    """Where the record of a collector is kept."""
    return folder(state_dir) / f"{name}.json"


def kept(state_dir: Path, name: str) -> Record | None:
    """The record of a collector; None while there is none.

    Raises:
        ConfigError: There is one, and it can't be read.
    """
    file = record_file(state_dir, name)
    try:
        return msgspec.json.decode(file.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as exc:
        mend = "restore it from a copy; it is never made anew"
        raise ConfigError(f"reading the record of an offboarding: {exc}", where=str(file), mend=mend) from exc


def keep(settings: Settings, statement: Statement, clock: Callable[[], dt.datetime]) -> Record:
    """Cite a statement in the ledger where this machine has its keys, and keep it.

    Raises:
        StoreUnavailable: It can't be written; run it again.
        ConfigError: The keys of the ledger are damaged or have ended.
        IntegrityError: The ledger contradicts itself.
    """
    sha256 = digest_of(statement)
    entry = None
    if statement.ledger is not None and settings.keys_file.exists():
        entry = _enter(settings, statement, sha256, clock)
    record = Record(statement=statement, sha256=sha256, entry=entry)
    file = record_file(settings.state_dir, statement.collector)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(file, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    except OSError as exc:
        raise StoreUnavailable(f"keeping the record of an offboarding: {exc.strerror}", where=str(file)) from exc
    return record


def wrong_of(settings: Settings, record: Record) -> Sequence[str]:
    """What is wrong with a record that was kept, in words.

    Raises:
        StoreUnavailable: The ledger can't be read now.
        IntegrityError: The ledger is damaged.
    """
    found = None
    if record.entry is not None:
        store = open_archive(settings.archive, settings.archive_dir)
        found = entry_at(store, record.entry.prefix, record.entry.index)
    return list(faults(record, found))


def _enter(settings: Settings, statement: Statement, sha256: str, clock: Callable[[], dt.datetime]) -> Entered:
    # Appending lets go of superseded tiles, so it needs the right to delete.
    store = open_archive(settings.archive, settings.archive_dir, allow_delete=True)
    told = told_settings(settings.ledger, settings.archive)
    log = Notary(store, KeyRing(settings.keys_file), settings.ledger, told, clock).log(statement.namespace)
    entry = offboarding(
        statement.namespace,
        clock(),
        collector=statement.collector,
        closed_at=statement.closed_at,
        statement=sha256,
    )
    return Entered(prefix=log.identity.prefix, index=enter(store, log, entry))
