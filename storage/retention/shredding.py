"""The entry that makes the destruction of data keys lawful: before any key goes, never under a minimum or a hold."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ingest.schema.errors import Refused
from storage.archive.store import ArchiveStore
from storage.ledger.entries import shred
from storage.ledger.key_history import shredded_keys
from storage.retention.plan import ChainFacts
from storage.retention.record import Record, State
from storage.retention.verdict import InForce, Subject, bounds_of


@dataclass(frozen=True, slots=True)
class Opens:
    """What data keys open: the segments that are there, by chain."""

    chains: Sequence[ChainFacts]

    def required(self, namespace: str, keys: Collection[str], policies: Sequence[InForce], now: dt.datetime) -> str:
        """The legal minimum that keeps one of their segments longest, in words; empty where none does."""
        found: list[tuple[dt.datetime, str]] = []
        for chain in self.chains if policies else ():
            for segment in chain.segments:
                if segment.key not in keys:
                    continue
                at = segment.received
                subject = Subject(namespace=namespace, dataset=chain.dataset, event=at, received=at)
                place = f"segment {segment.seq} of {chain.topic}/{chain.partition}"
                found += [
                    (limit.at, f"{limit.because} of {place} until {limit.at:%Y-%m-%d}")
                    for kind, limit in bounds_of("cold", subject, policies, now)
                    if kind == "floor" and limit.at > now
                ]
        return max(found)[1] if found else ""


def enter_shred(
    store: ArchiveStore,
    record: Record,
    keys: Collection[str],
    now: dt.datetime,
    *,
    opens: Opens,
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
        opens: The segments of the namespace.
        request: What asked for it: a reference, no personal data.
        basis: The rule by which it is done.
        approvers: Who approved it, two at least.

    Returns:
        False when an entry says so of all of them already: an earlier call was stopped after it.

    Raises:
        Refused: Something in the namespace is on legal hold: a key opens all of its month, so it is held too; or a
            regime asks to keep what it opens. What the organisation promised itself gives way to a right to erasure.
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
        if kept := opens.required(record.namespace, keys, state.policies, now):
            raise Refused(
                f"destroying data keys: {kept}",
                mend="do it then: a legal minimum comes before erasure (GDPR art. 17(3)(b)); docs/retention.md",
            )
        left = set(keys) - shredded_keys(store, record.log.identity.prefix)
        entered = entered or bool(left)
        told = shred(record.namespace, now, keys=sorted(left), request=request, basis=basis, approvers=approvers)
        return [told] if left else []

    record.enter(lacking)
    return entered
