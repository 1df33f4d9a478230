"""Steps of `rate`: many more matches in a bucket of time than the group usually has. Pure.

Buckets are one timespan, aligned to 1970. The baseline of a bucket is a quantile of the counts of the buckets before
it, so it stands firm once those have got all their signals; from then on a match is decided at once. Matches in the
first minutes of a bucket wait until the one before is over.
"""

from __future__ import annotations

from detectors.correlation.bringing import brought_in
from detectors.correlation.gauges import quantile
from detectors.correlation.group import Group
from detectors.correlation.model import DAY_MS, Correlation, Rate
from detectors.correlation.state import OWN_CELL, Alert, Entry, Signal

FORGET_DAYS = 90  # of silence, after which a group has to be learnt again


def take_rate(group: Group, signal: Signal) -> list[Alert]:
    """Add a signal; `settle_rate` decides on its bucket."""
    width, state = group.correlation.timespan_ms, group.state
    bucket = signal.at // width
    if bucket * width < state.settled:
        state.late += 1
        return []
    if group.insert(signal) is None:
        return []
    group.saw(signal)
    for lost in group.cut():  # what is no longer kept is still counted, but its repetitions are not recognised
        state.counts[lost.at // width] = state.counts.get(lost.at // width, 0) + 1
    state.first = bucket if state.first is None else min(state.first, bucket)
    return []


def settle_rate(group: Group, clock: int) -> list[Alert]:
    """Judge the buckets before which everything has arrived; count the ones that are over."""
    correlation, state = group.correlation, group.state
    rules = correlation.rate
    if rules is None or state.face is None or state.first is None or not state.entries:
        return []
    width = correlation.timespan_ms
    over = (clock - correlation.lateness_ms) // width  # buckets before this one are over
    buckets: dict[int, list[Entry]] = {}
    for entry in state.entries:
        buckets.setdefault(entry.at // width, []).append(entry)
    counts, alerts, done = state.counts, [], 0
    for bucket, entries in sorted(buckets.items()):
        if bucket <= over:
            found = counts.get(bucket, 0) + len(entries)
            baseline = _baseline(rules, counts, state.first, bucket)
            if baseline is not None and found >= rules.minimum and found > rules.factor * baseline:
                alert = _alert(correlation, bucket * width, entries, found, state.face)
                alerts += [alert] if alert.events else []
        if bucket < over:
            counts[bucket] = counts.get(bucket, 0) + len(entries)
            done += len(entries)
    group.drop(0, done)
    state.counts = {bucket: number for bucket, number in counts.items() if bucket >= over - rules.history}
    state.settled = max(state.settled, over * width)
    return alerts


def next_rate_settlement(group: Group) -> int | None:
    """Clock at which the oldest kept bucket can be judged, or counted and let go."""
    correlation, state = group.correlation, group.state
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
    return quantile(sorted(float(counts.get(number, 0)) for number in range(start, bucket)), rules.quantile)


def _alert(correlation: Correlation, start: int, entries: list[Entry], found: int, face: Signal) -> Alert:
    """The alert of a bucket; marks in the entries that it knows them."""
    news = tuple(entry for entry in entries if not entry.told)
    for entry in entries:
        entry.told |= OWN_CELL
    opens = len(news) == len(entries)
    last = entries[-1]
    fired = Entry(start, f"bucket {start}", last.rule, last.event, last.values, last.unit)
    return Alert(
        cell=str(start),
        at=last.at,
        member=last.member,
        events=news,
        opens=opens,
        signal=face,
        seen=tuple(entries) if opens else news,
        measure=float(found),
        fired=(fired,) if opens else (),
        reached=tuple((fired, each) for each in brought_in(news, 0, len(news))) if correlation.brought else (),
    )
