"""The entry that makes the destruction of data keys lawful: before any key goes, and never under a hold."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from ingest.schema.errors import Refused
from storage.archive.store import ArchiveStore
from storage.ledger.entries import shred
from storage.ledger.key_history import shredded_keys
from storage.retention.record import Record, State


def enter_shred(
    store: ArchiveStore,
    record: Record,
    keys: Collection[str],
    now: dt.datetime,
    *,
    request: str,
    basis: str,
    approvers: Sequence[str],
) -> bool:
    """Enter that data keys of a namespace are to be destroyed; durable, signed and published on return.

    Args:
        store: The archive.
        record: What is in force in the namespace.
        keys: Their ids.
        now: The present.
        request: What asked for it: a reference, no personal data.
        basis: The rule by which it is done.
        approvers: Who approved it, two at least.

    Returns:
        False when an entry says so of all of them already: an earlier call was stopped after it.

    Raises:
        Refused: Something in the namespace is on legal hold: a key opens all of its month, so it is held too.
        StoreUnavailable: It may have been entered or not: call it again.
    """
    entered = False

    def lacking(state: State) -> list[bytes]:
        nonlocal entered
        if held := state.open_holds():
            raise Refused(
                f"destroying data keys: {record.namespace} is on hold ({', '.join(hold.id for hold in held)})",
                mend="release the holds first: docs/retention.md",
            )
        left = set(keys) - shredded_keys(store, record.log.identity.prefix)
        entered = entered or bool(left)
        told = shred(record.namespace, now, keys=sorted(left), request=request, basis=basis, approvers=approvers)
        return [told] if left else []

    record.enter(lacking)
    return entered
