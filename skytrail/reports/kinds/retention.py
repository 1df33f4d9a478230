"""What is kept where, until when, and because of what: the plan of the policies in force."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ingest.schema.errors import ConfigError
from skytrail.reports.evidence.archive import states
from skytrail.reports.evidence.retention import announced, unplanned
from skytrail.reports.facts import Ground
from skytrail.reports.gathering import Asked
from skytrail.reports.report import Section, Verdict
from skytrail.retaining import open_retaining, planned
from storage.retention.entries import Tombstone
from storage.retention.plan import Action, Item
from storage.retention.record import State, policy_digest

TITLE = "Retention and rotation"
_UNDECIDED = ("CONFLICT", "UNKNOWN")
_STONE = (
    "namespace",
    "data set",
    "place",
    "first segment",
    "last segment",
    "records",
    "kept until",
    "because",
    "announced",
)
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
    known = await states(ground)
    return [
        policies_section(known),
        classes_section(known),
        _kept(items, await unplanned(ground)),
        holds_section(known),
        _due(items),
        waiting_section(await announced(ground)),
        destroyed_section(known, asked),
    ]


def policies_section(known: Mapping[str, State]) -> Section:
    """Which policy is in force in each namespace."""
    rows = tuple(
        (
            name,
            state.policy.name if state.policy else "none",
            f"{state.policies[-1].since:%Y-%m-%d %H:%M}" if state.policies else "",
            len(state.policy.people) if state.policy else None,
            state.policy.approvals.release if state.policy else None,
            state.policy.approvals.expiry if state.policy else None,
            policy_digest(state.policy) if state.policy else "",
        )
        for name, state in sorted(known.items())
    )
    lacking = sum(state.policy is None for state in known.values())
    return Section(
        name="policies",
        title="Policies in force",
        verdict=Verdict.FAIL if lacking or not rows else Verdict.PASS,
        text=(
            "Each policy came into force as an entry of the signed ledger; the digest is that of its bytes there."
            + (f" {lacking:,} namespaces have none: nothing says for how long they are kept." if lacking else "")
        ),
        columns=(
            "namespace",
            "policy",
            "in force since",
            "people with keys",
            "others agree to a release",
            "others agree to destruction",
            "SHA-256",
        ),
        rows=rows,
    )


def classes_section(known: Mapping[str, State]) -> Section:
    """What the policies say, class by class."""
    rows = [
        (
            name,
            rule.name,
            ", ".join(rule.datasets),
            ", ".join(f"{row.id} ({row.clause})" for row in state.policy.rows_of(rule)),
            str(rule.hot or "by clause"),
            str(rule.cold or "by clause"),
            str(rule.maximum or ""),
            rule.purpose,
        )
        for name, state in sorted(known.items())
        if state.policy is not None
        for rule in state.policy.classes
    ]
    return Section(
        name="classes",
        title="What the policies ask for",
        text=(
            "The first class that matches decides. Periods are those of a calendar, as ISO 8601 writes them: P12M is "
            "twelve months. By clause: the longest minimum of the clauses; without one, a year."
        ),
        columns=("namespace", "class", "data sets", "clauses", "searchable", "archived", "at most", "purpose"),
        rows=tuple(rows),
    )


def holds_section(known: Mapping[str, State]) -> Section:
    """Every legal hold, open and released."""
    rows = []
    for name, state in sorted(known.items()):
        for told in state.holds.values():
            release, chosen = state.releases.get(told.id), told.selector
            who = [("principal", chosen.principal), ("account", chosen.account), ("resource", chosen.resource)]
            about = ", ".join([*chosen.datasets, *(f"{what} {value}" for what, value in who if value)])
            placed = (told.reason, told.placed_by, told.at, release.at if release else "in force")
            rows.append((name, told.id, about, chosen.since or "", chosen.until or "", *placed))
    open_ones = sum(len(state.open_holds()) for state in known.values())
    return Section(
        name="holds",
        title="Legal holds",
        text=f"{open_ones:,} of {len(rows):,} holds are in force: nothing that they cover is destroyed.",
        columns=("namespace", "hold", "covers", "events from", "before", "reason", "placed by", "at", "released"),
        rows=tuple(rows),
    )


def destroyed_section(known: Mapping[str, State], asked: Asked) -> Section:
    """What was destroyed in the period, as the ledger has it."""
    rows = []
    for name, state in sorted(known.items()):
        for stone in state.tombstones.values():
            receipt = state.receipts.get(stone.id)
            if receipt is None or not _within(dt.datetime.fromisoformat(receipt.at), asked):
                continue
            rows.append((name, *_row(stone), receipt.at, bool(stone.request)))
    return Section(
        name="destroyed",
        title="What was destroyed",
        text=(
            f"{len(rows):,} deletions have their receipt in the ledger within the period. `skytrail retention "
            "certificate` gives a proof of each that anybody can check; `skytrail verify` judges whether it was lawful."
        ),
        columns=(*_STONE, "destroyed", "agreed to"),
        rows=tuple(rows),
    )


def _within(at: dt.datetime, asked: Asked) -> bool:
    return (asked.start is None or at >= asked.start) and at < asked.end


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
            (
                f"{undecided:,} places need a decision: no class speaks of them, or two rules contradict each other."
                if undecided
                else "A class of the policy speaks of each of them, without a contradiction."
            )
            + (f" Not in this plan: {beside}." if beside else "")
        ),
        columns=("namespace", "data set", "place", "class", "because", "records", "bytes", "ends from", "ends until"),
        rows=tuple((*key, *_amount(each)) for key, each in sorted(found.items())),
        chart="records",
    )


def _amount(items: Sequence[Item]) -> tuple[int, int, str, str]:
    ends = sorted(item.until for item in items if item.until)
    records, size = sum(item.records for item in items), sum(item.bytes for item in items)
    if any(item.decision == "HELD" for item in items):
        return records, size, "not while the hold is in force", ""
    return records, size, ends[0] if ends else "nobody said", ends[-1] if ends else ""


def _due(items: Sequence[Item]) -> Section:
    """What a run of `retention apply` would do, and what stands in the way."""
    counts = Counter(item.action for item in items)
    due = [item for item in items if item.action != Action.KEEP]
    return Section(
        name="due",
        title="What is due, and what is blocked",
        text=", ".join(f"{count:,} {action}" for action, count in sorted(counts.items())) or "nothing",
        columns=(
            "action",
            "decision",
            "place",
            "first segment",
            "last segment",
            "records",
            "kept until",
            "because",
            "blocked",
        ),
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
        columns=_STONE,
        rows=tuple((namespace, *_row(stone)) for namespace, stone in found),
    )


def _row(stone: Tombstone) -> tuple[object, ...]:
    numbers = [each.seq for each in stone.segments]
    place = stone.index or f"{stone.topic}/{stone.partition}"
    records = stone.documents or sum(each.n for each in stone.segments)
    span = (min(numbers), max(numbers)) if numbers else (None, None)
    return stone.dataset, place, *span, records, stone.until, stone.because, stone.at
