"""The ledger of the seal role: opens it, with its keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from storage.archive.opening import open_archive
from storage.ledger.keyring import KeyRing
from storage.ledger.notary import Notary, ready_keys, told_settings
from storage.settings import ArchiveSettings, LedgerSettings
from streams.runtime import utc_now

WARN_DAYS = 30
log = structlog.get_logger("skytrail.worker")


def open_notary(
    ledger: LedgerSettings,
    archive: ArchiveSettings,
    archive_dir: Path,
    keys_file: Path,
    waiting: Callable[[str], None],
) -> Notary:
    """The ledger of an archive; its first keys are made if it has none yet.

    Args:
        waiting: Told why work does not go on while an older archive is entered.

    Raises:
        ConfigError: There is a ledger and no keys for it, or no key is valid now.
    """
    keys = KeyRing(keys_file)
    # The only writer that may delete: partial tiles that wider ones have replaced, and staged bundles.
    store = open_archive(archive, archive_dir, allow_delete=True)
    if ready_keys(store, keys, utc_now(), ledger.key_days):
        log.warning("first keys of the ledger made", keys_file=str(keys_file), mend="back them up: docs/runbook.md")
    notary = Notary(store, keys, ledger, told_settings(ledger, archive), utc_now, waiting)
    end = notary.keys_end()
    if (end - utc_now()).days < WARN_DAYS:
        log.warning("the keys of the ledger end soon", end=end.isoformat(), mend="skytrail keys rotate")
    return notary
