"""Workers reload at different moments: what one with the newer rules finds is not lost at one without them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import pytest
from structlog.testing import capture_logs

from detectors.correlation.model import Correlation
from detectors.correlation.signals import Router
from detectors.correlation.state import Signal
from streams.accounting import Account, Run
from streams.agents.correlate import CorrelateAgent
from streams.correlation_state import CorrelationStates
from streams.evaluations import encode_run
from streams.rules_awaited import LOOK_S, Abandoned, RulesAwaited
from streams.signal_messages import place_signals
from streams.topics import CORRELATION_STATE, EVALUATIONS, SIGNALS
from tests.detectors.correlation.building import chain, correlation, draft, signal
from tests.streams.fakes import PARTITIONS, Brokers, Faults, Killed, accounts_on, runtime_on, snapshots_on
from tests.streams.test_correlate import detections, members, opened

PATIENCE_S = 60.0
NAMES = [f'["{name}"]' for name in ("alice", "bob", "carol", "dave", "erin", "frank")]


def rule_set(version: str, *correlations: Correlation, taken: int = 0) -> Router:
    return Router(correlations, version=version, taken=taken)


def made(router: Router, one: Correlation, at: float, rule: str = "a", **changes: Any) -> Signal:
    """A signal as a worker with this rule set makes it."""
    maker = router.succession.maker
    plain = signal(one, at, rule, ruleset_version=maker.version, taken=maker.taken, **changes)
    return msgspec.structs.replace(plain, **router.succession.stamp(one.id, rule)._asdict())


class Worker:
    """What correlates of one worker: the partitions that it has, and a clock that goes on while it waits.

    Attributes:
        coming: When a rule set comes into force here: seconds of waiting → the set.
    """

    def __init__(self, brokers: Brokers, router: Router, partitions: Sequence[int]) -> None:
        self.runtime = runtime_on("detect", brokers)
        self.coming: dict[float, Router] = {}
        self.waited = 0.0
        self.rules = RulesAwaited(
            PATIENCE_S, self.runtime.waiting, brokers.read, sleep=self._sleep, monotonic=lambda: self.waited
        )
        states = CorrelationStates(router, snapshots_on(brokers, CORRELATION_STATE, SIGNALS), rules=self.rules)
        self.agent = CorrelateAgent(self.runtime, accounts_on("correlate", brokers), states)
        self.partitions = partitions
        self._brokers = brokers

    async def _sleep(self, seconds: float) -> None:
        self.waited += seconds
        for at in [at for at in self.coming if at <= self.waited]:
            self.rules.offer(self.coming.pop(at))

    async def work(self) -> None:
        """Until nothing waits in its partitions."""
        while batch := [
            event
            for event in next(iter(self._brokers.batches("correlate", SIGNALS, 1000)), [])
            if event.message.partition in self.partitions
        ]:
            await self.agent.handle(batch[:5])

    def left_out(self, why: str) -> float:
        registry = self.runtime.telemetry.registry
        return registry.get_sample_value("skytrail_signals_left_out_total", {"why": why}) or 0


async def publish(brokers: Brokers, signals: Sequence[Signal]) -> None:
    for one in signals:
        for message in await place_signals(brokers, [one]):
            brokers.append(SIGNALS, message)


async def test_signals_of_an_added_correlation_wait_at_a_worker_that_has_not_reloaded() -> None:
    one, other = correlation(condition={"gte": 3}), chain(draft("other", condition={"gte": 3}))[0]
    old, new = rule_set("old", other), rule_set("new", other, one, taken=100)
    brokers = Brokers()
    behind = Worker(brokers, old, [0])
    behind.coming[7.0] = rule_set("new", other, one, taken=107)
    ahead = Worker(brokers, new, [1])
    await publish(brokers, [made(new, one, at, by=(by,)) for at in (0, 10, 20) for by in NAMES])
    await publish(brokers, [made(old, other, at, by=(by,)) for at in (0, 10, 20) for by in NAMES])
    assert all(brokers.topics[SIGNALS, partition] for partition in range(PARTITIONS)), "both workers have some"
    await ahead.work()
    await behind.work()
    assert len(members(detections(brokers))) == 2 * len(NAMES)
    assert {len(found) for found in members(detections(brokers)).values()} == {3}
    assert 7.0 <= behind.waited <= 7.0 + LOOK_S
    assert (behind.left_out("unknown"), ahead.left_out("unknown"), ahead.waited) == (0, 0, 0)


async def test_while_it_waits_nothing_is_acknowledged_and_a_killed_worker_loses_nothing() -> None:
    one = correlation(condition={"gte": 3})
    old, new = rule_set("old"), rule_set("new", one, taken=100)
    brokers = Brokers()
    await publish(brokers, [made(new, one, at) for at in (0, 10)])
    behind = Worker(brokers, old, range(PARTITIONS))

    async def killed(_: float) -> None:
        raise Killed

    behind.rules._sleep = killed
    with pytest.raises(Killed):
        await behind.work()
    assert brokers.committed == {}
    await publish(brokers, [made(new, one, 20)])
    await Worker(brokers, new, range(PARTITIONS)).work()
    assert list(members(detections(brokers)).values()) == [{"a0", "a10", "a20"}]


async def test_a_worker_that_takes_over_without_the_rules_waits_for_them_and_goes_on_where_the_dead_one_was() -> None:
    one = correlation(condition={"gte": 3})
    old, new = rule_set("old"), rule_set("new", one, taken=100)
    for saved in (True, False):
        brokers = Brokers()
        await publish(brokers, [made(new, one, at) for at in (0, 10)])
        dead = Worker(brokers, new, range(PARTITIONS))
        if not saved:
            dead.agent._states._snapshots = snapshots_on(brokers, CORRELATION_STATE, SIGNALS, 60.0)
            dead.agent._states._snapshots._written = dict.fromkeys(range(PARTITIONS), 0.0)
        await dead.work()
        await publish(brokers, [made(new, one, 20)])
        heir = Worker(brokers, old, range(PARTITIONS))
        heir.coming[9.0] = rule_set("new", one, taken=109)
        await heir.work()
        assert list(members(detections(brokers)).values()) == [{"a0", "a10", "a20"}], f"snapshot: {saved}"
        assert heir.left_out("unknown") == 0


async def test_a_set_that_does_not_come_is_given_up_once_loudly_and_counted() -> None:
    one, other = correlation(condition={"gte": 2}), chain(draft("other", condition={"gte": 2}))[0]
    old, new = rule_set("old", other), rule_set("new", one, other, taken=100)
    brokers = Brokers()
    behind = Worker(brokers, old, range(PARTITIONS))
    with capture_logs() as logs:
        for at in (0, 10, 20):
            await publish(brokers, [made(new, one, at, by=(by,)) for by in NAMES])
            await publish(brokers, [made(old, other, at, by=(by,)) for by in NAMES])
            await behind.work()
    assert behind.waited == PATIENCE_S, "once, not for each batch"
    assert behind.left_out("unknown") == 3 * len(NAMES)
    assert {found.rule_id for found in detections(brokers)} == {"other"}
    (told,) = [each for each in logs if each["event"] == "rule sets of other workers did not come"]
    assert (told["versions"], told["log_level"]) == (["new"], "error")
    assert told["mend"]


async def test_sets_that_are_not_the_one_waited_for_do_not_prolong_the_wait() -> None:
    one = correlation(condition={"gte": 2})
    brokers = Brokers()
    behind = Worker(brokers, rule_set("old"), range(PARTITIONS))
    for number in range(1, 40):  # somebody edits a file here every ten seconds
        behind.coming[10.0 * number] = rule_set(f"edit {number}", taken=number)
    await publish(brokers, [made(rule_set("new", one, taken=100), one, at) for at in (0, 10)])
    await behind.work()
    assert behind.waited <= PATIENCE_S + LOOK_S
    assert behind.left_out("unknown") == 2


async def test_a_set_that_was_given_up_and_came_after_all_is_waited_for_like_any_other() -> None:
    one = correlation(condition={"gte": 2})
    new = rule_set("new", one, taken=100)
    brokers = Brokers()
    behind = Worker(brokers, rule_set("old"), range(PARTITIONS))
    await publish(brokers, [made(new, one, 0)])
    await behind.work()
    assert behind.waited == PATIENCE_S
    for offered in (rule_set("new", one, taken=170), rule_set("without", taken=200)):
        behind.rules.offer(offered)
        await behind.agent._states.ready([])
    behind.coming[behind.waited + 5] = rule_set("new", one, taken=305)
    await publish(brokers, [made(rule_set("new", one, taken=300), one, at) for at in (300, 310)])
    await behind.work()
    assert list(members(detections(brokers)).values()) == [{"a300", "a310"}]


async def test_a_wait_long_ago_does_not_shorten_the_next_one() -> None:
    one, two = correlation(condition={"gte": 2}), chain(draft("two", condition={"gte": 2}))[0]
    new = rule_set("new", one, two, taken=100)
    brokers = Brokers()
    behind = Worker(brokers, rule_set("old"), range(PARTITIONS))
    behind.coming[50.0] = rule_set("first half", one, taken=150)
    behind.coming[PATIENCE_S + 40.0] = rule_set("both", one, two, taken=200)
    await publish(brokers, [made(new, one, at) for at in (0, 10)])
    await behind.work()
    await publish(brokers, [made(new, two, at) for at in (0, 10)])
    await behind.work()
    assert {found.rule_id for found in detections(brokers)} == {one.id, two.id}


@pytest.mark.parametrize("restoring", [False, True])
async def test_a_rebalance_ends_the_wait_and_whoever_has_the_partitions_next_loses_nothing(*, restoring: bool) -> None:
    one = correlation(condition={"gte": 3})
    old, new = rule_set("old"), rule_set("new", one, taken=100)
    brokers = Brokers()
    await publish(brokers, [made(new, one, at) for at in (0, 10)])
    if restoring:  # it waits for the set of a snapshot, not of the batch
        await Worker(brokers, new, range(PARTITIONS)).work()
        await publish(brokers, [made(new, one, 20)])
    behind = Worker(brokers, old, range(PARTITIONS))
    written, committed = {place: list(log) for place, log in brokers.topics.items()}, dict(brokers.committed)
    taken_away = behind._sleep

    async def sleep(seconds: float) -> None:
        await taken_away(seconds)
        if behind.waited >= 3:
            behind.rules.leave()

    behind.rules._sleep = sleep
    with pytest.raises(Abandoned):
        await behind.work()
    assert behind.waited <= 3 + LOOK_S
    assert (brokers.topics, brokers.committed) == (written, committed), "nothing was done with the batch"
    behind.agent.forget()
    assert behind.agent._states._budget.holders == 0, "what was read in vain holds no memory"
    behind.rules.stay()
    behind.rules._sleep = taken_away
    behind.coming[behind.waited + 2] = rule_set("new", one, taken=105)
    if not restoring:
        await publish(brokers, [made(new, one, 20)])
    await behind.work()
    assert list(members(detections(brokers)).values()) == [{"a0", "a10", "a20"}]
    assert behind.left_out("unknown") == 0


def evaluated(brokers: Brokers, version: str, since_ms: int, partition: int = 0) -> None:
    """What the evaluation ledger says once a set has evaluated something."""
    since = dt.datetime.fromtimestamp(since_ms / 1000, dt.UTC).isoformat()
    run = Run(len(brokers.values(EVALUATIONS)), version, since)
    key, value = encode_run(Account("detect", "raw", partition, run=run))
    brokers.append(EVALUATIONS, (key, value, 0))


async def test_a_worker_that_starts_with_newer_rules_waits_for_none_that_were_evaluated_before() -> None:
    before, after = correlation(condition={"gte": 9}), correlation(condition={"gte": 2})
    old, new = rule_set("old", before, taken=10), rule_set("new", after, taken=100)
    brokers = Brokers()
    evaluated(brokers, "old", 10)
    await publish(brokers, [made(old, before, 0)])
    await Worker(brokers, old, range(PARTITIONS)).work()
    await publish(brokers, [made(old, before, 10), made(new, after, 20)])
    fresh = Worker(brokers, new, range(PARTITIONS))
    await fresh.work()
    assert fresh.waited == 0
    assert list(members(detections(brokers)).values()) == [{"a10", "a20"}]
    gone = Worker(brokers, rule_set("without", taken=200), range(PARTITIONS))
    evaluated(brokers, "new", 100)
    await publish(brokers, [made(new, after, 30)])
    await gone.work()
    assert (gone.waited, gone.left_out("outdated"), gone.left_out("unknown")) == (0, 1, 0)


async def test_a_worker_that_starts_with_older_rules_goes_on_with_the_states_of_the_newer_ones() -> None:
    before, after = correlation(condition={"gte": 9}), correlation(condition={"gte": 3})
    old, new = rule_set("old", before, taken=500), rule_set("new", after, taken=100)
    brokers = Brokers()
    evaluated(brokers, "old", 10)
    await publish(brokers, [made(new, after, at) for at in (0, 10)])
    await Worker(brokers, new, range(PARTITIONS)).work()
    evaluated(brokers, "new", 100)
    evaluated(brokers, "old", 501, partition=1)  # the worker that fell behind evaluates, too
    behind = Worker(brokers, old, range(PARTITIONS))
    behind.coming[8.0] = rule_set("new", after, taken=508)
    await publish(brokers, [made(new, after, 20)])
    await behind.work()
    assert behind.waited >= 8.0
    assert list(members(detections(brokers)).values()) == [{"a0", "a10", "a20"}]


async def test_signals_of_a_removed_correlation_are_left_out_at_once_and_counted_apart() -> None:
    one = correlation(condition={"gte": 2})
    old, new = rule_set("old", one), rule_set("new", taken=100)
    brokers = Brokers()
    ahead = Worker(brokers, old, range(PARTITIONS))
    await publish(brokers, [made(old, one, 0)])
    await ahead.work()
    ahead.rules.offer(new)
    await publish(brokers, [made(old, one, 10)])
    await ahead.work()
    assert detections(brokers) == []
    assert (ahead.waited, ahead.left_out("outdated"), ahead.left_out("unknown")) == (0, 1, 0)


async def test_a_removal_that_is_taken_back_is_waited_for() -> None:
    one = correlation(condition={"gte": 2})
    old, without = rule_set("old", one), rule_set("without", taken=100)
    again = rule_set("old", one, taken=200)
    brokers = Brokers()
    behind = Worker(brokers, old, range(PARTITIONS))
    await publish(brokers, [made(old, one, 0)])
    await behind.work()
    behind.rules.offer(without)
    behind.coming[5.0] = rule_set("old", one, taken=205)
    await publish(brokers, [made(again, one, 10)])
    await behind.work()
    assert list(members(detections(brokers)).values()) == [{"a0", "a10"}], "what it had learnt is there again, too"


@pytest.mark.parametrize("interval_s", [0.0, 60.0])
async def test_what_a_removed_correlation_had_learnt_outlives_snapshots_and_workers(interval_s: float) -> None:
    one = correlation(condition={"gte": 3})
    brokers = Brokers()
    worker = Worker(brokers, rule_set("old", one), range(PARTITIONS))
    worker.agent._states._snapshots = snapshots_on(brokers, CORRELATION_STATE, SIGNALS, interval_s)
    await publish(brokers, [made(rule_set("old", one), one, at) for at in (0, 10)])
    await worker.work()
    worker.rules.offer(rule_set("without", taken=100))
    worker.agent._states._snapshots = snapshots_on(brokers, CORRELATION_STATE, SIGNALS)
    await publish(brokers, [made(rule_set("old", one), one, 15, by=(by,)) for by in NAMES])
    await worker.work()
    for heir in (worker, Worker(brokers, rule_set("without", taken=150), range(PARTITIONS))):
        heir.rules.offer(rule_set("old", one, taken=200))
    last = Worker(brokers, rule_set("old", one, taken=300), range(PARTITIONS))
    await publish(brokers, [made(rule_set("old", one, taken=300), one, 20)])
    await last.work()
    assert list(members(detections(brokers)).values()) == [{"a0", "a10", "a20"}]


async def test_a_changed_correlation_judges_every_match_that_was_made_with_it() -> None:
    before, after = correlation(condition={"gte": 9}), correlation(condition={"gte": 3})
    old, new = rule_set("old", before), rule_set("new", after, taken=100)
    brokers = Brokers()
    behind = Worker(brokers, old, range(PARTITIONS))
    behind.coming[3.0] = rule_set("new", after, taken=103)
    await publish(brokers, [made(old, before, 0), made(new, after, 10)])
    await publish(brokers, [made(old, before, 20), made(new, after, 30)])
    await behind.work()
    (alert,) = members(detections(brokers)).values()
    assert {"a10", "a30"} < alert, "those of the older set count, too: they were read from the same fields"
    assert behind.left_out("outdated") == 0


async def test_signals_with_other_fields_enter_no_group_and_end_no_worker() -> None:
    before = chain(draft("x", condition={"gte": 2}), draft("y", type="temporal_ordered", rules=["x", "b"]))
    groups = {"group-by": ["user", "address"]}
    after = chain(
        draft("x", condition={"gte": 2}, **groups), draft("y", type="temporal_ordered", rules=["x", "b"], **groups)
    )
    old, new = rule_set("old", *before), rule_set("new", *after, taken=100)
    brokers = Brokers()
    ahead = Worker(brokers, old, range(PARTITIONS))
    await publish(brokers, [made(old, before[0], 0)])
    await ahead.work()
    ahead.rules.offer(new)
    await publish(brokers, [made(old, before[0], at) for at in (10, 20)])
    await publish(brokers, [made(new, after[0], at, by=(NAMES[0], NAMES[1])) for at in (30, 40)])
    await ahead.work()
    assert list(members(detections(brokers)).values()) == [{"a30", "a40"}]
    assert ahead.left_out("outdated") == 2


async def test_a_match_of_an_old_correlation_reaches_the_new_one_that_builds_upon_it() -> None:
    below, above = chain(draft("x", condition={"gte": 2}), draft("y", type="temporal_ordered", rules=["x", "b"]))
    old, new = rule_set("old", below), rule_set("new", below, above, taken=100)
    brokers = Brokers()
    behind = Worker(brokers, old, range(PARTITIONS))
    behind.coming[4.0] = rule_set("new", below, above, taken=104)
    await publish(brokers, [made(new, below, at) for at in (0, 10)])
    await publish(brokers, [made(new, above, 60, "b")])
    await behind.work()
    assert {one.rule_id for one in detections(brokers)} == {"x", "y"}


async def test_words_made_for_another_sentence_are_not_put_into_this_one() -> None:
    one = correlation(condition={"gte": 2})
    texts = ("{user.name} from {source.ip}", "{source.ip} by {user.name}")
    worded = [dataclasses.replace(one, rule=dataclasses.replace(one.rule, reason=text)) for text in texts]
    old, new = rule_set("old", worded[0]), rule_set("new", worded[1], taken=100)
    brokers = Brokers()
    worker = Worker(brokers, new, range(PARTITIONS))
    await publish(brokers, [made(old, worded[0], at, words=("alice", "1.2.3.4")) for at in (0, 10)])
    await worker.work()
    (found,) = detections(brokers)
    assert found.reason == "(unknown source.ip) by (unknown user.name)"


@pytest.mark.parametrize("how", ["lost", "applied"])
@pytest.mark.parametrize("effect", range(14))
async def test_a_worker_may_die_at_any_effect_while_rules_change(effect: int, how: Literal["lost", "applied"]) -> None:
    one = correlation(condition={"gte": 3})
    old, new = rule_set("old"), rule_set("new", one, taken=100)
    brokers = Brokers(Faults([]))
    await publish(brokers, [made(new, one, at) for at in (0, 10, 20, 700, 710, 720)])
    brokers.faults = Faults([(effect, how), (effect // 2, how)])
    for _ in range(5):
        worker = Worker(brokers, old, range(PARTITIONS))
        worker.coming[2.0] = rule_set("new", one, taken=102)
        try:
            await worker.work()
        except Killed:
            brokers.faults.reborn()
            continue
        break
    assert sorted(map(sorted, members(detections(brokers)).values())) == [
        ["a0", "a10", "a20"],
        ["a700", "a710", "a720"],
    ]
    assert len(opened(detections(brokers))) == 2
