"""Checks of the ledger: can it be signed, and does anybody else vouch for it?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from ingest.schema.errors import ConfigError
from skytrail.diagnosis.check import Check, failed
from skytrail.settings import Settings
from storage.archive.stores.filesystem import FilesystemStore
from storage.ledger.anchor_settings import open_anchors
from storage.ledger.keyring import KeyRing
from storage.ledger.log import LogIdentity
from storage.ledger.posting import HttpPost

KEYS, ANCHORS = "keys of the ledger", "witnesses of the ledger"
WARN_DAYS = 30


def ledger_checks(settings: Settings, now: dt.datetime) -> Iterable[Check]:
    """The keys, and whoever is asked to cosign and stamp. Nobody is asked now."""
    yield _keys(settings, now)
    yield _anchors(settings)


def _keys(settings: Settings, now: dt.datetime) -> Check:
    store, keys = FilesystemStore(settings.archive_dir), KeyRing(settings.keys_file)
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
