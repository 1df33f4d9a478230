"""State is bounded and written as msgpack, whatever arrives."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from detectors.correlation.correlator import SEGMENT_MS, Budget, Correlator
from detectors.correlation.group import Group
from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import GroupState
from detectors.correlation.step import expires, new_group, settle, step
from detectors.correlation.terms import MAX_TERMS
from detectors.correlation.values import MAX_VALUE, cut_text
from tests.detectors.correlation.building import START, chain, correlation, correlator, draft, run, signal, told


def test_a_flood_keeps_the_state_small_and_counts_what_it_gives_up() -> None:
    one = correlation(condition={"gte": 10})
    group = new_group(one)
    members = 0
    for number in range(1500):
        alerts = step(group, signal(one, number / 100, member=f"m{number}"))
        members += sum(len(alert.events) for alert in alerts)
    assert one.limit == 500
    assert len(group.state.entries) <= one.limit + one.limit // 8
    assert group.state.cut == 1500 - len(group.state.entries)
    assert members == 1500, "every member is told, so the count of the alert is exact"


def test_a_state_survives_being_written() -> None:
    for body in (
        {"condition": {"gte": 2}},
        {"condition": {"eq": 2}},
        {"type": "new_terms", "timespan": None, "condition": {"field": "f"}},
        {"type": "rate", "condition": {"minimum": 2}},
    ):
        one = correlation(**body)
        group = new_group(one)
        for at in (0, 10, 90_000):
            step(group, signal(one, at, values=(f"v{at}",)))
            settle(group, START + at * 1000 + 1)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(group.state), type=GroupState) == group.state


def test_a_signal_that_is_too_late_is_counted_and_changes_no_alert() -> None:
    one = correlation(condition={"gte": 2}, lateness="1m")
    group = new_group(one)
    step(group, signal(one, 10_000))
    assert step(group, signal(one, 0)) == []
    assert group.state.late == 1


def test_an_event_time_in_the_future_moves_no_clock() -> None:
    one = correlation(condition={"gte": 3})
    wild = signal(one, 86_000, member="wild", seen=START + 5000)
    events = [signal(one, at, seen=START + 20_000) for at in (0, 10, 20)]
    group = new_group(one)
    step(group, wild)
    assert group.state.newest == START + 5000
    assert [m.member for alert in [a for e in events for a in step(group, e)] for m in alert.events] == [
        "a0",
        "a10",
        "a20",
    ]
    assert group.state.late == 0
    assert told(run([one], [wild, *events])) == told(run([one], events))


def test_a_flood_of_event_times_in_the_future_pushes_out_nothing_true() -> None:
    one = correlation(condition={"gte": 3})
    group = new_group(one)
    step(group, signal(one, 0, seen=START))
    step(group, signal(one, 10, seen=START + 10_000))
    for number in range(3000):
        step(group, signal(one, 80_000 + number, member=f"w{number}", seen=START + 10_000))
    (alert,) = step(group, signal(one, 20, seen=START + 20_000))
    assert {entry.member for entry in alert.events} == {"a0", "a10", "a20"}
    assert group.state.cut > 2000


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


def two() -> tuple[Correlation, Correlation]:
    flooded, quiet = chain(draft("flooded", condition={"gte": 2}), draft("quiet", condition={"gte": 3}))
    return flooded, quiet


def test_one_correlation_with_many_groups_starves_no_other() -> None:
    flooded, quiet = two()
    groups = correlator([flooded, quiet], budget=Budget(limit=40))
    groups.follow([signal(quiet, 0), signal(quiet, 1)])
    groups.follow([signal(flooded, n, by=(f'["{n}"]',)) for n in range(100)])
    assert groups.notes["forgotten"] > 80
    assert len(groups) == 101 - groups.notes["forgotten"]
    (found,) = groups.follow([signal(quiet, 2)]).detections
    assert found.rule_id == "quiet"
    assert len(found.matches) == 3


@pytest.mark.parametrize(
    "body",
    [
        {"condition": {"gte": 2}},
        {"type": "new_terms", "timespan": None, "condition": {"field": "f"}},
        {"type": "temporal", "rules": ["a", "b"], "condition": "a and not b", "timespan": "7d"},
    ],
    ids=["at once", "new terms", "absence"],
)
def test_of_groups_that_somebody_invents_nothing_stays_behind(body: dict[str, Any]) -> None:
    one = correlation(**body)
    groups = correlator([one], budget=Budget(limit=1000))

    def flood(start: int, number: int) -> int:
        """How much is still referred to, after so many more groups."""
        for n in range(start, start + number):
            values = ("v",) if one.fields else ()
            groups.follow([signal(one, n / 100, member=f"m{n}", by=(f'["{n}"]',), values=values)])
        groups.changed.clear()  # by the snapshot
        seen: set[int] = set()
        return _referred(vars(groups), seen)

    few, many = flood(0, 3000), flood(3000, 9000)
    assert groups.notes["forgotten"] > 11_000
    assert many < 1.5 * few, "what is kept follows from the budget, not from how many groups came"
    groups.advance(START + 2 * 500 * 86_400_000)
    assert len(groups) == 0


def _referred(thing: Any, seen: set[int]) -> int:
    """How many elements the containers under something have."""
    if id(thing) in seen or not isinstance(thing, dict | set | list | tuple):
        return 0
    seen.add(id(thing))
    parts = [*thing, *thing.values()] if isinstance(thing, dict) else list(thing)
    return len(thing) + sum(_referred(part, seen) for part in parts)


def test_one_partition_with_many_groups_takes_no_memory_that_another_is_sure_of() -> None:
    flooded, quiet = two()
    budget = Budget(limit=40)
    first, second = correlator([flooded], budget=budget), correlator([quiet], budget=budget)
    second.follow([signal(quiet, 0), signal(quiet, 1)])
    first.follow([signal(flooded, n, by=(f'["{n}"]',)) for n in range(100)])
    (found,) = second.follow([signal(quiet, 2)]).detections
    assert len(found.matches) == 3
    first.follow([])
    assert budget.used <= budget.limit
    first.leave()
    second.leave()
    assert (budget.used, budget.holders) == (0, 0)


def test_signals_of_a_correlation_that_is_gone_are_counted() -> None:
    one = correlation(condition={"gte": 1})
    groups = correlator([one])
    assert groups.follow([signal(one, 0, correlation="gone")]).detections == []
    assert groups.notes["unknown"] == 1


def test_values_that_someone_invents_do_not_grow_the_state_without_end() -> None:
    one = correlation(type="new_terms", timespan=None, condition={"field": "f"}, learning="0d")
    group: Group = new_group(one)
    for start in range(0, MAX_TERMS + 500, 500):
        for number in range(start, start + 500):
            step(group, signal(one, 50_000 + number / 100, values=(f"v{number}",)))
        settle(group, START + 80_000_000)
    assert len(group.state.terms) == MAX_TERMS
    assert group.state.cut == 500


@pytest.mark.parametrize("text", ["a", "é", "中", "😀", "\ud800"])
def test_a_long_value_takes_few_bytes_in_any_script_and_stays_what_it_is(text: str) -> None:
    cut = [cut_text(text * 400 + end) for end in ("x", "y")]
    assert len(set(cut)) == 2
    assert all(200 < len(one.encode()) <= MAX_VALUE for one in cut)
    assert cut_text("short") == "short"


def test_an_attack_that_goes_on_is_one_alert_a_cell() -> None:
    one = correlation(condition={"gte": 3}, timespan="5m", window_seconds=3600)
    alerts = told(run([one], [signal(one, minute * 60) for minute in range(120)]))
    assert 2 <= len(alerts) <= 3
    assert set().union(*alerts.values()) == {f"a{minute * 60}" for minute in range(120)}


def test_an_attack_over_the_end_of_a_cell_is_told_at_once_on_both_sides_with_every_member_of_its_windows() -> None:
    one = correlation(condition={"gte": 3}, timespan="5m", window_seconds=3600)
    end = (one.cell_ms - START % one.cell_ms) // 1000
    group = new_group(one)
    members: dict[str, set[str]] = {}
    opened: dict[str, int] = {}
    for after in (-90, -60, -30, 30, 60):
        for alert in step(group, signal(one, end + after)):
            members.setdefault(alert.cell, set()).update(entry.member for entry in alert.events)
            opened.setdefault(alert.cell, after)
    assert list(opened.values()) == [-30, 30], "each is told by the event that completes it"
    before, behind = members.values()
    assert before == {f"a{end + after}" for after in (-90, -60, -30)}
    assert behind == before | {f"a{end + after}" for after in (30, 60)}


def test_where_too_many_new_terms_wait_the_oldest_are_decided_early_and_none_is_lost() -> None:
    one = correlation(type="new_terms", timespan=None, condition={"field": "f"}, learning="0d")
    group = new_group(one)
    signals = [signal(one, n / 10, member=f"m{n}", values=(f"v{n}",)) for n in range(one.limit + 50)]
    early = [alert for each in signals for alert in step(group, each)]
    assert len(early) == 50
    assert len(early) + len(settle(group, START + 10**8)) == len(signals)
    assert group.state.cut == 0


@pytest.mark.parametrize("where", ["values", "brought"])
def test_many_long_values_of_one_match_weigh_as_many_matches(where: str) -> None:
    below = chain(
        draft("x", condition={"gte": 3}), draft("y", rules=["x"], condition={"gte": 2}, **{"group-by": ["address"]})
    )[0]
    one = below if where == "brought" else correlation(type="value_count", condition={"gte": 3, "field": "f"})
    limit = 2_000
    judge = Correlator(Router([one]), budget=Budget(limit))
    heavy = tuple(f"{number}{'x' * 250}" for number in range(30))
    for number in range(200):
        more: dict[str, Any] = {where: heavy if where == "values" else (("address", heavy),)}
        judge.follow([signal(one, number, by=(f'"user {number}"',), **more)])
    assert sum(len(state.entries) for _, state in judge.states()) < limit / 12, "about 16 plain matches each"
    assert judge.notes["forgotten"]
    for key, state in list(judge.states()):
        restored = Correlator(Router([one]), budget=Budget(limit))
        restored.put(key, state)
        assert restored._budget.used == Group(one, state).weight
    judge.leave()
    assert judge._budget.used == 0
