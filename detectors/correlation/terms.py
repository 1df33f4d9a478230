"""Steps of `new_terms`: the first time in some days that a group uses a value. Pure.

Counted in whole days of UTC: a value is new on day d when the group did not use it on the `history_days` days before,
and is told once a day at most, by its earliest use, on days from the group's first day + `learning_days` on. A match
waits for the lateness: an earlier use, or one of the day before, may still arrive.
"""

from __future__ import annotations

import msgspec

from detectors.correlation.group import Group
from detectors.correlation.model import DAY_MS, Correlation, Terms
from detectors.correlation.state import Alert, Entry, Signal

MAX_TERMS = 10_000  # values remembered per group
FORGET_DAYS = 400  # of silence, after which a group has to be learnt again


def take_term(group: Group, signal: Signal) -> list[Alert]:
    """Add a signal; `settle_terms` decides on it. Of the uses of a value on a day the earliest waits.

    Where too many wait the oldest are decided early: an alert may then name a later use, but none is lost.
    """
    state, day = group.state, signal.at // DAY_MS
    state.newest = max(state.newest, min(signal.at, signal.seen))
    state.first = min(state.first, day) if state.first is not None else None
    unused = [value for value in dict.fromkeys(map(str, signal.values)) if state.terms.get(value, -1) < day]
    if not unused:
        return []
    waiting = {(one.at // DAY_MS, value): one for one in state.pending for value in map(str, one.values)}
    fresh = tuple(v for v in unused if (day, v) not in waiting or _by_time(signal) < _by_time(waiting[day, v]))
    if fresh:
        for one in {id(known): known for v in fresh if (known := waiting.get((day, v)))}.values():
            state.pending.remove(one)
            left = tuple(value for value in one.values if str(value) not in fresh)
            if left:
                state.pending.append(msgspec.structs.replace(one, values=left))
        state.pending.append(msgspec.structs.replace(signal, values=fresh))
        state.pending.sort(key=_by_time)
    return _decide(group, max(0, len(state.pending) - group.correlation.limit))


def settle_terms(group: Group, clock: int) -> list[Alert]:
    """Decide the waiting matches before which everything has arrived."""
    until = clock - group.correlation.lateness_ms
    return _decide(group, sum(signal.at < until for signal in group.state.pending))


def _decide(group: Group, number: int) -> list[Alert]:
    """Decide on the oldest waiting matches."""
    correlation, state = group.correlation, group.state
    rules = correlation.terms
    if rules is None or not number:
        return []
    terms, alerts = state.terms, []
    for signal in state.pending[:number]:
        mine = signal.at // DAY_MS
        state.first = mine if state.first is None else min(state.first, mine)
        for value in map(str, signal.values):
            last = terms.get(value)
            terms[value] = max(last, mine) if last is not None else mine
            if mine - state.first >= rules.learning_days and (last is None or mine - last > rules.history_days):
                alerts.append(_alert(correlation, signal, value))
    state.cut += _bound(terms, (state.newest // DAY_MS) - rules.history_days)
    del state.pending[:number]
    return alerts


def next_term_settlement(group: Group) -> int | None:
    """Clock at which the oldest waiting match can be decided."""
    if not group.state.pending:
        return None
    return group.state.pending[0].at + group.correlation.lateness_ms + 1


def forget_after_ms(rules: Terms) -> int:
    """How long after its last signal a group is kept: one that comes back after months is not a new one."""
    return (rules.history_days + rules.learning_days + FORGET_DAYS) * DAY_MS


def _by_time(signal: Signal) -> tuple[int, str]:
    return signal.at, signal.member


def _alert(correlation: Correlation, signal: Signal, value: str) -> Alert:
    rule = correlation.rules.index(signal.rule)
    told = (Entry(signal.at, signal.member, rule, signal.event, (value,), signal.unit, 0, signal.brought),)
    return Alert(
        cell=f"{signal.at // DAY_MS} {value}",
        at=signal.at,
        member=signal.member,
        events=told,
        opens=True,
        signal=signal,
        seen=told,
        fired=told,
        reached=((told[0], signal.brought),) if correlation.brought else (),
    )


def _bound(terms: dict[str, int], oldest: int) -> int:
    """Drop the terms that matter no more; beyond `MAX_TERMS` the longest unused are given up, and their number told."""
    if len(terms) <= MAX_TERMS // 2:
        return 0
    for value in [value for value, day in terms.items() if day < oldest]:
        del terms[value]
    lost = len(terms) - MAX_TERMS
    if lost <= 0:
        return 0
    for value, _ in sorted(terms.items(), key=lambda term: (term[1], term[0]))[:lost]:
        del terms[value]
    return lost
