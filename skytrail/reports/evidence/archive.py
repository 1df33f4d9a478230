"""Facts about the sealed archive: it is as it was sealed, nobody can rewrite it, what is gone went lawfully."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Mapping

from skytrail.reports.facts import Fact, Ground, Measure
from skytrail.reports.gathering import Asked
from skytrail.reports.kinds.integrity import Verified, judged, verified
from skytrail.reports.report import Verdict
from skytrail.retaining import Retaining, open_retaining
from storage.archive.opening import open_archive
from storage.retention.record import State
from storage.verify.findings import Kind

HEARTBEATS = 3
"""Heartbeats after which a ledger without a new entry counts as silent."""

_AHEAD = dt.timedelta(minutes=5)
"""How far two right clocks may be apart."""


async def retaining(asked: Asked) -> Retaining:
    """The ledgers of the installation.

    Raises:
        ConfigError: There is none.
    """
    return await asyncio.to_thread(open_retaining, asked.settings, lambda: asked.now, allow_delete=True)


async def states(ground: Ground) -> dict[str, State]:
    """What the ledgers of the namespaces in scope say."""
    opened = await ground.once("retaining", retaining)
    found = await asyncio.to_thread(opened.states, None, ground.asked.now)
    return {name: state for name, state in found.items() if ground.asked.namespace in (None, name)}


async def without_ledger(ground: Ground) -> list[str]:
    """Namespaces in scope that have a folder in the archive and no ledger: nothing that ledgers tell is about them."""
    opened = await ground.once("retaining", retaining)
    names = await asyncio.to_thread(lambda: sorted(set(opened.store.folders("")) - set(opened.namespaces())))
    return [name for name in names if ground.asked.namespace in (None, name)]


async def _verified(ground: Ground) -> Verified:
    return await ground.once("verified", verified)


def unproven(found: Verified) -> str:
    """Why a verification without a bad finding does not prove that nothing is gone; empty where it does."""
    if judged(found.summary, found.findings) is not Verdict.PASS:
        return "the verification is not complete and clean, so nobody knows"
    if skipped := found.summary.skipped:
        return f"{skipped:,} segments outside of the period were not read, so nobody knows: leave --from away"
    return ""


async def archive_verified(ground: Ground, _: str) -> Fact:
    """Everything that was sealed is there, byte by byte, under signed checkpoints."""
    found = await _verified(ground)
    summary = found.summary
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(Counter(str(f.kind) for f in found.findings).items()))
    told = (
        f"{summary.segments:,} segments, {summary.records:,} records, {summary.entries:,} entries of the ledger and "
        f"{summary.checkpoints:,} checkpoints compared; findings: {kinds or 'none'}"
    )
    if summary.skipped:
        told += f"; {summary.skipped:,} segments lie outside of the period: their place was checked, their bytes not"
    holds = {Verdict.PASS: True, Verdict.FAIL: False}.get(judged(summary, found.findings))
    return Fact(holds, told)


async def archive_witnessed(ground: Ground, _: str) -> Fact:
    """Others cosigned or stamped the ledger in time, so that its keeper alone can't rewrite it."""
    logs = {name: state.settings for name, state in (await states(ground)).items()}
    alone = [name for name, told in logs.items() if not (told.get("quorum") or told.get("authorities"))]
    if alone:
        return Fact(False, f"the ledgers of {', '.join(alone)} ask for no quorum of witnesses and no time stamps")
    found = await _verified(ground)
    lacking = [each.detail for each in found.findings if each.kind is Kind.UNANCHORED]
    first = f": {lacking[0]}" if lacking else ""
    words = f"{len(logs)} ledgers ask for it; {len(lacking)} findings of what is not anchored in time{first}"
    if lacking:
        return Fact(False, words)
    if not logs or judged(found.summary, found.findings) is not Verdict.PASS:
        return Fact(None, f"{words}; the verification is not complete and clean, so nobody knows")
    return Fact(True, words)


async def deletions_lawful(ground: Ground, _: str) -> Fact:
    """What is gone was announced in the ledger, past its periods, not held, and each deletion has its receipt."""
    found = await _verified(ground)
    told = (await states(ground)).values()
    tombstones, open_ones = sum(len(s.tombstones) for s in told), sum(len(s.unfinished()) for s in told)
    wrong = [each for each in found.findings if each.kind in (Kind.UNLAWFUL, Kind.MISSING)]
    words = f"{tombstones} deletions in the ledger, {open_ones} without a receipt; {len(wrong)} unlawful or missing"
    if wrong or open_ones:
        return Fact(False, words)
    if why := unproven(found):
        return Fact(None, f"{words}; {why}")
    return Fact(True, words)


async def archive_write_once(ground: Ground, _: str) -> Fact:
    """The store refuses to overwrite and to delete early; it was tried."""
    settings = ground.asked.settings
    store = open_archive(settings.archive, settings.archive_dir)
    lacking = await asyncio.to_thread(store.probe)
    return Fact(not lacking, "; ".join(lacking) or "overwriting and early deletion were tried and refused")


async def ledger_fresh(ground: Ground, _: str) -> Fact:
    """Sealing goes on: the newest entry of every ledger is not older than a few heartbeats."""
    limit = dt.timedelta(seconds=HEARTBEATS * ground.asked.settings.ledger.heartbeat_interval_s)
    ages = {name: ground.asked.now - state.newest for name, state in (await states(ground)).items() if state.newest}
    if not ages:
        return Fact(None, "no ledger has an entry")
    if ahead := sorted(name for name, age in ages.items() if age < -_AHEAD):
        return Fact(False, f"the newest entry of {', '.join(ahead)} is from the future, so nobody knows its age")
    oldest = max(ages, key=lambda name: ages[name])
    told = (
        f"the newest entry is {max(0.0, ages[oldest].total_seconds()):.0f} s old in {oldest}, {limit.seconds} s allowed"
    )
    if ages[oldest] <= limit and (silent := await without_ledger(ground)):
        return Fact(None, f"{told}; {', '.join(silent)} have no ledger")
    return Fact(ages[oldest] <= limit, told)


async def two_people(ground: Ground, what: str) -> Fact:
    """The policies in force ask for more than one person: to release a hold, or to destroy what expired."""
    lacking, seen = [], 0
    for name, state in (await states(ground)).items():
        if state.policy is None:
            lacking.append(f"{name} has no policy")
            continue
        seen += 1
        approvals = state.policy.approvals
        needed = 1 + (approvals.release if what == "release" else approvals.expiry)  # the one who asks, and others
        if needed < 2 or len(state.policy.people) < needed:  # noqa: PLR2004 - two people
            lacking.append(f"{name}: {needed} people needed, {len(state.policy.people)} have keys in the policy")
    if not seen and not lacking:
        return Fact(None, "there is no ledger")
    return Fact(not lacking, "; ".join(lacking) or f"{what} needs two people or more in {seen} namespaces")


FACTS: Mapping[str, Measure] = {
    "archive-verified": archive_verified,
    "archive-witnessed": archive_witnessed,
    "archive-write-once": archive_write_once,
    "deletions-lawful": deletions_lawful,
    "ledger-fresh": ledger_fresh,
    "two-people": two_people,
}
