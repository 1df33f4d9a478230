"""The keys of the seal role: those that sign the ledger, with the ledger, and those that encrypt the archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from storage.archive.opening import open_archive
from storage.datakeys.keys import DataKeys
from storage.datakeys.opening import open_data_keys
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


def ready_data_keys(archive: ArchiveSettings, archive_dir: Path, state_dir: Path) -> DataKeys | None:
    """The data keys of an archive, tried before anything is sealed under them; None where it is in the clear.

    Raises:
        ConfigError: They lie in an unsafe place, a wrapping key is lost, or its provider refuses.
    """
    keys = open_data_keys(archive, archive_dir, state_dir)
    if keys is None:
        return None
    keys.check()
    if keys.current is not None:
        log.info("what is sealed is encrypted", provider=keys.current.name, kek=keys.current.current())
        if not keys.table.namespaces():
            log.warning("no data key yet: the first ones are made", mend="back the keys up: docs/runbook.md")
    return keys
