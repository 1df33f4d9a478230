"""Correlations over Kafka: a worker may die at any effect, and no alert is lost and none is told twice."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import Signal
from detectors.correlation.wire import Clock, encode
from detectors.correlation.wire import decode as decode_signals
from detectors.detection import Detection, decode
from detectors.suppression import GroupState, Opened, state_key, step
from ingest.schema.errors import IntegrityError
from streams import correlation_state
from streams.agents.correlate import CorrelateAgent
from streams.correlation_state import CorrelationStates
from streams.event_clock import IDLE_S, EventClock
from streams.rules_awaited import RulesAwaited
from streams.signal_messages import place_signals
from streams.status import summarise
from streams.topics import CORRELATION_STATE, DEAD_LETTERS, DETECTIONS, SIGNALS
from tests.detectors.correlation.building import START, chain, correlation, draft, run, signal, told
from tests.streams.fakes import PARTITIONS, Brokers, Faults, Killed, accounts_on, runtime_on, snapshots_on

NOW = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)


def agent_on(
    brokers: Brokers, correlations: list[Correlation], interval_s: float = 0.0, rules: RulesAwaited | None = None
) -> CorrelateAgent:
    runtime = runtime_on("detect", brokers)
    runtime.now = lambda: NOW
    snapshots = snapshots_on(brokers, CORRELATION_STATE, SIGNALS, interval_s)
    states = CorrelationStates(Router(correlations), snapshots, rules=rules)
    return CorrelateAgent(runtime, accounts_on("correlate", brokers), states)


async def live(
    brokers: Brokers, correlations: list[Correlation], size: int = 3, lives: int = 60, interval_s: float = 0.0
) -> None:
    """Workers, one after the other, until nothing waits."""
    for _ in range(lives):
        agent = agent_on(brokers, correlations, interval_s)
        try:
            while waiting := brokers.batches("correlate", SIGNALS, size):
                await agent.handle(waiting[0])
        except Killed:
            brokers.faults.reborn()
            continue
        return
    raise AssertionError("it never came to an end")


async def publish(brokers: Brokers, signals: list[Signal]) -> None:
    for one in signals:
        for message in await place_signals(brokers, [one]):
            brokers.append(SIGNALS, message)


def tell_clock(brokers: Brokers, seconds: float, source: str = "raw/0") -> None:
    at = START + int(seconds * 1000)
    for partition in range(PARTITIONS):
        brokers.append(SIGNALS, (None, encode(Clock({source: at}, START)), partition))


def detections(brokers: Brokers) -> list[Detection]:
    return [one for value in brokers.values(DETECTIONS) for one in decode(value)]


def opened(found: list[Detection]) -> list[str]:
    """Alerts as the suppression opens them."""
    states: dict[Any, GroupState] = {}
    alerts = []
    for one in found:
        states[state_key(one)], outcome = step(states.get(state_key(one)), one)
        if isinstance(outcome, Opened):
            alerts.append(outcome.alert_id)
    return alerts


def members(found: list[Detection]) -> dict[str, set[str]]:
    grouped: dict[str, set[str]] = {}
    for one in found:
        grouped.setdefault(one.alert, set()).update(match.member for match in one.matches)
    return grouped


def some(one: Correlation) -> list[Signal]:
    """Bursts of two people."""
    return [
        signal(one, at, member=f"{who}{at}", by=(f'["{who}"]',))
        for who in ("alice", "bob", "carol")
        for at in (0, 10, 20, 30, 700, 1300, 1310, 1320)
    ]


async def test_the_same_alerts_come_out_as_without_kafka() -> None:
    one = correlation(condition={"gte": 3})
    brokers = Brokers()
    await publish(brokers, some(one))
    await live(brokers, [one])
    expected = [d for who in range(3) for d in run([one], some(one)[who * 8 : who * 8 + 8])]
    assert members(detections(brokers)) == told(expected)
    assert sorted(opened(detections(brokers))) == sorted(told(expected))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lives=st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["lost", "applied"])), max_size=6),
    size=st.integers(1, 6),
    kind=st.sampled_from(["at once", "settled"]),
    interval_s=st.sampled_from([0.0, 1.0]),
)
async def test_a_worker_may_die_at_any_effect(
    lives: list[tuple[int, Literal["lost", "applied"]]], size: int, kind: str, interval_s: float
) -> None:
    one = correlation(condition={"gte": 3} if kind == "at once" else {"eq": 3}, lateness="5m")
    signals = some(one)
    undisturbed, brokers = Brokers(), Brokers(Faults(list(lives)))
    for each in (undisturbed, brokers):
        await publish(each, signals)
        tell_clock(each, 600)
        tell_clock(each, 4000)
        await live(each, [one], size, interval_s=interval_s)
    assert members(detections(brokers)) == members(detections(undisturbed)) != {}
    assert sorted(opened(detections(brokers))) == sorted(members(detections(undisturbed)))


async def test_a_chain_goes_through_the_signals_topic() -> None:
    many, both = chain(draft("many", condition={"gte": 3}), draft("both", type="temporal_ordered", rules=["many", "b"]))
    brokers = Brokers()
    await publish(brokers, [signal(many, at) for at in (0, 10, 20)])
    await publish(brokers, [signal(both, 60, "b")])
    await live(brokers, [many, both])
    assert {one.rule_id for one in detections(brokers)} == {"many", "both"}
    assert opened([one for one in detections(brokers) if one.rule_id == "both"]) != []


@pytest.mark.parametrize("how", ["lost", "applied"])
@pytest.mark.parametrize("effect", [None, *range(0, 40, 3)])
async def test_a_chain_by_another_field_goes_on_in_another_partition_wherever_a_worker_dies(
    effect: int | None, how: Literal["lost", "applied"]
) -> None:
    below, above = chain(
        draft("many", condition={"gte": 3}),
        draft("both", type="temporal_ordered", rules=["many", "b"], **{"group-by": ["address"]}),
    )
    signals = [
        signal(below, at, member=f"{who}{at}", by=(f'"{who}"',), brought=(("address", (f'"{who} {at}"',)),))
        for who in ("alice", "bob", "carol")
        for at in (20, 0, 10, 0)
    ]
    ends = [
        signal(above, 60, "b", by=(f'"{who} {at}"',), member=f"{who} in")
        for who, at in (("alice", 0), ("bob", 20), ("dave", 0))
    ]
    brokers = Brokers(Faults([] if effect is None else [(effect, how), (effect, how)]))
    for one in (*signals, *ends):
        for message in await place_signals(brokers, [one]):
            brokers.topics.setdefault((SIGNALS, message[2] or 0), []).append((None, message[1]))
    await live(brokers, [below, above])
    found = [one for one in detections(brokers) if one.rule_id == "both"]
    assert sorted(map(sorted, members(found).values())) == [["alice in", "alice20"], ["bob in", "bob20"]]
    assert len(opened(found)) == 2
    await live(brokers, [below, above])
    reached = {one.group for value in brokers.values(SIGNALS) for one in _read(value) if one.rule == "many"}
    assert len(reached) == 9, "each match of each burst brings its value"


def _read(value: bytes) -> tuple[Signal, ...]:
    message = decode_signals(value)
    assert not isinstance(message, Clock)
    return message.signals


async def test_absence_is_told_when_every_source_has_passed_the_time() -> None:
    one = correlation(type="temporal_ordered", rules=["a", "b"], condition="a and not b", lateness="5m")
    brokers = Brokers()
    await publish(brokers, [signal(one, 0)])
    tell_clock(brokers, 4000, "raw/0")
    tell_clock(brokers, 100, "raw/1")
    agent = agent_on(brokers, [one])
    for partition in range(PARTITIONS):  # the slower source is heard of first
        log = brokers.topics[SIGNALS, partition]
        log.insert(0, log.pop())
    for batch in brokers.batches("correlate", SIGNALS, 1):
        await agent.handle(batch)
    assert detections(brokers) == []
    tell_clock(brokers, 4000, "raw/1")
    for batch in brokers.batches("correlate", SIGNALS, 1):
        await agent.handle(batch)
    assert [found.member for found in detections(brokers)] == ["a0"]


async def test_groups_are_taken_over_after_a_rebalance() -> None:
    one = correlation(condition={"gte": 3})
    brokers = Brokers()
    await publish(brokers, [signal(one, 0), signal(one, 10)])
    await live(brokers, [one])
    await publish(brokers, [signal(one, 20)])
    await live(brokers, [one])
    assert members(detections(brokers)).popitem()[1] == {"a0", "a10", "a20"}


async def test_a_changed_correlation_starts_anew_and_an_equal_one_goes_on() -> None:
    one = correlation(condition={"gte": 3})
    other = correlation(condition={"gte": 2})
    brokers = Brokers()
    rules = RulesAwaited(0.0, lambda _: None, brokers.read)
    agent = agent_on(brokers, [one], rules=rules)
    await publish(brokers, [signal(one, 0), signal(one, 10)])
    for batch in brokers.batches("correlate", SIGNALS, 9):
        await agent.handle(batch)
    rules.offer(Router([correlation(condition={"gte": 3})]))
    await publish(brokers, [signal(one, 20)])
    for batch in brokers.batches("correlate", SIGNALS, 9):
        await agent.handle(batch)
    assert members(detections(brokers)).popitem()[1] == {"a0", "a10", "a20"}
    rules.offer(Router([other]))
    await publish(brokers, [signal(one, 30)])
    for batch in brokers.batches("correlate", SIGNALS, 9):
        await agent.handle(batch)
    assert len(detections(brokers)) == 1


async def test_an_unreadable_message_is_a_dead_letter_and_its_neighbours_go_on() -> None:
    one = correlation(condition={"gte": 1})
    brokers = Brokers()
    await publish(brokers, [signal(one, 0)])
    for partition in range(PARTITIONS):
        brokers.append(SIGNALS, (None, b"\x01\xff nothing", partition))
    await live(brokers, [one])
    assert len(detections(brokers)) == 1
    assert len(brokers.values(DEAD_LETTERS)) == PARTITIONS


async def test_unreadable_states_stop_the_worker() -> None:
    one = correlation(condition={"gte": 1})
    brokers = Brokers()
    await publish(brokers, [signal(one, 0)])
    brokers.append(CORRELATION_STATE, (b"key", b"\xc1", 0))
    brokers.append(CORRELATION_STATE, (b"key", b"\xc1", 1))
    with pytest.raises(IntegrityError, match="reading snapshots"):
        await live(brokers, [one])


async def test_a_state_that_no_message_can_take_is_written_without_its_older_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(correlation_state, "MAX_STATE", 20_000)
    one = correlation(type="new_terms", timespan=None, condition={"field": "f"}, learning="1d", history="30d")
    brokers = Brokers()
    values = [f"{n:03}" + "é" * 120 for n in range(300)]
    await publish(brokers, [signal(one, n * 864, member=f"m{n}", values=(v,)) for n, v in enumerate(values)])
    tell_clock(brokers, 4 * 86_400)
    agent = agent_on(brokers, [one])
    while waiting := brokers.batches("correlate", SIGNALS, 50):
        await agent.handle(waiting[0])
    assert 15_000 < max(map(len, brokers.values(CORRELATION_STATE))) < 20_100
    registry = agent._runtime.telemetry.registry
    assert (registry.get_sample_value("skytrail_signals_left_out_total", {"why": "unsaved"}) or 0) >= 150


async def test_what_is_not_correlated_yet_counts_as_lag_of_detect() -> None:
    one = correlation(condition={"gte": 3})
    brokers = Brokers()
    await publish(brokers, some(one))
    assert summarise(brokers.accounts(), brokers.ends(SIGNALS), [], None).lag["detect"] == len(some(one))
    await live(brokers, [one])
    assert summarise(brokers.accounts(), brokers.ends(SIGNALS), [], None).lag["detect"] == 0


def test_the_clock_of_a_partition_is_its_newest_event_until_it_has_been_idle() -> None:
    clock = EventClock()
    seen = dt.datetime(2026, 3, 2, 11, 0, tzinfo=dt.UTC)
    clock.saw("raw", 0, seen)
    lag = {("raw", 0): 0, ("raw", 1): 7}
    first = clock.tick(lag, NOW, 0.0)
    assert first.sources == {"raw/0": int(seen.timestamp() * 1000), "raw/1": 0}
    later = clock.tick(lag, NOW, IDLE_S)
    assert later.sources == {"raw/0": int(NOW.timestamp() * 1000), "raw/1": 0}
    busy = clock.tick({("raw", 0): 1}, NOW, IDLE_S + 1)
    assert busy.sources == {"raw/0": int(seen.timestamp() * 1000)}
