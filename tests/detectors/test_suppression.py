from __future__ import annotations

import datetime as dt
import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import suppression
from detectors.detection import Detection
from detectors.suppression import Folded, GroupState, Known, Opened, alert_id, state_key, step
from ingest.schema.envelope import Position
from tests.detectors.examples import START, detection


def run(detections: list[Detection], state: GroupState | None = None) -> tuple[GroupState, list[suppression.Outcome]]:
    outcomes = []
    for each in detections:
        state, outcome = step(state, each)
        outcomes.append(outcome)
    assert state is not None
    return state, outcomes


def test_the_first_member_opens_an_alert_at_once() -> None:
    state, outcome = step(None, detection(), Position("t", 0, 7, 3))
    assert isinstance(outcome, Opened)
    assert outcome.window.count == 1
    assert outcome.window.position == Position("t", 0, 7, 3)
    assert state.windows == (outcome.window,)


def test_members_within_the_window_fold_and_are_counted() -> None:
    _, outcomes = run([detection("a"), detection("b", 10), detection("c", 3599)])
    assert [type(outcome) for outcome in outcomes] == [Opened, Folded, Folded]
    assert [outcome.window.count for outcome in outcomes] == [1, 2, 3]
    assert outcomes[-1].window.last == START + dt.timedelta(seconds=3599)
    assert len({outcome.alert_id for outcome in outcomes}) == 1


def test_a_member_at_the_end_of_the_window_opens_the_next_alert() -> None:
    _, outcomes = run([detection("a"), detection("b", 3600)])
    assert [type(outcome) for outcome in outcomes] == [Opened, Opened]
    assert outcomes[0].alert_id != outcomes[1].alert_id


def test_an_earlier_late_member_folds_as_well() -> None:
    _, outcomes = run([detection("a"), detection("b", -1800)])
    assert isinstance(outcomes[1], Folded)
    assert outcomes[1].window.first == START - dt.timedelta(seconds=1800)
    assert outcomes[1].window.start == START


def test_a_late_member_finds_the_alert_before_the_open_one() -> None:
    _, outcomes = run([detection("a"), detection("b", 7300), detection("late", 60)])
    assert isinstance(outcomes[2], Folded)
    assert outcomes[2].alert_id == outcomes[0].alert_id
    assert outcomes[2].window.count == 2


def test_an_old_log_that_is_read_beside_the_present_one_opens_no_second_alert_of_the_present() -> None:
    past = [detection(f"old{n}", (n - 72) * 3600) for n in range(60)]
    present = [detection(f"live{n}", n * 60) for n in range(60)]
    _, outcomes = run([each for pair in zip(present, past, strict=True) for each in pair])
    alerts = {outcome.alert_id for outcome in outcomes[::2]}
    assert len(alerts) == 1, "one hour is one alert"
    assert outcomes[-2].window.count == 60
    assert {type(outcome) for outcome in outcomes[1::2]} == {Opened}


def test_a_known_member_changes_nothing() -> None:
    state, _ = run([detection("a"), detection("b", 5), detection("c", 9000)])
    for member in "abc":
        again, outcome = step(state, detection(member, 12345))
        assert isinstance(outcome, Known)
        assert again == state


def test_without_a_window_each_member_is_its_own_alert() -> None:
    _, outcomes = run([detection("a", window_seconds=0), detection("b", window_seconds=0)])
    assert [type(outcome) for outcome in outcomes] == [Opened, Opened]


def test_a_full_alert_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression, "MAX_MEMBERS", 3)
    _, outcomes = run([detection(member, place) for place, member in enumerate("abcde")])
    assert [type(outcome) for outcome in outcomes] == [Opened, Folded, Folded, Opened, Folded]
    assert [outcome.window.count for outcome in outcomes] == [1, 2, 3, 1, 2]


def test_the_list_of_events_is_cut_and_the_count_is_not() -> None:
    state, _ = run([detection(str(place), place) for place in range(suppression.MAX_EVENTS + 5)])
    assert len(state.windows[0].events) == suppression.MAX_EVENTS
    assert state.windows[0].count == suppression.MAX_EVENTS + 5


def test_the_id_depends_on_what_makes_the_alert_and_on_nothing_else() -> None:
    base = detection()
    changed = [
        detection(rule_id="other"),
        detection(rule_version="2"),
        detection(namespace="other"),
        detection(group_key="other"),
        detection("m1"),
        detection(seconds=1),
    ]
    assert len({alert_id(each) for each in (base, *changed)}) == 7
    same_moment = START.astimezone(dt.timezone(dt.timedelta(hours=2)))
    assert alert_id(detection(at=same_moment, reason="other", ruleset_version="x")) == alert_id(base)
    assert len(alert_id(base)) == 64


def test_a_state_survives_msgpack() -> None:
    state, _ = run([detection("a"), detection("b", 5), detection("c", 9000)])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=GroupState) == state


def test_a_state_says_until_when_it_is_needed() -> None:
    state, _ = run([detection("a"), detection("b", 9000)])
    assert state.expires == START + dt.timedelta(seconds=9000 + 3600)
    assert GroupState().expires is None


def test_groups_are_kept_apart_by_rule_namespace_and_key() -> None:
    keys = {
        state_key(each)
        for each in (detection(), detection(rule_id="x"), detection(namespace="x"), detection(group_key="x"))
    }
    assert len(keys) == 4


MEMBERS = st.lists(st.tuples(st.integers(0, 30), st.integers(-50, 50)), min_size=1, max_size=60)


@given(MEMBERS, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_counts_are_exact_under_duplicates_and_replays(rows: list[tuple[int, int]], rng: random.Random) -> None:
    """All events lie within one window of each other; some come again, in any order."""
    times = {str(number): offset for number, offset in rows}
    stream = [detection(member, at) for member, at in times.items()]
    stream += rng.choices(stream, k=len(stream))
    rng.shuffle(stream)
    state, outcomes = run(stream)
    assert isinstance(outcomes[0], Opened)
    assert sum(isinstance(outcome, Opened) for outcome in outcomes) == 1
    assert state.windows[0].count == len(times) == len(state.windows[0].members)
    replayed, again = run(stream, state)
    assert replayed == state
    assert all(isinstance(outcome, Known) for outcome in again)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=80), st.integers(1, 100))
@settings(max_examples=200, deadline=None)
def test_every_member_belongs_to_exactly_one_alert(gaps: list[int], window: int) -> None:
    """Events in order, each with its own member: alerts partition them, and none is told late."""
    at, stream = 0, []
    for number, gap in enumerate(gaps):
        at += gap
        stream.append(detection(str(number), at, window_seconds=window))
    _, outcomes = run(stream)
    opened = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, Opened)]
    assert opened[0] == 0
    counts = {outcome.alert_id: outcome.window.count for outcome in outcomes}
    assert sum(counts.values()) == len(stream)
    assert len(counts) == len(opened)
    for first, second in pairwise(opened):
        assert (stream[second].at - stream[first].at).total_seconds() >= window


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5000)), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_the_same_order_gives_the_same_alerts(rows: list[tuple[int, int]]) -> None:
    stream = [detection(str(member), at) for member, at in rows]
    (state, first), (again, second) = run(stream), run(stream)
    assert state == again
    assert [outcome.alert_id for outcome in first] == [outcome.alert_id for outcome in second]
