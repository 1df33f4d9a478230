"""State is bounded and written as msgpack, whatever arrives."""

from __future__ import annotations

import msgspec

from detectors.correlation.correlator import SEGMENT_MS
from detectors.correlation.state import GroupState
from detectors.correlation.step import expires, settle, step
from detectors.correlation.terms import MAX_TERMS
from tests.detectors.correlation.building import START, correlation, correlator, run, signal, told


def test_a_flood_keeps_the_state_small_and_counts_what_it_gives_up() -> None:
    one = correlation(condition={"gte": 10})
    state: GroupState | None = None
    members = 0
    for number in range(1500):
        state, alerts = step(one, state, signal(one, number / 100, member=f"m{number}"))
        members += sum(len(alert.events) for alert in alerts)
    assert state is not None
    assert len(state.entries) == one.limit == 500
    assert state.cut == 1000
    assert members == 1500, "every member is told, so the count of the alert is exact"


def test_a_state_survives_being_written() -> None:
    for body in (
        {"condition": {"gte": 2}},
        {"type": "new_terms", "timespan": None, "condition": {"field": "f"}},
        {"type": "rate", "condition": {"minimum": 2}},
    ):
        one = correlation(**body)
        state: GroupState | None = None
        for at in (0, 10, 90_000):
            state, _ = step(one, state, signal(one, at, values=(f"v{at}",)))
            state, _ = settle(one, state, START + at * 1000 + 1)
        assert state is not None
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=GroupState) == state


def test_a_signal_that_is_too_late_is_counted_and_changes_no_alert() -> None:
    one = correlation(condition={"gte": 2}, lateness="1m")
    state, _ = step(one, None, signal(one, 10_000))
    state, alerts = step(one, state, signal(one, 0))
    assert alerts == []
    assert state.late == 1


def test_groups_are_forgotten_when_their_time_is_over_and_only_then() -> None:
    one = correlation(condition={"gte": 2})
    groups = correlator([one])
    groups.follow([signal(one, 0)])
    key = (one.id, "default", '["alice"]'.join("[]"))
    state = groups.state(key)
    assert state is not None
    until = expires(one, state)
    groups.advance(until - SEGMENT_MS)
    assert len(groups) == 1
    groups.changed.clear()
    groups.advance(until + 2 * SEGMENT_MS)
    assert (len(groups), groups.changed) == (0, {key})


def test_one_correlation_with_many_groups_starves_no_other() -> None:
    flooded, quiet = correlation(condition={"gte": 2}), correlation(condition={"gte": 3})
    quiet = type(quiet)(**{name: getattr(quiet, name) for name in quiet.__slots__})
    object.__setattr__(
        quiet,
        "rule",
        type(quiet.rule)(
            **{name: ("quiet" if name == "id" else getattr(quiet.rule, name)) for name in quiet.rule.__slots__}
        ),
    )
    groups = correlator([flooded, quiet], max_groups=10)
    groups.follow([signal(quiet, 0), signal(quiet, 1)])
    groups.follow([signal(flooded, n, by=(f'["{n}"]',)) for n in range(100)])
    assert groups.notes["forgotten"] == 90
    found = groups.follow([signal(quiet, 2)]).detections
    assert {detection.rule_id for detection in found} == {"quiet"}
    assert len(found) == 3


def test_signals_of_a_correlation_that_is_gone_are_counted() -> None:
    one = correlation(condition={"gte": 1})
    groups = correlator([one])
    assert groups.follow([signal(one, 0, correlation="gone")]).detections == []
    assert groups.notes["unknown"] == 1


def test_values_that_someone_invents_do_not_grow_the_state_without_end() -> None:
    one = correlation(type="new_terms", timespan=None, condition={"field": "f"}, learning="0d")
    state: GroupState | None = None
    for start in range(0, MAX_TERMS + 500, 500):
        for number in range(start, start + 500):
            state, _ = step(one, state, signal(one, 50_000 + number / 100, values=(f"v{number}",)))
        assert state is not None
        state, _ = settle(one, state, START + 80_000_000)
    assert state is not None
    assert len(state.terms) == MAX_TERMS
    assert state.cut == 500


def test_an_attack_that_goes_on_is_one_alert_a_cell() -> None:
    one = correlation(condition={"gte": 3}, timespan="5m", window_seconds=3600)
    alerts = told(run([one], [signal(one, minute * 60) for minute in range(120)]))
    assert 2 <= len(alerts) <= 3
    assert set().union(*alerts.values()) == {f"a{minute * 60}" for minute in range(120)}
