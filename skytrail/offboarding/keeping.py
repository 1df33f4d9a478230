"""Keeps the record of a final statement, and reads it back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ingest.durable_files import replace_durably
from ingest.schema.errors import ConfigError, StoreUnavailable
from skytrail.offboarding.closing import folder
from skytrail.offboarding.statement import Record, Statement, recorded
from skytrail.settings import Settings
from storage.ledger.keyring import KeyRing
from storage.ledger.log import LogIdentity
from storage.ledger.signing import VerifierKey


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


def keep(settings: Settings, statement: Statement, now: dt.datetime) -> Record:
    """Sign a statement where this machine has the keys of the ledger, and keep it.

    Raises:
        StoreUnavailable: It can't be written.
        ConfigError: The keys of the ledger are damaged or have ended.
    """
    signer = None
    if settings.keys_file.exists():
        signer, *_ = KeyRing(settings.keys_file).newest(now).signers(_origin(settings, statement.namespace))
    record = recorded(statement, signer)
    file = record_file(settings.state_dir, statement.collector)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(file, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    except OSError as exc:
        raise StoreUnavailable(f"keeping the record of an offboarding: {exc.strerror}", where=str(file)) from exc
    return record


def ledger_keys(settings: Settings, namespace: str) -> Sequence[VerifierKey]:
    """The public keys of the ledger of a namespace that this machine has."""
    if not settings.keys_file.exists():
        return ()
    origin = _origin(settings, namespace)
    return [key for pair in KeyRing(settings.keys_file).pairs() for key in pair.verifier_keys(origin)]


def _origin(settings: Settings, namespace: str) -> str:
    return LogIdentity(settings.ledger.organisation, settings.ledger.epoch, namespace).origin
