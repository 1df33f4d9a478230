"""Steps of `rate`: many more matches in a bucket of time than the group usually has. Pure.

Buckets are one timespan, aligned to 1970. The baseline of a bucket is a quantile of the counts of the buckets before
it, so it stands firm once those have got all their signals; from then on a match is decided at once. Matches in the
first minutes of a bucket wait until the one before is over.
"""

from __future__ import annotations

import msgspec

from detectors.correlation.conditions import quantile
from detectors.correlation.model import DAY_MS, Correlation, Rate
from detectors.correlation.state import OWN_CELL, Alert, Entry, GroupState, Signal
from detectors.correlation.windows import entry_of, place_for

FORGET_DAYS = 90  # of silence, after which a group has to be learnt again


def take_rate(correlation: Correlation, state: GroupState, signal: Signal) -> tuple[GroupState, list[Alert]]:
    """Add a signal; `settle_rate` decides on its bucket."""
    bucket = signal.at // correlation.timespan_ms
    if bucket * correlation.timespan_ms < state.settled:
        return msgspec.structs.replace(state, late=state.late + 1), []
    entry = entry_of(correlation, signal)
    place = place_for(state.entries, entry)
    if place is None:
        return state, []
    entries = (*state.entries[:place], entry, *state.entries[place:])
    cut = max(0, len(entries) - correlation.limit)
    counts = state.counts
    if cut:  # what is no longer kept is still counted, but its repetitions are not recognised
        counts = dict(counts)
        for lost in entries[:cut]:
            counts[lost.at // correlation.timespan_ms] = counts.get(lost.at // correlation.timespan_ms, 0) + 1
    face = signal if state.face is None or signal.at >= state.newest else state.face
    changed = msgspec.structs.replace(
        state,
        entries=entries[cut:],
        counts=counts,
        newest=max(state.newest, signal.at),
        face=face,
        cut=state.cut + cut,
        first=bucket if state.first is None else min(state.first, bucket),
    )
    return changed, []


def settle_rate(correlation: Correlation, state: GroupState, clock: int) -> tuple[GroupState, list[Alert]]:
    """Judge the buckets before which everything has arrived; count the ones that are over."""
    rules = correlation.rate
    if rules is None or state.face is None or state.first is None or not state.entries:
        return state, []
    width = correlation.timespan_ms
    over = (clock - correlation.lateness_ms) // width  # buckets before this one are over
    buckets: dict[int, list[Entry]] = {}
    for entry in state.entries:
        buckets.setdefault(entry.at // width, []).append(entry)
    counts = dict(state.counts)
    kept: list[Entry] = []
    alerts = []
    for bucket, entries in sorted(buckets.items()):
        told = entries
        if bucket <= over:
            found = counts.get(bucket, 0) + len(entries)
            baseline = _baseline(rules, counts, state.first, bucket)
            if baseline is not None and found >= rules.minimum and found > rules.factor * baseline:
                alert, told = _alert(bucket * width, entries, found, state.face)
                alerts += [alert] if alert.events else []
        if bucket < over:
            counts[bucket] = counts.get(bucket, 0) + len(entries)
        else:
            kept.extend(told)
    counts = {bucket: number for bucket, number in counts.items() if bucket >= over - rules.history}
    settled = max(state.settled, over * width)
    if tuple(kept) == state.entries and settled == state.settled:
        return state, alerts
    return msgspec.structs.replace(state, entries=tuple(kept), counts=counts, settled=settled), alerts


def next_rate_settlement(correlation: Correlation, state: GroupState) -> int | None:
    """Clock at which the oldest kept bucket can be judged, or counted and let go."""
    if not state.entries:
        return None
    start = state.entries[0].at // correlation.timespan_ms * correlation.timespan_ms
    due = start + correlation.lateness_ms
    return due if due > state.settled + correlation.lateness_ms else due + correlation.timespan_ms


def forget_after_ms(correlation: Correlation, rules: Rate) -> int:
    """How long after its last signal a group is kept: one that comes back after weeks is not a new one."""
    return (rules.history + 2) * correlation.timespan_ms + FORGET_DAYS * DAY_MS


def _baseline(rules: Rate, counts: dict[int, int], first: int, bucket: int) -> float | None:
    """What the group usually does; None while it is being learnt."""
    start = max(first, bucket - rules.history)
    if bucket - first < max(1, rules.learning):
        return None
    return quantile([float(counts.get(number, 0)) for number in range(start, bucket)], rules.quantile)


def _alert(start: int, entries: list[Entry], found: int, face: Signal) -> tuple[Alert, list[Entry]]:
    news = tuple(entry for entry in entries if not entry.told)
    told = [msgspec.structs.replace(entry, told=entry.told | OWN_CELL) for entry in entries]
    opens = len(news) == len(entries)
    last = entries[-1]
    alert = Alert(
        cell=str(start),
        at=last.at,
        member=last.member,
        events=news,
        opens=opens,
        signal=face,
        seen=tuple(entries) if opens else (),
        measure=float(found),
        fired=(msgspec.structs.replace(last, at=start, member=f"bucket {start}"),) if opens else (),
    )
    return alert, told
