"""Facts about how long logs are kept: what the policies in force give today, against what a regime asks for."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

from skytrail.reports.evidence.archive import retaining, states, unproven, without_ledger
from skytrail.reports.facts import Fact, Ground, Measure
from skytrail.reports.gathering import Asked
from skytrail.reports.kinds.integrity import verified
from skytrail.retaining import planned
from storage.retention.entries import Tombstone
from storage.retention.inventory import closed
from storage.retention.plan import OWN, Plan
from storage.retention.record import State
from storage.retention.regimes import Regime, shipped
from storage.retention.verdict import Decision, Subject, Tier, limits_of
from storage.verify.findings import Kind

_UNDECIDED = (Decision.CONFLICT, Decision.UNKNOWN)


async def _plan(ground: Ground) -> Plan:
    opened = await ground.once("retaining", retaining)

    async def made(asked: Asked) -> Plan:
        return await planned(opened, asked.client, asked.now)

    return await ground.once("plan", made)


async def _kept(ground: Ground) -> list[tuple[str, str]]:
    """Namespaces and data sets of which something is kept."""
    items = (await _plan(ground)).items
    return sorted({(i.namespace, i.dataset) for i in items if ground.asked.namespace in (None, i.namespace)})


async def unplanned(ground: Ground) -> str:
    """What is kept and no plan speaks of: namespaces without a ledger, bodies that are kept whole, closed indices."""
    opened, known = await ground.once("retaining", retaining), await states(ground)
    whole = await asyncio.to_thread(lambda: [name for name in known if "obj" in opened.store.folders(f"{name}/")])
    silent = await without_ledger(ground)
    shut = await closed(ground.asked.client, ground.asked.namespace)
    told = [f"{', '.join(silent)} have no ledger"] if silent else []
    told += [f"{', '.join(whole)} keep whole bodies, which no policy reaches"] if whole else []
    told += [f"{len(shut)} indices are closed, so nobody can look into them: {', '.join(shut[:3])}"] if shut else []
    return "; ".join(told)


async def announced(ground: Ground) -> list[tuple[str, Tombstone]]:
    """By namespace what was announced and has no receipt: it is there, or may be, and no plan names it any more."""
    found = await states(ground)
    return [(name, stone) for name, state in sorted(found.items()) for stone in state.unfinished()]


def shortfalls(
    places: Sequence[tuple[str, str]], found: Mapping[str, State], rows: Sequence[Regime], now: dt.datetime
) -> Iterator[str]:
    """Where an event of now would be kept for less than some rows of a regime ask for, in words.

    Args:
        places: Namespaces and data sets.
        found: What the ledger of a namespace says.
        rows: In force now.
        now: The present.
    """
    for namespace, dataset in places:
        state = found.get(namespace)
        if state is None or state.policy is None or state.policy.class_of(namespace, dataset) is None:
            yield f"{dataset} in {namespace}: no policy speaks of it"
            continue
        subject = Subject(namespace=namespace, dataset=dataset, event=now, received=now)
        tiers: tuple[Tier, ...] = ("cold",) if dataset.startswith(OWN) else ("hot", "cold")
        for tier in tiers:
            until = limits_of(tier, subject, state.policies, now).keep.at
            for row in rows:
                period = row.minimum_hot if tier == "hot" else row.minimum
                if period is not None and until < period.end(now):
                    yield f"{dataset} in {namespace}: {tier} until {until:%Y-%m-%d}, {row.id} asks for {period}"


async def retention_floor(ground: Ground, regime: str) -> Fact:
    """Everything that is kept will be kept for at least as long as a regime asks for, hot and cold."""
    today = ground.asked.now.date()
    rows = [row for row in shipped() if row.regime == regime and row.in_force(today, today)]
    if not rows:
        return Fact(None, f"no row of regime {regime} is in force")
    asked_for = ", ".join(f"{row.minimum or 'no number'} ({row.clause})" for row in rows)
    places = await _kept(ground)
    lacking = list(shortfalls(places, await states(ground), rows, ground.asked.now))
    if not places:
        return Fact(None, f"{asked_for}: nothing is kept yet")
    told = f"{asked_for}: {len(places)} data sets of namespaces looked at, {len(lacking)} too short"
    if not lacking and (silent := await without_ledger(ground)):
        return Fact(None, f"{told}; {', '.join(silent)} have no ledger")
    return Fact(not lacking, f"{told}: {'; '.join(lacking[:3])}" if lacking else told)


async def retention_decided(ground: Ground, _: str) -> Fact:
    """A policy of the signed ledger speaks of everything that is kept, without contradicting itself."""
    plan = await _plan(ground)
    items = [item for item in plan.items if ground.asked.namespace in (None, item.namespace)]
    open_ones = [item for item in items if item.decision in _UNDECIDED]
    if not items:
        return Fact(None, "nothing is kept yet")
    told = f"{len(items)} places, policies in force in {len(plan.policies)} namespaces, {len(open_ones)} undecided"
    if not open_ones and (beside := await unplanned(ground)):
        return Fact(None, f"{told}; {beside}")
    return Fact(not open_ones, told)


async def retention_ceiling(ground: Ground, _: str) -> Fact:
    """Everything that is kept has a stated maximum and purpose, and nothing is kept beyond it."""
    places, found, now = await _kept(ground), await states(ground), ground.asked.now
    if not places:
        return Fact(None, "nothing is kept yet")
    endless = [f"{dataset} in {name}" for name, dataset in places if not _bounded(found.get(name), name, dataset, now)]
    overdue = sum(item.decision == Decision.MUST_ERASE for item in (await _plan(ground)).items)
    told = f"{len(endless)} of {len(places)} data sets without a maximum, {overdue} places kept beyond theirs"
    if endless or overdue:
        return Fact(False, f"{told}: {', '.join(endless[:3])}" if endless else told)
    if beside := await unplanned(ground):
        return Fact(False, f"{told}; {beside}")
    if waiting := await announced(ground):
        return Fact(None, f"{told}; {len(waiting)} deletions were announced and have no receipt")
    return Fact(True, told)


def _bounded(state: State | None, namespace: str, dataset: str, now: dt.datetime) -> bool:
    if state is None or state.policy is None or state.policy.class_of(namespace, dataset) is None:
        return False
    subject = Subject(namespace=namespace, dataset=dataset, event=now, received=now)
    return limits_of("cold", subject, state.policies, now).ceiling is not None


async def holds_respected(ground: Ground, _: str) -> Fact:
    """Holds were placed, and a verification finds nothing destroyed against one."""
    found = (await states(ground)).values()
    placed, open_ones = sum(len(s.holds) for s in found), sum(len(s.open_holds()) for s in found)
    if not placed:
        return Fact(None, "no hold was ever placed, so none could be kept or broken")
    summary = await ground.once("verified", verified)
    broken = [each for each in summary.findings if each.kind is Kind.UNLAWFUL]
    told = f"{placed} holds, {open_ones} still open; {len(broken)} findings of unlawful deletion"
    if not broken and (why := unproven(summary)):
        return Fact(None, f"{told}; {why}")
    return Fact(not broken, told)


FACTS: Mapping[str, Measure] = {
    "retention-floor": retention_floor,
    "retention-decided": retention_decided,
    "retention-ceiling": retention_ceiling,
    "holds-respected": holds_respected,
}
