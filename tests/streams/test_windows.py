"""Alert windows in a compacted topic: a worker that takes over finds every group, and forgets what is long over."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from detectors.detection import Detection, EventRef, Principal, encode
from detectors.suppression import Folded, Known, Opened, Outcome
from ingest.schema.envelope import Position
from ingest.schema.errors import IntegrityError
from streams import windows as module
from streams.topics import ALERT_STATE, DETECTIONS
from streams.windows import FORGET_AFTER, Windows
from tests.streams.fakes import Brokers, Faults, Killed, snapshots_on

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def detection(member: str, at: dt.datetime = NOON, group: str = "alice") -> Detection:
    return Detection(
        rule_id="rule",
        rule_version="1",
        ruleset_version="1",
        namespace="acme",
        format="aws.cloudtrail",
        group_key=group,
        window_seconds=3600,
        member=member,
        event=EventRef("i", member, "00"),
        at=at,
        principal=Principal(),
        reason="",
        context={},
    )


async def taken_over(brokers: Brokers, partition: int = 1, first: int = 0) -> Windows:
    windows = Windows(snapshots_on(brokers, ALERT_STATE, DETECTIONS), lambda: NOON + dt.timedelta(days=30))
    await windows.load({partition: first})
    return windows


def fold(windows: Windows, offset: int, *detections: Detection, partition: int = 1) -> list[Outcome]:
    return [one for many in windows.follow(Position(DETECTIONS, partition, offset), detections) for one in many]


async def test_a_worker_that_takes_over_counts_on() -> None:
    brokers = Brokers()
    first = await taken_over(brokers)
    (outcome,) = fold(first, 0, detection("a"))
    assert isinstance(outcome, Opened)
    await first.save({1})
    second = await taken_over(brokers, first=1)
    known, folded = fold(second, 1, detection("a"), detection("b"))
    assert isinstance(known, Known)
    assert isinstance(folded, Folded)
    assert folded.count == 2


async def test_a_message_that_a_snapshot_knows_takes_no_effect_again() -> None:
    brokers = Brokers()
    first = await taken_over(brokers)
    fold(first, 0, detection("a"))
    fold(first, 1, detection("b"))
    await first.save({1})
    second = await taken_over(brokers, first=1)
    assert fold(second, 1, detection("b")) == []
    (outcome,) = fold(second, 2, detection("c"))
    assert isinstance(outcome, Folded)
    assert outcome.count == 3


async def test_what_came_since_the_snapshot_is_read_again_and_not_told_again() -> None:
    brokers = Brokers()
    for member in "abc":
        brokers.append(DETECTIONS, (None, encode([detection(member)]), 1))
    second = await taken_over(brokers, first=2)
    (outcome,) = fold(second, 2, detection("c"))
    assert isinstance(outcome, Folded)
    assert outcome.count == 3


async def test_what_was_not_acknowledged_is_not_known_to_the_next_worker() -> None:
    brokers = Brokers()
    fold(await taken_over(brokers), 0, detection("a"))
    (outcome,) = fold(await taken_over(brokers), 0, detection("a"))
    assert isinstance(outcome, Opened)


async def test_a_worker_that_died_while_it_wrote_a_snapshot_leaves_an_exact_count() -> None:
    brokers = Brokers(Faults([(1, "lost")]))
    for member in "ab":
        brokers.append(DETECTIONS, (None, encode([detection(member)]), 1))
    first = await taken_over(brokers)
    fold(first, 0, detection("a"))
    fold(first, 1, detection("b"))
    with pytest.raises(Killed):
        await first.save({1})  # the group is written, the mark is not
    brokers.faults.reborn()
    second = await taken_over(brokers)
    assert fold(second, 0, detection("a")) == []
    assert fold(second, 1, detection("b")) == []
    await second.save({1})
    (outcome,) = fold(await taken_over(brokers, first=2), 2, detection("c"))
    assert isinstance(outcome, Folded)
    assert outcome.count == 3


async def test_groups_of_other_partitions_are_left_to_their_workers() -> None:
    brokers = Brokers()
    windows = await taken_over(brokers)
    fold(windows, 0, detection("a"))
    await windows.save({1})
    (outcome,) = fold(await taken_over(brokers, partition=0), 0, detection("a"), partition=0)
    assert isinstance(outcome, Opened)


async def test_a_group_that_is_long_over_is_forgotten_and_one_that_may_still_grow_is_not() -> None:
    brokers = Brokers()
    windows = await taken_over(brokers)
    fold(windows, 0, detection("a", group="old"))
    fold(windows, 1, detection("b", group="young", at=NOON + FORGET_AFTER))
    await windows.save({1})
    fold(windows, 2, detection("c", group="new", at=NOON + FORGET_AFTER + dt.timedelta(hours=2)))
    await windows.save({1})
    kept = dict(await brokers.read(ALERT_STATE))
    assert sorted(json.loads(key)[2] for key, value in kept.items() if value and b"mark" not in key) == ["new", "young"]
    (outcome,) = fold(await taken_over(brokers, first=3), 3, detection("b", group="young"))
    assert isinstance(outcome, Known)


async def test_an_old_log_that_is_read_beside_the_present_one_is_counted_over_snapshots_and_take_overs() -> None:
    brokers = Brokers()
    windows = await taken_over(brokers)
    past = NOON - dt.timedelta(days=90)
    outcomes: list[Outcome] = []
    for number in range(6):
        outcomes += fold(windows, 2 * number, detection(f"now{number}", group="bob"))
        outcomes += fold(windows, 2 * number + 1, detection(f"then{number}", at=past))
        await windows.save({1})
        if number == 3:
            windows = await taken_over(brokers, first=2 * number + 2)
    assert [type(outcome) for outcome in outcomes[1::2]] == [Opened, *[Folded] * 5]
    fold(windows, 12, detection("later", group="bob", at=NOON + FORGET_AFTER + dt.timedelta(hours=2)))
    await windows.save({1})
    (again,) = fold(windows, 13, detection("then0", at=past))
    assert isinstance(again, Opened), "a group that nothing used for long is forgotten all the same"


async def test_too_many_groups_give_up_those_used_the_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_GROUPS", 2)
    brokers = Brokers()
    windows = await taken_over(brokers)
    for offset, group in enumerate("abca"):
        fold(windows, offset, detection(f"m{offset}", group=group))
    assert await windows.save({1}) == 1
    known = [json.loads(key)[2] for key, value in await brokers.read(ALERT_STATE) if value and b"mark" not in key]
    assert sorted(known) == ["a", "c"]


async def test_windows_that_can_not_be_read_stop_the_role() -> None:
    brokers = Brokers()
    brokers.append(ALERT_STATE, (b'["rule","acme","alice"]', b"\xc1garbage", 1))
    with pytest.raises(IntegrityError, match="reading snapshots"):
        await taken_over(brokers)
