"""Many signals of one group with one event time: whoever is watched decides how many there are."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from detectors.correlation.model import Correlation
from detectors.correlation.state import Signal
from tests.detectors.correlation.building import correlation, run, signal, told
from tests.detectors.correlation.test_order_of_arrival import KINDS

NUMBER = 1200
DEARER = 8
"""A signal of a burst may cost so many times what one of its own minute costs; it was hundreds of times."""


def _signals(one: Correlation, at: Callable[[int], float]) -> list[Signal]:
    numeric = one.kind in ("value_sum", "value_avg", "value_median") or one.percentile is not None
    found = []
    for number in range(NUMBER):
        value = number % 4
        values = ((float(value) if numeric else str(value)),) if one.fields else ()
        rule = one.rules[number % len(one.rules)]
        found.append(signal(one, at(number), rule, member=f"m{number:05}", values=values))
    return found


def _cost(one: Correlation, signals: list[Signal]) -> float:
    began = time.process_time()
    run([one], signals)
    return time.process_time() - began


@pytest.mark.parametrize("body", KINDS.values(), ids=KINDS.keys())
def test_signals_of_one_instant_cost_about_what_others_cost(body: dict[str, Any]) -> None:
    one = correlation(**body)
    spread, burst = _signals(one, lambda number: 60 * number), _signals(one, lambda _: 0)
    usual = min(_cost(one, spread) for _ in range(3))
    assert min(_cost(one, burst) for _ in range(3)) < DEARER * usual + 0.05


@pytest.mark.parametrize(
    "body",
    [{"condition": {"gte": 10}}, {"type": "value_sum", "condition": {"field": "f", "gte": 10}}],
    ids=["event_count", "value_sum"],
)
def test_every_signal_of_an_instant_is_a_member_of_its_alert_however_many_there_are(body: dict[str, Any]) -> None:
    one = correlation(**body)
    signals = [signal(one, 0, member=f"m{number:05}", values=(1.0,)) for number in range(3 * one.limit)]
    for arrived in (signals, signals[::-1]):
        (members,) = told(run([one], arrived)).values()
        assert members == {each.member for each in signals}
