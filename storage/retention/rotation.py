"""A round of rotation: finish what was begun, do what needs nobody's agreement, lay out the rest for people.

It does what `retention apply` does, with the same code: every item is judged again before it is announced and before it
is deleted. A round can be stopped, killed or run twice at once; the ledger says what was done (see `applying`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from storage.retention.applying import Applier, Approved, Means, Outcome, Result, disapproved
from storage.retention.offers import Offer, Offers
from storage.retention.plan import NEWEST, Action, Item, Plan, last_copy
from storage.retention.record import Record
from storage.retention.verdict import DESTROYS

GoOn = Callable[[], bool]
"""False as soon as no further item is to be begun."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A plan that waits for people, and what it lacks, in words."""

    offer: Offer
    why: str


@dataclass(slots=True)
class Round:
    """What came of a round.

    Attributes:
        at: The time it went by.
        policies: Namespaces that have a policy; the others are left alone.
        results: What was tried, in order.
        waiting: Plans that people must agree to.
        blocked: What is over and stays, with the reason.
        undecided: What is in conflict, or no class speaks of.
        overdue: For how long what is left has been over, the longest.
        whole: Whether it came to its end.
        store_held: Objects that the store was told to hold: new ones under a hold, or ones that somebody let go of.
        store_freed: Objects that it was told to let go of.
    """

    at: dt.datetime
    policies: tuple[str, ...] = ()
    results: list[Result] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    blocked: list[Item] = field(default_factory=list)
    undecided: int = 0
    overdue: dt.timedelta = dt.timedelta()
    whole: bool = True
    store_held: int = 0
    store_freed: int = 0

    def count(self, outcome: Outcome) -> int:
        """Results of a kind."""
        return sum(result.outcome is outcome for result in self.results)


def always() -> bool:
    """Nobody stops it."""
    return True


def carry_out(
    records: Mapping[str, Record], means: Means, plan: Plan, approved: Mapping[str, Approved], go_on: GoOn = always
) -> Iterator[Result]:
    """Finish what an earlier run announced, then carry out a plan, namespace by namespace.

    Args:
        records: The ledgers by namespace.
        means: See `Means`.
        plan: What is to be done.
        approved: Who agreed, by namespace.
        go_on: Asked before each item.

    Raises:
        StoreUnavailable: The ledger or the archive is away: run it again.
        IntegrityError: A ledger contradicts itself.
    """
    for namespace, record in records.items():
        applier = Applier(record, means, approved.get(namespace, Approved()))
        yield from applier.finish()
        for item in plan.items:
            if item.namespace == namespace and go_on():
                yield from applier.apply(item)


def rotate(records: Mapping[str, Record], means: Means, plan: Plan, offers: Offers, go_on: GoOn = always) -> Round:
    """One round.

    Args:
        records: The ledgers by namespace. Those without a policy are left alone.
        means: See `Means`.
        plan: What is due now.
        offers: Where plans lie that people must agree to.
        go_on: Asked before each item; what was announced before is finished in any case.

    Raises:
        StoreUnavailable: Run it again.
        IntegrityError: A ledger contradicts itself, or the archive is damaged.
    """
    adopted = {name: record for name, record in records.items() if record.now().policy is not None}
    items = [item for item in plan.items if item.namespace in adopted]
    asked = [item for item in items if _destroys(item) and _needs_people(adopted[item.namespace], item)]
    free = [item for item in items if _destroys(item) and item not in asked]
    found = Round(means.clock(), tuple(adopted))
    found.blocked = [item for item in items if item.blocked and item.blocked != NEWEST]
    found.undecided = sum(item.decision in ("CONFLICT", "UNKNOWN") for item in items)
    found.results += carry_out(adopted, means, _part(plan, free), {}, go_on)
    for name, record in adopted.items():
        own = [item for item in asked if item.namespace == name]
        offer = offers.lay_out(name, own, record.now(), means.clock())
        if offer is None:
            continue
        if why := disapproved(name, offer.approved, record.now()):
            found.waiting.append(Waiting(offer, why))
        elif go_on():
            found.results += carry_out({name: record}, means, offer.plan, {name: offer.approved}, go_on)
    found.whole = go_on()
    found.overdue = _overdue(found, adopted, [*free, *asked])
    return found


def _needs_people(record: Record, item: Item) -> bool:
    policy = record.now().policy
    assert policy is not None
    return bool(policy.approvals.expiry) and last_copy(item.dataset, index=item.action == Action.DROP_INDEX)


def _destroys(item: Item) -> bool:
    return item.action in (Action.DROP_INDEX, Action.DESTROY_SEGMENTS)


def _part(plan: Plan, items: list[Item]) -> Plan:
    return msgspec.structs.replace(plan, items=tuple(items))


def _overdue(found: Round, records: Mapping[str, Record], due: list[Item]) -> dt.timedelta:
    """For how long the oldest of what is left has been over, what was announced and could not be done included."""
    done = {result.place for result in found.results if result.outcome is Outcome.DONE}
    left = [item for item in due if item.place not in done]
    left += [item for item in found.blocked if item.decision in DESTROYS]
    tried = {result.tombstone for result in found.results if result.outcome in (Outcome.WAITS, Outcome.NOT_EXECUTED)}
    announced = [each for record in records.values() for each in record.now().unfinished() if each.id in tried]
    ends = [*(item.until for item in left), *(stone.until for stone in announced)]
    return max((found.at - dt.datetime.fromisoformat(end) for end in ends if end), default=dt.timedelta())
