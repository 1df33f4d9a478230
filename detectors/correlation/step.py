"""The step of a correlation: `step(group, signal) -> alerts`. No clock, no network: event time only.

The group's state is changed in place (at hot keys a copy per signal would cost more than the judgement); the same
signals in the same order always give the same state and the same alerts.

**Guarantee.** Let S be the signals of a group and L the lateness. If every signal is received while no other is more
than L ahead of it (an event time after its own receipt counts as that receipt: wild clocks move nothing), then for
every order of arrival, with any repetitions:

* the ids of all alerts are the same, and each alert has the same members: ids and counts follow from S alone;
* no member is told twice of one alert;
* correlations that decide at once tell an alert with the signal that completes it.

It holds as long as a group has at most `limit` signals within timespan + lateness. Beyond, those go first that repeat
what others say (`pruning.py`): they can complete nothing, but an alert may list fewer members (`GroupState.repeats`).
Then the oldest are given up that the next match does not need; `GroupState.cut` counts them, and `surplus` those of
them without which the group has enough: in the order of time they hide no alert. What comes later than the
lateness is counted in `GroupState.late` and left out. The sentence and the context of an alert tell what was known when
it was opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from detectors.correlation import rates, terms, windows
from detectors.correlation.group import Group
from detectors.correlation.model import Correlation, Kind
from detectors.correlation.state import Alert, GroupState, Signal

GRACE_MS = 3600 * 1000
"""Groups that can't matter any more are kept this long, for workers that are behind."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """The functions of one way to decide."""

    take: Callable[[Group, Signal], list[Alert]]
    settle: Callable[[Group, int], list[Alert]]
    due: Callable[[Group], int | None]


_SETTLED = _Kind(windows.take_settled, windows.settle_windows, windows.next_settlement)
_OTHERS: Mapping[Kind, _Kind] = {
    "new_terms": _Kind(terms.take_term, terms.settle_terms, terms.next_term_settlement),
    "rate": _Kind(rates.take_rate, rates.settle_rate, rates.next_rate_settlement),
}


def new_group(correlation: Correlation) -> Group:
    """A group before its first signal."""
    return Group(correlation, GroupState(version=correlation.state_version))


def step(group: Group, signal: Signal) -> list[Alert]:
    """Take one signal of a group: a match of one of the rules of its correlation."""
    if group.correlation.at_once:
        return windows.take_at_once(group, signal)
    return _OTHERS.get(group.correlation.kind, _SETTLED).take(group, signal)


def settle(group: Group, clock: int) -> list[Alert]:
    """Decide what the clock allows to decide.

    Args:
        clock: Event time, ms; signals older than this by more than the lateness are no longer expected.
    """
    if group.correlation.at_once:
        return []
    return _OTHERS.get(group.correlation.kind, _SETTLED).settle(group, clock)


def due(group: Group) -> int | None:
    """The clock at which `settle` has something to decide; None when nothing waits."""
    if group.correlation.at_once:
        return None
    return _OTHERS.get(group.correlation.kind, _SETTLED).due(group)


def expires(correlation: Correlation, state: GroupState) -> int:
    """The clock after which the state can be forgotten without changing any alert."""
    kept = 2 * correlation.timespan_ms
    if correlation.terms:
        kept = terms.forget_after_ms(correlation.terms)
    elif correlation.rate:
        kept = rates.forget_after_ms(correlation, correlation.rate)
    return state.newest + kept + correlation.lateness_ms + GRACE_MS
