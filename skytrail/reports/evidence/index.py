"""Facts about what can be searched: it is complete, it says who did what, nobody may do more than their duty."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import get_args

from ingest.formats.registry import all_formats
from skytrail.reports.facts import Fact, Ground, Measure
from skytrail.reports.kinds.completeness import covered_until, daily, days_section, known_before
from skytrail.reports.report import Verdict
from storage.index.client import Identity, connect
from storage.index.duties import excess_rights
from storage.index.inspection import clock_of
from storage.index.search import Query, count
from streams.status import read_status

SKEW_S = 1.0
CONTENT = {
    "what": "event.action:*",
    "outcome": "event.outcome:*",
    "who": "(skytrail.principal.key:* OR user.id:* OR user.name:* OR source.ip:*)",
}
"""What a record must say besides when, as queries."""
SHARE = 0.99
_VERDICTS = {Verdict.PASS: True, Verdict.FAIL: False}


async def accounts_balance(ground: Ground, _: str) -> Fact:
    """Everything that was received is sealed and indexed, or its fate is told: the residue of every source is 0."""
    found = await read_status(ground.asked.settings.kafka, list(all_formats()), ground.asked.namespace)
    received = sum(each.received for each in found.sources)
    residue = sum(abs(value) for each in found.sources for value in each.residue.values())
    told = f"{received:,} records of {len(found.sources)} sources received, residue {residue:,}"
    if not received:
        return Fact(None, "nothing was received yet")
    if behind := sum(found.lag.values()):
        return Fact(None, f"{told}; the roles had {behind:,} messages still to read")
    return Fact(not residue, told)


async def days_covered(ground: Ground, _: str) -> Fact:
    """No source has a day without events since its first one, or since the start of the period."""
    asked = ground.asked
    section = days_section(await daily(asked), await known_before(asked), covered_until(asked))
    days, gaps = sum(row[-2] for row in section.rows), sum(row[-1] for row in section.rows)
    return Fact(_VERDICTS.get(section.verdict), f"{len(section.rows)} sources, {days} days with events, {gaps} without")


async def record_content(ground: Ground, _: str) -> Fact:
    """The records of the period say what was done, how it ended and who did it or from where."""
    asked = ground.asked
    total = await count(asked.client, Query("*", asked.namespace, None, asked.start, asked.end))
    if not total:
        return Fact(None, "there is no event in the period")
    shares = {}
    for name, text in CONTENT.items():
        shares[name] = await count(asked.client, Query(text, asked.namespace, None, asked.start, asked.end)) / total
    told = ", ".join(f"{name} in {share:.1%}" for name, share in shares.items())
    return Fact(min(shares.values()) >= SHARE, f"of {total:,} events: {told}; {SHARE:.0%} asked for")


async def least_privilege(ground: Ground, _: str) -> Fact:
    """No identity of Elasticsearch may do more than its duty; what is forbidden is attempted."""
    settings = ground.asked.settings.elasticsearch
    tried, excess, untried = [], [], []
    for identity in get_args(Identity):
        login = getattr(settings, identity)
        if not (login.username or login.api_key.get_secret_value()):
            untried.append(identity)
            continue
        client = connect(settings, identity)
        try:
            excess += [f"{identity} may {right}" for right in await excess_rights(client, identity)]
        finally:
            await client.close()
        tried.append(identity)
    if not tried:
        return Fact(None, "no identity is configured here")
    told = f"{', '.join(tried)}: what is forbidden was attempted"
    if excess:
        return Fact(False, f"{told}; {len(excess)} succeeded: {'; '.join(excess[:3])}")
    if untried:
        return Fact(None, f"{told} and refused; of {', '.join(untried)} this machine has no login")
    return Fact(True, f"{told} and refused")


async def clocks_agree(ground: Ground, _: str) -> Fact:
    """The clock of this machine and that of Elasticsearch agree."""
    before = dt.datetime.now(dt.UTC)
    theirs = await clock_of(ground.asked.client)
    after = dt.datetime.now(dt.UTC)
    skew = max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0.0)
    return Fact(skew <= SKEW_S, f"{skew:.1f} s between this machine and Elasticsearch, {SKEW_S:g} s allowed")


FACTS: Mapping[str, Measure] = {
    "accounts-balance": accounts_balance,
    "days-covered": days_covered,
    "record-content": record_content,
    "least-privilege": least_privilege,
    "clocks-agree": clocks_agree,
}
