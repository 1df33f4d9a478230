"""Until when the last of a source is kept, by the policies in force when it was closed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from ingest.formats.registry import all_formats
from skytrail.offboarding.statement import Kept
from skytrail.settings import Settings
from storage.archive.opening import open_archive
from storage.ledger.keyring import KeyRing
from storage.ledger.notary import Notary, told_settings
from storage.retention.record import Record, State
from storage.retention.verdict import Subject, Tier, judge

_TIERS: tuple[Tier, ...] = ("hot", "cold")


def state_of(settings: Settings, namespace: str, clock: Callable[[], dt.datetime]) -> State:
    """What the ledger of a namespace says about retention.

    Raises:
        ConfigError: This machine has no keys of it.
        StoreUnavailable: The archive can't be read now.
        IntegrityError: The ledger is damaged.
    """
    store = open_archive(settings.archive, settings.archive_dir)
    told = told_settings(settings.ledger, settings.archive)
    notary = Notary(store, KeyRing(settings.keys_file), settings.ledger, told, clock)
    return Record(store, notary.log(namespace)).now()


def kept(
    state: State, namespace: str, formats: Sequence[str], last_event: dt.datetime | None, closed: dt.datetime
) -> Iterator[Kept]:
    """What becomes of the last event of each format, and when. Pure.

    Args:
        state: What the ledger says.
        namespace: Of the source.
        formats: Those that came.
        last_event: When the last event happened; None: it is not known, and taken as the moment of closing.
        closed: From when on nothing was collected.
    """
    holds = [hold.id for hold in state.open_holds()]
    for dataset in sorted({all_formats()[name].dataset for name in formats}):
        subject = Subject(namespace=namespace, dataset=dataset, event=last_event or closed, received=closed)
        for tier in _TIERS:
            found = judge(tier, subject, state.policies, holds, closed)
            until = found.until.isoformat() if found.until else None
            yield Kept(dataset=dataset, tier=tier, decision=str(found.decision), until=until, because=found.because)
