"""Checks of ledger and archive: can it be signed, does anybody else vouch for it, can it be read and erased?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from ingest.schema.errors import ConfigError, IntegrityError, StoreUnavailable
from skytrail.data_keys import data_keys
from skytrail.diagnosis.check import Check, failed
from skytrail.settings import Settings
from storage.archive.opening import open_archive
from storage.ledger.anchor_settings import open_anchors
from storage.ledger.keyring import KeyRing
from storage.ledger.log import LogIdentity
from storage.ledger.posting import HttpPost

KEYS, ANCHORS, DATA_KEYS = "keys of the ledger", "witnesses of the ledger", "data keys of the archive"
WARN_DAYS = 30


def ledger_checks(settings: Settings, now: dt.datetime) -> Iterable[Check]:
    """The keys, and whoever is asked to cosign and stamp. Nobody but the provider of data keys is asked now."""
    yield _keys(settings, now)
    yield _data_keys(settings)
    yield _anchors(settings)


def _keys(settings: Settings, now: dt.datetime) -> Check:
    store, keys = open_archive(settings.archive, settings.archive_dir), KeyRing(settings.keys_file)
    epoch = str(settings.ledger.epoch)
    logs = [name for name in store.folders("") if epoch in store.folders(f"{name}/log/")]
    if not keys.path.exists() and not logs:
        return Check(KEYS, "skipped", "there are none yet: the first seal worker makes them")
    try:
        pair = keys.newest(now)
        pair.signers(LogIdentity(settings.ledger.organisation, settings.ledger.epoch, "any").origin)
    except ConfigError as exc:
        return failed(KEYS, exc)
    days = (dt.datetime.fromisoformat(pair.not_after) - now).days
    told = f"{pair.id} signs until {pair.not_after}, {len(logs)} ledgers"
    if days < WARN_DAYS:
        return Check(KEYS, "warn", told, "`skytrail keys rotate`: after that day nothing is sealed any more")
    return Check(KEYS, "ok", told)


def _data_keys(settings: Settings) -> Check:
    try:
        keys = data_keys(settings)
        if keys is not None:
            keys.check()
    except (ConfigError, IntegrityError, StoreUnavailable) as exc:
        return failed(DATA_KEYS, exc)
    if keys is None or keys.current is None:
        mend = "set archive.encryption.provider: docs/integrity.md#encrypted-segments"
        return Check(DATA_KEYS, "warn", "the archive is in the clear: nothing in it can be erased", mend)
    count = sum(1 for _ in keys.entries())
    return Check(DATA_KEYS, "ok", f"{count} data keys, the newest of each namespace opens; {keys.current.name} wraps")


def _anchors(settings: Settings) -> Check:
    ledger = settings.ledger
    try:
        open_anchors(ledger, HttpPost(ledger.request_timeout_s))
    except ConfigError as exc:
        return failed(ANCHORS, exc)
    told = f"{len(ledger.witnesses)} witnesses, quorum {ledger.quorum}; {len(ledger.authorities)} authorities"
    if not ledger.quorum or not ledger.authorities:
        mend = (
            "set ledger.witnesses, ledger.quorum and ledger.authorities: docs/integrity.md says against whom they help"
        )
        return Check(ANCHORS, "warn", told, mend)
    return Check(ANCHORS, "ok", told)
