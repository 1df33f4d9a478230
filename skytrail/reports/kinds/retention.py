"""What is kept where, until when, and because of what: the plan of the policies in force."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence

from ingest.schema.errors import ConfigError
from skytrail.reports.evidence.retention import announced, unplanned
from skytrail.reports.facts import Ground
from skytrail.reports.gathering import Asked
from skytrail.reports.report import Section, Verdict
from skytrail.retaining import open_retaining, planned
from storage.retention.entries import Tombstone
from storage.retention.plan import Action, Item

TITLE = "Retention and rotation"
_UNDECIDED = ("CONFLICT", "UNKNOWN")
_TIERS = {"hot": "Elasticsearch", "cold": "archive"}


async def gather(asked: Asked) -> Sequence[Section]:
    """Make the plan of now.

    Raises:
        SkytrailError: The archive, its ledgers or Elasticsearch can't be read.
    """
    try:
        retaining = open_retaining(asked.settings, lambda: dt.datetime.now(dt.UTC), allow_delete=True)
    except ConfigError as exc:
        return [Section(name="kept", title="What is kept", verdict=Verdict.NOT_MEASURED, text=str(exc))]
    plan = await planned(retaining, asked.client, asked.now)
    items = [item for item in plan.items if asked.namespace in (None, item.namespace)]
    ground = Ground(asked)
    waiting = await announced(ground)
    return [_policies(plan.policies), _kept(items, await unplanned(ground)), _due(items), waiting_section(waiting)]


def _policies(policies: dict[str, str]) -> Section:
    return Section(
        name="policies",
        title="Policies in force",
        verdict=Verdict.PASS if policies else Verdict.FAIL,
        text=(
            "Each policy came into force as an entry of the signed ledger; the digest is that of its bytes there."
            if policies
            else "No policy is in force: everything is kept, and nothing says for how long."
        ),
        columns=("namespace", "SHA-256 of the policy"),
        rows=tuple(sorted(policies.items())),
    )


def _kept(items: Iterable[Item], beside: str) -> Section:
    """Per namespace, data set and place: how much there is and what decides about it.

    Args:
        items: Of the plan.
        beside: What is kept and no plan speaks of, in words.
    """
    found: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        key = (item.namespace, item.dataset, _TIERS.get(item.tier, item.tier), item.class_name, item.because)
        found.setdefault(key, []).append(item)
    undecided = sum(item.decision in _UNDECIDED for each in found.values() for item in each)
    return Section(
        name="kept",
        title="What is kept where, until when, and why",
        verdict=Verdict.FAIL if undecided else Verdict.NOT_MEASURED if beside or not found else Verdict.PASS,
        text=(
            f"{undecided:,} places need a decision: no class speaks of them, or two rules contradict each other."
            f"{f' Not in this plan: {beside}.' if beside else ''}"
        ),
        columns=("namespace", "data set", "place", "class", "because", "records", "bytes", "first end", "last end"),
        rows=tuple((*key, *_amount(each)) for key, each in sorted(found.items())),
        chart="records",
    )


def _amount(items: Sequence[Item]) -> tuple[int, int, str, str]:
    ends = sorted(item.until for item in items if item.until)
    records, size = sum(item.records for item in items), sum(item.bytes for item in items)
    return records, size, ends[0] if ends else "", ends[-1] if ends else ""


def _due(items: Sequence[Item]) -> Section:
    """What a run of `retention apply` would do, and what stands in the way."""
    counts = Counter(item.action for item in items)
    due = [item for item in items if item.action != Action.KEEP]
    return Section(
        name="due",
        title="What is due, and what is blocked",
        text=", ".join(f"{count:,} {action}" for action, count in sorted(counts.items())) or "nothing",
        columns=("action", "decision", "place", "first", "last", "records", "until", "because", "blocked"),
        rows=tuple(
            (
                item.action,
                item.decision,
                item.place,
                item.first,
                item.last,
                item.records,
                item.until,
                item.because,
                item.blocked,
            )
            for item in due
        ),
    )


def waiting_section(found: Sequence[tuple[str, Tombstone]]) -> Section:
    """What a lock of the store, a hold, or a store that was away has kept since it was announced."""
    return Section(
        name="announced",
        title="What was announced, and is not known to be gone",
        text=(
            f"{len(found):,} deletions have no receipt. What they name is counted nowhere above: it is there until the "
            "store or Elasticsearch lets go of it, and each round tries again."
        ),
        columns=("namespace", "data set", "place", "first", "last", "records", "until", "because", "announced"),
        rows=tuple((namespace, *_row(stone)) for namespace, stone in found),
    )


def _row(stone: Tombstone) -> tuple[object, ...]:
    numbers = [each.seq for each in stone.segments]
    place = stone.index or f"{stone.topic}/{stone.partition}"
    records = stone.documents or sum(each.n for each in stone.segments)
    span = (min(numbers), max(numbers)) if numbers else (None, None)
    return stone.dataset, place, *span, records, stone.until, stone.because, stone.at
