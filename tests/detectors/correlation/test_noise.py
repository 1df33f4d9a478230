"""Noise beside an attack hides nothing: what repeats others is given up first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.correlation import pruning
from detectors.correlation.correlator import Correlator
from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import Entry, Signal
from detectors.correlation.step import new_group, step
from detectors.detection import EventRef
from tests.detectors.correlation.building import correlation, run, signal, told
from tests.detectors.correlation.oracle import expected

ORDERED = {"type": "temporal_ordered", "rules": ["a", "b", "c"]}


def noise(one: Correlation, start: float, rule: str = "a", **given: Any) -> list[Signal]:
    """Seventy seconds of ten signals a second."""
    return [signal(one, start + n / 10, rule, member=f"{rule}-{start}-{n}", **given) for n in range(700)]


def test_new_values_beside_a_flood_of_one_value_alert() -> None:
    one = correlation(type="value_count", condition={"field": "f", "gte": 3})
    found = run(
        [one],
        [
            signal(one, 0, values=("u1",)),
            *noise(one, 1, values=("u1",)),
            signal(one, 80, values=("u2",)),
            *noise(one, 81, values=("u1",)),
            signal(one, 200, values=("u3",)),
        ],
    )
    assert len(told(found)) == 1


def test_eleven_new_secrets_in_ten_minutes_beside_two_reads_a_second_of_one_secret_alert() -> None:
    one = correlation(type="value_count", condition={"field": "f", "gte": 11}, timespan="10m")
    reads = [signal(one, n / 2, member=f"n{n}", values=("app-secret",)) for n in range(1200)]
    new = [signal(one, 50 * n + 0.25, member=f"s{n}", values=(f"secret{n}",)) for n in range(11)]
    quiet = told(run([one], [reads[0], *new]))
    assert quiet
    assert quiet.keys() <= told(run([one], sorted([*reads, *new], key=lambda s: s.at))).keys()


def test_the_first_step_of_an_order_survives_a_flood_of_the_second() -> None:
    one = correlation(**ORDERED)
    assert len(told(run([one], [signal(one, 0, "a"), *noise(one, 1, "b"), signal(one, 200, "c")]))) == 1


def test_the_steps_of_an_order_survive_a_flood_of_the_others_in_turns() -> None:
    one = correlation(type="temporal_ordered", rules=["a", "b", "c"], condition="a and b and c")
    turns = [signal(one, 1 + n / 10, "cb"[n % 2], member=f"n{n}") for n in range(1400)]
    quiet = [signal(one, 0.5, "a"), signal(one, 0.7, "b")]
    later = [s for s in turns if s.rule == "b"]
    assert len(told(run([one], [*quiet, *later, signal(one, 200, "c")]))) == 1
    unfinished = [signal(one, 0, "c"), signal(one, 0.5, "a"), *[s for s in turns if s.rule == "b"]]
    assert len(told(run([one], [*unfinished, signal(one, 200, "c", member="last")]))) == 1


def test_an_order_survives_a_flood_that_alternates_between_its_later_steps() -> None:
    one = correlation(**{**ORDERED, "rules": ["a", "b", "c"], "condition": {"gte": 3}})
    flood = [signal(one, 1 + n / 10, "ba"[n % 2], member=f"n{n}") for n in range(1400)]
    assert len(told(run([one], [*flood, signal(one, 200, "c")]))) == 1


def test_a_rule_that_matched_once_survives_a_flood_of_another() -> None:
    one = correlation(type="temporal", rules=["a", "b"])
    assert len(told(run([one], [signal(one, 0, "b"), *noise(one, 1, "a"), *noise(one, 90, "a")]))) == 1
    three = correlation(type="temporal", rules=["a", "b", "c"])
    assert len(told(run([three], [signal(three, 0, "a"), *noise(three, 1, "b"), signal(three, 200, "c")]))) == 1


def test_what_repeats_is_counted_apart_from_what_an_alert_may_miss() -> None:
    one = correlation(type="value_count", condition={"field": "f", "gte": 3})
    groups = Correlator(Router([one]))
    groups.follow(noise(one, 0, values=("u",)))
    assert groups.notes["repeats"] > 500
    assert groups.notes["cut"] == 0
    groups.follow([signal(one, 0, member=f"m{n}", values=(f"v{n}", f"w{n}")) for n in range(700)])
    assert groups.notes["surplus"] > 100, "there are values enough without those"
    assert groups.notes["cut"] == 0
    assert set(groups.noted) == {("repeats", one.id), ("surplus", one.id)}


@pytest.mark.parametrize(
    ("body", "every", "why"),
    [
        ({"condition": {"gte": 10}}, 0, "surplus"),
        ({"condition": {"gte": 10}}, 1, "surplus"),
        ({"type": "value_sum", "condition": {"field": "f", "gte": 10}}, 0, "surplus"),
        ({"type": "value_sum", "condition": {"field": "f", "gte": 1e6}}, 0, "cut"),
        ({"type": "value_count", "condition": {"field": "f", "gte": 10}}, 0, "surplus"),
        ({"type": "value_count", "condition": {"field": "f", "lt": 10}}, 0, "cut"),
        ({"type": "value_avg", "condition": {"field": "f", "gte": 10}}, 0, "cut"),
        ({"type": "rate", "condition": {"factor": 2, "minimum": 2}}, 0, "surplus"),
    ],
)
def test_what_a_group_had_enough_of_is_counted_apart_from_what_an_alert_may_need(
    body: dict[str, Any], every: float, why: str
) -> None:
    one = correlation(**body)
    groups = Correlator(Router([one]))
    numeric = one.kind in ("value_sum", "value_avg")
    groups.follow(
        signal(one, n * every, member=f"m{n:05}", values=(1.0 if numeric else f"v{n}",)) for n in range(3 * one.limit)
    )
    assert set(groups.notes) == {why}
    assert groups.noted[why, one.id] == groups.notes[why] > 100


def test_a_flood_of_a_future_that_is_not_here_yet_is_no_surplus() -> None:
    one = correlation(condition={"gte": 3})
    groups = Correlator(Router([one]))
    groups.follow(signal(one, 80_000 + n, member=f"w{n}", seen=signal(one, 0).at) for n in range(3000))
    assert set(groups.notes) == {"cut"}


@pytest.mark.parametrize(
    "body",
    [
        {"type": "value_count", "condition": {"field": "f", "gte": 3}},
        {"type": "temporal", "rules": ["a", "b", "c"]},
        ORDERED,
    ],
    ids=["value_count", "temporal", "temporal_ordered"],
)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_windows_say_the_same_without_what_repeats(body: dict[str, Any], data: st.DataObject) -> None:
    one = correlation(**body)
    event = st.tuples(st.integers(0, 900), st.sampled_from(one.rules), st.sampled_from("uvwx"))
    drawn = sorted(data.draw(st.lists(event, min_size=3, max_size=40)))
    signals = [signal(one, at, rule, member=f"m{n:02}", values=(value,)) for n, (at, rule, value) in enumerate(drawn)]
    entries = [Entry(s.at, s.member, one.rules.index(s.rule), EventRef("", "", ""), s.values, s.unit) for s in signals]
    spare = set(pruning.repeats(one, entries))
    left = [s for n, s in enumerate(signals) if n not in spare]
    assert bool(expected(one, left)) == bool(expected(one, signals))


def test_a_flood_of_one_value_takes_a_few_entries_a_timespan() -> None:
    one = correlation(type="value_count", condition={"field": "f", "gte": 3})
    group = new_group(one)
    for each in noise(one, 0, values=("u",)):
        step(group, each)
    assert len(pruning.repeats(one, group.state.entries)) >= len(group.state.entries) - 3
