"""The step of a correlation: `step(correlation, state, signal) -> (state, alerts)`. Pure; event time only.

**Guarantee.** Let S be the signals of a group and L the lateness. If every signal arrives while no signal (nor the
clock) is more than L ahead of it, then for every order of arrival, with any repetitions:

* the ids of all alerts are the same, and each alert has the same members: ids and counts follow from S alone;
* no member is told twice of one alert;
* correlations that decide at once tell an alert with the signal that completes it.

It holds as long as a group has at most `limit` signals within timespan + lateness; beyond, the oldest are given up and
counted in `GroupState.cut`. What comes later than that is counted in `GroupState.late` and left out. The sentence and
the context of an alert tell what was known when it was opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from detectors.correlation import rates, terms, windows
from detectors.correlation.model import Correlation, Kind
from detectors.correlation.state import Alert, GroupState, Signal

Stepped = tuple[GroupState, list[Alert]]
GRACE_MS = 3600 * 1000
"""Groups that can't matter any more are kept this long, for workers that are behind."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """The functions of one way to decide."""

    take: Callable[[Correlation, GroupState, Signal], Stepped]
    settle: Callable[[Correlation, GroupState, int], Stepped]
    due: Callable[[Correlation, GroupState], int | None]


_SETTLED = _Kind(windows.take_settled, windows.settle_windows, windows.next_settlement)
_OTHERS: Mapping[Kind, _Kind] = {
    "new_terms": _Kind(terms.take_term, terms.settle_terms, terms.next_term_settlement),
    "rate": _Kind(rates.take_rate, rates.settle_rate, rates.next_rate_settlement),
}


def step(correlation: Correlation, state: GroupState | None, signal: Signal) -> Stepped:
    """Take one signal of a group.

    Args:
        correlation: The one the signal names.
        state: What the step before gave; None for the first, and after a change of the correlation.
        signal: A match of one of its rules.
    """
    known = state or GroupState(version=correlation.state_version)
    if correlation.at_once:
        return windows.take_at_once(correlation, known, signal)
    return _OTHERS.get(correlation.kind, _SETTLED).take(correlation, known, signal)


def settle(correlation: Correlation, state: GroupState, clock: int) -> Stepped:
    """Decide what the clock allows to decide.

    Args:
        clock: Event time, ms; signals older than this by more than the lateness are no longer expected.
    """
    if correlation.at_once:
        return state, []
    return _OTHERS.get(correlation.kind, _SETTLED).settle(correlation, state, clock)


def due(correlation: Correlation, state: GroupState) -> int | None:
    """The clock at which `settle` has something to decide; None when nothing waits."""
    if correlation.at_once:
        return None
    return _OTHERS.get(correlation.kind, _SETTLED).due(correlation, state)


def expires(correlation: Correlation, state: GroupState) -> int:
    """The clock after which the state can be forgotten without changing any alert."""
    kept = 2 * correlation.timespan_ms
    if correlation.terms:
        kept = terms.forget_after_ms(correlation.terms)
    elif correlation.rate:
        kept = rates.forget_after_ms(correlation, correlation.rate)
    return state.newest + kept + correlation.lateness_ms + GRACE_MS
