"""What a correlation must tell of a set of signals, written down naively: no order of arrival, no state."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable

from detectors.correlation.model import DAY_MS, Alternative, Correlation
from detectors.correlation.state import Signal


def expected(one: Correlation, signals: Iterable[Signal]) -> set[frozenset[str]]:
    """The member sets of all alerts of one group."""
    everything = list({(s.at, s.member, s.rule): s for s in signals}.values())
    if one.terms:
        return _new_terms(one, everything)
    if one.rate:
        return _rates(one, everything)
    cells: dict[int, set[str]] = {}
    for end in everything:
        window = [s for s in everything if end.at - one.timespan_ms < s.at <= end.at]
        if holds(one, end, window, everything):
            cells.setdefault(end.at // one.cell_ms, set()).update(s.member for s in window)
    return {frozenset(members) for members in cells.values()}


def holds(one: Correlation, end: Signal, window: list[Signal], everything: list[Signal]) -> bool:
    if one.alternatives:
        return any(_sequence(one, alternative, end, window, everything) for alternative in one.alternatives)
    assert one.threshold
    if one.kind == "event_count":
        return one.threshold.holds(len({s.member for s in window}))
    if one.kind == "value_count":
        return one.threshold.holds(len({v for s in window for v in s.values}))
    if one.kind == "value_percentile" and one.percentile is None:
        same = sum(bool(set(s.values) & set(end.values)) for s in window)
        return one.threshold.holds(100.0 * same / len(window))
    numbers = sorted(float(v) for s in window for v in s.values)
    if one.kind == "value_sum":
        return one.threshold.holds(math.fsum(numbers))
    if one.kind == "value_avg":
        return one.threshold.holds(statistics.fmean(numbers))
    if one.kind == "value_median":
        return one.threshold.holds(statistics.median(numbers))
    rank = max(1, math.ceil((one.percentile or 0) / 100 * len(numbers)))
    return one.threshold.holds(numbers[rank - 1])


def _sequence(
    one: Correlation, wanted: Alternative, end: Signal, window: list[Signal], everything: list[Signal]
) -> bool:
    place = {name: number for number, name in enumerate(one.rules)}
    if wanted.lacks and place[end.rule] not in wanted.needs:
        return False
    choices = [[s for s in window if place[s.rule] == need] for need in wanted.needs]
    if one.kind == "temporal":
        near = [s for s in everything if abs(s.at - end.at) < one.timespan_ms]
        return all(choices) and not any(place[s.rule] in wanted.lacks for s in near)
    ordered = [
        chosen
        for chosen in itertools.product(*choices)
        if all(x.at <= y.at for x, y in itertools.pairwise(chosen)) and len({s.member for s in chosen}) == len(chosen)
    ]
    return bool(ordered) and not wanted.lacks


def _new_terms(one: Correlation, signals: list[Signal]) -> set[frozenset[str]]:
    """The earliest use of each new value on its day."""
    assert one.terms
    uses: dict[tuple[int, str], tuple[int, str]] = {}
    for s in signals:
        for v in s.values:
            use, term = (s.at, s.member), (s.at // DAY_MS, str(v))
            uses[term] = min(uses.get(term, use), use)
    first = min((day for day, _ in uses), default=0)
    return {
        frozenset((member,))
        for (day, value), (_, member) in uses.items()
        if day - first >= one.terms.learning_days
        and not any((day - back, value) in uses for back in range(1, one.terms.history_days + 1))
    }


def _rates(one: Correlation, signals: list[Signal]) -> set[frozenset[str]]:
    assert one.rate
    buckets: dict[int, set[str]] = {}
    for s in signals:
        buckets.setdefault(s.at // one.timespan_ms, set()).add(s.member)
    first = min(buckets, default=0)
    found = set()
    for bucket, members in buckets.items():
        before = sorted(len(buckets.get(b, ())) for b in range(max(first, bucket - one.rate.history), bucket))
        if bucket - first < max(1, one.rate.learning):
            continue
        baseline = before[max(1, math.ceil(one.rate.quantile * len(before))) - 1]
        if len(members) >= one.rate.minimum and len(members) > one.rate.factor * baseline:
            found.add(frozenset(members))
    return found
