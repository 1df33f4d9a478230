"""What is to become of an object, and why: pure, without a clock and without a store.

Precedence: a hold beats everything; a minimum and a maximum that contradict each other are told and nothing happens;
then the maximum, then the periods. What nobody said anything about is kept.

A period is longest over every policy and every row of a regime that was in force since the event: so a change of
either lengthens what is stored and never shortens it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Literal

import msgspec

from storage.retention.policy import FALLBACK, ClassRule, Policy

Tier = Literal["hot", "cold"]
"""Elasticsearch or the archive."""


class Decision(StrEnum):
    """What is to become of an object."""

    KEEP = "KEEP"
    HOT_EXPIRE = "HOT_EXPIRE"
    """Drop it from Elasticsearch; the archive keeps it."""
    EXPIRE = "EXPIRE"
    """It may be destroyed."""
    MUST_ERASE = "MUST_ERASE"
    """Its maximum is reached: it must be destroyed."""
    HELD = "HELD"
    CONFLICT = "CONFLICT"
    """A minimum and a maximum contradict each other: a person must decide."""
    UNKNOWN = "UNKNOWN"
    """No policy speaks of it: it is kept, and somebody is told."""


DESTROYS = frozenset({Decision.HOT_EXPIRE, Decision.EXPIRE, Decision.MUST_ERASE})


class InForce(msgspec.Struct, frozen=True):
    """A policy and when it came into force; it ends when the next one does."""

    since: dt.datetime
    policy: Policy


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is judged: an index, a segment, or one event.

    Attributes:
        event: When its newest event happened.
        received: When its newest event was received.
        promised: Up to when its own stamp says that it is kept.
    """

    namespace: str
    dataset: str
    event: dt.datetime
    received: dt.datetime
    promised: dt.datetime | None = None


class Limit(msgspec.Struct, frozen=True):
    """A moment and what sets it, in words."""

    at: dt.datetime
    because: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The decision.

    Attributes:
        until: Up to when it is kept; None where no time decides.
        because: In words, naming class, row and clause.
        class_name: Of the policy in force; empty where there is none.
    """

    decision: Decision
    until: dt.datetime | None
    because: str
    class_name: str = ""


class Limits(msgspec.Struct, frozen=True):
    """Everything that bounds how long a subject is kept in one tier.

    Attributes:
        floor: The latest minimum of a regime; None where no regime has one.
        keep: Up to when it is kept: the floor, or the organisation's own period where that is longer.
        ceiling: The earliest maximum.
    """

    floor: Limit | None
    keep: Limit
    ceiling: Limit | None


def judge(tier: Tier, subject: Subject, policies: Sequence[InForce], holds: Sequence[str], now: dt.datetime) -> Verdict:
    """What is to become of a subject in a tier.

    Args:
        tier: Where it lies.
        subject: What it is.
        policies: All that ever were in force, oldest first.
        holds: Names of the holds that cover it.
        now: The present; believed, so whoever acts on a verdict must ask a second clock.
    """
    rule = policies[-1].policy.class_of(subject.namespace, subject.dataset) if policies else None
    name = rule.name if rule else ""
    if holds:
        listed = ", ".join(sorted(holds))
        return Verdict(decision=Decision.HELD, until=None, because=f"legal hold {listed}", class_name=name)
    if rule is None:
        because = f"no class of the policy speaks of {subject.dataset} in {subject.namespace}"
        return Verdict(decision=Decision.UNKNOWN, until=None, because=because)
    limits = limits_of(tier, subject, policies, now)
    keep, ceiling = limits.keep, limits.ceiling
    if ceiling is not None and ceiling.at < keep.at:
        because = f"{keep.because} until {keep.at:%Y-%m-%d}, but {ceiling.because} ends {ceiling.at:%Y-%m-%d}"
        return Verdict(decision=Decision.CONFLICT, until=keep.at, because=because, class_name=name)
    if now < keep.at:
        return Verdict(decision=Decision.KEEP, until=keep.at, because=keep.because, class_name=name)
    if ceiling is not None and now >= ceiling.at:
        because = f"{ceiling.because} ended {ceiling.at:%Y-%m-%d}"
        return Verdict(decision=Decision.MUST_ERASE, until=ceiling.at, because=because, class_name=name)
    decision = Decision.HOT_EXPIRE if tier == "hot" else Decision.EXPIRE
    because = f"{keep.because} ended {keep.at:%Y-%m-%d}"
    return Verdict(decision=decision, until=keep.at, because=because, class_name=name)


def limits_of(tier: Tier, subject: Subject, policies: Sequence[InForce], now: dt.datetime) -> Limits:
    """The bounds of a subject that the policy in force has a class for."""
    spans = list(_spans(subject, policies))
    floors = [limit for policy, rule in spans for limit in _floors(tier, subject, policy, rule, now)]
    floor = max(floors, key=lambda each: each.at, default=None)
    own = [limit for policy, rule in spans for limit in _own(tier, subject, policy, rule, now)]
    own += _promised(subject)
    keep = max([*floors, *own], key=lambda each: each.at)
    current = policies[-1].policy
    rule = current.class_of(subject.namespace, subject.dataset)
    ceilings = list(_ceilings(subject, current, rule, now)) if rule else []
    return Limits(floor, keep, min(ceilings, key=lambda each: each.at, default=None))


def bounds_of(tier: Tier, subject: Subject, policies: Sequence[InForce], now: dt.datetime) -> list[tuple[str, Limit]]:
    """Everything that bounds a subject in a tier, for people: `floor`, `own` or `ceiling` and the limit."""
    found: list[tuple[str, Limit]] = []
    for policy, rule in _spans(subject, policies):
        found += [("floor", limit) for limit in _floors(tier, subject, policy, rule, now)]
        found += [("own", limit) for limit in _own(tier, subject, policy, rule, now)]
    found += [("own", limit) for limit in _promised(subject)]
    current = policies[-1].policy.class_of(subject.namespace, subject.dataset) if policies else None
    if current is not None:
        found += [("ceiling", limit) for limit in _ceilings(subject, policies[-1].policy, current, now)]
    return list(dict.fromkeys(found))


def next_turn(subject: Subject, policies: Sequence[InForce], now: dt.datetime) -> dt.datetime | None:
    """The first moment, from the receipt of a subject on, since when such logs may be over by now; None: none are.

    Who goes through logs in the order of their receipt can pass over all that lies before it. Whatever comes later is
    kept until later, but for three things: a shorter policy holds for what comes after it, a row of a regime for what
    was received between its two days, and a stamp for what carries it.
    """
    rows = [row for each in policies for row in each.policy.regime]
    days = {day for row in rows for day in (row.valid_from, row.valid_to) if day is not None}
    starts = {each.since for each in policies} | {dt.datetime.combine(day, dt.time(), dt.UTC) for day in days}
    own = _latest(subject)
    for start in (own, *sorted(each for each in starts if each > own)):
        first = msgspec.structs.replace(subject, event=start, received=start, promised=None)
        if limits_of("cold", first, policies, now).keep.at <= now:
            return start
    return None


def _spans(subject: Subject, policies: Sequence[InForce]) -> Iterator[tuple[Policy, ClassRule]]:
    """The policies that were in force at some time since the event, and what the subject was to them."""
    first = min(subject.event, subject.received)
    for number, each in enumerate(policies):
        ends = policies[number + 1].since if number + 1 < len(policies) else None
        if ends is not None and ends <= first:
            continue
        rule = each.policy.class_of(subject.namespace, subject.dataset)
        if rule is not None:
            yield each.policy, rule


def _latest(subject: Subject) -> dt.datetime:
    return max(subject.event, subject.received)


def _floors(tier: Tier, subject: Subject, policy: Policy, rule: ClassRule, now: dt.datetime) -> Iterator[Limit]:
    first = min(subject.event, subject.received).astimezone(dt.UTC).date()
    for row in policy.rows_of(rule):
        period = row.minimum_hot if tier == "hot" else row.minimum
        if period is not None and row.in_force(first, now.astimezone(dt.UTC).date()):
            because = f"{row.id} ({row.clause}) asks for {period}{' hot' if tier == 'hot' else ''}"
            yield Limit(period.end(_latest(subject)), because)


def _own(tier: Tier, subject: Subject, policy: Policy, rule: ClassRule, now: dt.datetime) -> Iterator[Limit]:
    """What the organisation promised itself, by the rows of when it was received and by those of now.

    A row that comes into force later takes the place of what the class said in its absence; what was stored before
    keeps what it was promised then.
    """
    for at in (subject.received, now):
        limit = _own_at(tier, subject, policy, rule, at)
        if limit is not None:
            yield limit


def _own_at(tier: Tier, subject: Subject, policy: Policy, rule: ClassRule, at: dt.datetime) -> Limit | None:
    """The same at one moment; None where only a regime speaks of the tier, and the fallback where nobody does."""
    start = subject.event if policy.time == "event" else subject.received
    named = f"class {rule.name!r} of policy {policy.name!r} keeps"
    if tier == "hot" and rule.hot is not None:
        return Limit(rule.hot.end(start), f"{named} {rule.hot} hot")
    if tier == "hot" and any(_floors("hot", subject, policy, rule, at)):
        return None
    if rule.cold is not None:
        return Limit(rule.cold.end(start), f"{named} {rule.cold}")
    because = f"{named} {FALLBACK}, since nothing else is said"
    fallback = Limit(FALLBACK.end(_latest(subject)), because)
    return max(_floors("cold", subject, policy, rule, at), key=lambda each: each.at, default=fallback)


def _promised(subject: Subject) -> list[Limit]:
    return [] if subject.promised is None else [Limit(subject.promised, "its own stamp promises to keep it")]


def _ceilings(subject: Subject, policy: Policy, rule: ClassRule, now: dt.datetime) -> Iterator[Limit]:
    if rule.maximum is not None:
        because = f"the maximum of {rule.maximum} of class {rule.name!r} ({rule.purpose or 'no purpose stated'})"
        yield Limit(rule.maximum.end(_latest(subject)), because)
    today = now.astimezone(dt.UTC).date()
    for row in policy.rows_of(rule):
        if row.maximum is not None and row.in_force(today, today):
            yield Limit(row.maximum.end(_latest(subject)), f"the maximum of {row.maximum} of {row.id} ({row.clause})")
