"""Records that come after the erasure of the month that they are of: sealed late, under a key that was made anew."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence

from storage.archive.chain import Chain
from storage.archive.store import ArchiveStore
from storage.datakeys.subjects import person_of
from storage.ledger.entries import Tips


def made_after(present: Sequence[str], destroyed: Collection[str]) -> list[str]:
    """The keys of people that were made after others of the same person and month had been destroyed.

    Args:
        present: Ids of the keys that are there.
        destroyed: Ids of those that the ledger says to be destroyed.
    """
    erased = {person_of(each) for each in destroyed}
    return [each for each in present if each not in destroyed and person_of(each) in erased]


def end_of_month(key_id: str) -> dt.datetime:
    """When the month of a key is over."""
    year, month = int(key_id[:4]), int(key_id[5:7])
    return dt.datetime(year + month // 12, month % 12 + 1, 1, tzinfo=dt.UTC)


def behind(store: ArchiveStore, namespace: str, tips: Tips, until: dt.datetime) -> Iterator[tuple[str, int, str]]:
    """The chains that are not known to be sealed up to a time, each with how far it is.

    A chain is as far as what its newest segment received last; or, if the ledger named it later without a new segment,
    as that: then there was nothing to seal.

    Args:
        store: The archive.
        namespace: Whose chains.
        tips: The newest segments that the ledger has.
        until: The time.

    Raises:
        StoreUnavailable: Call it again.
        IntegrityError: The archive is damaged.
    """
    for (topic, partition), tip in sorted(tips.items()):
        manifest = Chain(store, namespace, topic, partition).manifest(tip.seq)
        received = manifest.received.max if manifest.received is not None else manifest.sealed_at
        reached = tip.at if tip.at > manifest.sealed_at else received
        if dt.datetime.fromisoformat(reached) < until:
            yield topic, partition, reached
