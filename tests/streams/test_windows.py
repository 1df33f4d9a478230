"""Alert windows in a compacted topic: a worker that takes over finds every group, and forgets what is long over."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from detectors.detection import Detection, EventRef, Principal
from detectors.suppression import Folded, Known, Opened
from ingest.schema.envelope import Position
from ingest.schema.errors import IntegrityError
from streams.topics import ALERT_STATE
from streams.windows import FORGET_AFTER, Windows
from tests.streams.fakes import Brokers

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
PLACE = Position("skytrail.detections.v1", 1, 0)


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


async def taken_over(brokers: Brokers, partition: int = 1) -> Windows:
    windows = Windows(brokers.read, brokers)
    await windows.load([partition])
    return windows


async def test_a_worker_that_takes_over_counts_on() -> None:
    brokers = Brokers()
    first = await taken_over(brokers)
    assert isinstance(first.step(detection("a"), PLACE), Opened)
    await first.save()
    second = await taken_over(brokers)
    assert isinstance(second.step(detection("a"), PLACE), Known)
    folded = second.step(detection("b"), PLACE)
    assert isinstance(folded, Folded)
    assert folded.count == 2


async def test_what_was_not_saved_is_not_known_to_the_next_worker() -> None:
    brokers = Brokers()
    (await taken_over(brokers)).step(detection("a"), PLACE)
    assert isinstance((await taken_over(brokers)).step(detection("a"), PLACE), Opened)


async def test_groups_of_other_partitions_are_left_to_their_workers() -> None:
    brokers = Brokers()
    windows = await taken_over(brokers)
    windows.step(detection("a"), PLACE)
    await windows.save()
    assert isinstance((await taken_over(brokers, partition=0)).step(detection("a"), PLACE), Opened)


async def test_a_group_that_is_long_over_is_forgotten_and_one_that_may_still_grow_is_not() -> None:
    brokers = Brokers()
    windows = await taken_over(brokers)
    windows.step(detection("a", group="old"), PLACE)
    windows.step(detection("b", group="young", at=NOON + FORGET_AFTER), PLACE)
    await windows.save()
    windows.step(detection("c", group="new", at=NOON + FORGET_AFTER + dt.timedelta(hours=2)), PLACE)
    await windows.save()
    kept = dict(await brokers.read(ALERT_STATE))
    assert sorted(json.loads(key)[2] for key, value in kept.items() if value) == ["new", "young"]
    later = await taken_over(brokers)
    assert isinstance(later.step(detection("b", group="young"), PLACE), Known)


async def test_windows_that_can_not_be_read_stop_the_role() -> None:
    brokers = Brokers()
    brokers.append(ALERT_STATE, (b'["rule","acme","alice"]', b"\xc1garbage", 0))
    with pytest.raises(IntegrityError, match="alert windows"):
        await taken_over(brokers)
