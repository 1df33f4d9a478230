"""Steps of `new_terms`: the first time in some days that a group uses a value. Pure.

Counted in whole days of UTC: a value is new on day d when the group did not use it on the `history_days` days before,
and is told once a day at most, on days from the group's first day + `learning_days` on. So only days that are over
matter, and a match is decided at once, except in the first minutes of a day: the day before may still get signals.
"""

from __future__ import annotations

import msgspec

from detectors.correlation.model import DAY_MS, Correlation, Terms
from detectors.correlation.state import Alert, GroupState, Signal
from detectors.correlation.windows import entry_of

MAX_TERMS = 10_000  # values remembered per group
FORGET_DAYS = 400  # of silence, after which a group has to be learnt again


def take_term(correlation: Correlation, state: GroupState, signal: Signal) -> tuple[GroupState, list[Alert]]:
    """Add a signal; `settle_terms` decides on it."""
    day = signal.at // DAY_MS
    waiting = {(one.at // DAY_MS, value) for one in state.pending for value in one.values}
    fresh = tuple(
        value
        for value in dict.fromkeys(map(str, signal.values))
        if state.terms.get(value, -1) < day and (day, value) not in waiting
    )
    if not fresh and (state.first is None or day >= state.first):
        return state, []
    pending = (*state.pending, msgspec.structs.replace(signal, values=fresh)) if fresh else state.pending
    cut = max(0, len(pending) - correlation.limit)
    changed = msgspec.structs.replace(
        state,
        pending=tuple(sorted(pending, key=_by_time))[cut:],
        newest=max(state.newest, signal.at),
        first=min(state.first, day) if state.first is not None else None,
        cut=state.cut + cut,
    )
    return changed, []


def settle_terms(correlation: Correlation, state: GroupState, clock: int) -> tuple[GroupState, list[Alert]]:
    """Decide the waiting matches of days before which everything has arrived."""
    rules = correlation.terms
    day = (clock - correlation.lateness_ms) // DAY_MS  # up to here, the days before are over
    ready = [signal for signal in state.pending if signal.at // DAY_MS <= day]
    if rules is None or not ready:
        return state, []
    terms = dict(state.terms)
    first = state.first
    alerts = []
    for signal in ready:
        mine = signal.at // DAY_MS
        first = mine if first is None else min(first, mine)
        for value in map(str, signal.values):
            last = terms.get(value)
            terms[value] = max(last, mine) if last is not None else mine
            if mine - first >= rules.learning_days and (last is None or mine - last > rules.history_days):
                alerts.append(_alert(correlation, signal, value))
    kept, lost = _bounded(terms, (state.newest // DAY_MS) - rules.history_days)
    left = tuple(signal for signal in state.pending if signal.at // DAY_MS > day)
    changed = msgspec.structs.replace(state, pending=left, terms=kept, first=first, cut=state.cut + lost)
    return changed, alerts


def next_term_settlement(correlation: Correlation, state: GroupState) -> int | None:
    """Clock at which the oldest waiting match can be decided."""
    if not state.pending:
        return None
    return state.pending[0].at // DAY_MS * DAY_MS + correlation.lateness_ms


def forget_after_ms(rules: Terms) -> int:
    """How long after its last signal a group is kept: one that comes back after months is not a new one."""
    return (rules.history_days + rules.learning_days + FORGET_DAYS) * DAY_MS


def _by_time(signal: Signal) -> tuple[int, str]:
    return signal.at, signal.member


def _alert(correlation: Correlation, signal: Signal, value: str) -> Alert:
    told = msgspec.structs.replace(entry_of(correlation, signal), values=(value,))
    return Alert(
        cell=f"{signal.at // DAY_MS} {value}",
        at=signal.at,
        member=signal.member,
        events=(told,),
        opens=True,
        signal=signal,
        seen=(told,),
        fired=(told,),
    )


def _bounded(terms: dict[str, int], oldest: int) -> tuple[dict[str, int], int]:
    """The terms that still matter; beyond `MAX_TERMS` the longest unused are given up."""
    kept = {value: day for value, day in terms.items() if day >= oldest}
    lost = len(kept) - MAX_TERMS
    if lost <= 0:
        return kept, 0
    newest = sorted(kept.items(), key=lambda term: (-term[1], term[0]))[:MAX_TERMS]
    return dict(newest), lost
