"""Brings the holds that a store itself keeps (S3: legal hold) in step with those of the ledger.

The ledger decides: what it holds is destroyed by none of our programs. A hold of the store keeps others from it too, by
whatever means they may delete. It is set on every object of every segment that a hold can be about, whoever its events
are of, and lifted where no hold is about it any more.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from storage.archive.store import ArchiveStore, HoldingStore
from storage.retention.entries import Hold
from storage.retention.plan import ChainFacts, SegmentFacts
from storage.retention.record import State


@dataclass(frozen=True, slots=True)
class Step:
    """What was done to bring them in step.

    Attributes:
        able: Whether the store can hold objects itself.
        held: Objects that were not held, and are now.
        freed: Objects that were held, and are not any more.
    """

    able: bool
    held: int = 0
    freed: int = 0

    def __add__(self, other: Step) -> Step:
        return Step(self.able and other.able, self.held + other.held, self.freed + other.freed)


_Told = tuple[frozenset[str], frozenset[str]]


@dataclass(slots=True)
class StoreHolds:
    """What is known of the holds of one store: a later call looks only at segments that are new since.

    A process that starts anew looks at all of them, so what somebody lifted behind our back is held again.
    """

    store: ArchiveStore
    _known: dict[tuple[str, str, int], tuple[_Told, int]] = field(default_factory=dict)

    def keep_in_step(self, namespace: str, chains: Iterable[ChainFacts], state: State) -> Step:
        """Set and lift what the entries of a namespace ask for.

        Args:
            namespace: Whose.
            chains: All of its chains.
            state: What its ledger says.

        Raises:
            StoreUnavailable: Call it again.
        """
        store = self.store
        if not isinstance(store, HoldingStore) or not store.holds_objects:
            return Step(able=False)
        released = [hold for hold in state.holds.values() if hold.id in state.releases]
        told = frozenset(state.holds), frozenset(state.releases)
        done = Step(able=True)
        for chain in chains if state.holds else ():
            place = (namespace, chain.topic, chain.partition)
            before, through = self._known.get(place, (None, -1))
            after = through if before == told else -1
            held_from = _first(chain, state.open_holds(), after)
            freed_from = min(_first(chain, released, after), held_from)
            for at in range(freed_from, len(chain.segments)):
                on = at >= held_from
                changed = sum(store.hold(key, on=on) for key in chain.segments[at].objects)
                done += Step(able=True, held=changed * on, freed=changed * (not on))
            self._known[place] = told, chain.last
        return done


def _first(chain: ChainFacts, holds: Sequence[Hold], after: int) -> int:
    """Place of the first segment beyond `after` that one of these holds can be about; all that follow it are, too."""
    about = [hold for hold in holds if any(fnmatch.fnmatchcase(chain.dataset, each) for each in hold.selector.datasets)]
    if not about:
        return len(chain.segments)
    new = bisect_left(chain.segments, after + 1, key=lambda segment: segment.seq) if after >= 0 else 0
    starts = [hold.selector.since for hold in about]
    if any(start is None for start in starts):
        return new
    earliest = min(dt.datetime.fromisoformat(start) for start in starts if start is not None)
    return bisect_left(chain.segments, earliest, lo=new, key=_received)


def _received(segment: SegmentFacts) -> dt.datetime:
    return segment.received
