"""The watch as it reads accounts, remembers and tells, wherever its process dies."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.detection import decode
from ingest.schema.errors import IntegrityError
from streams.accounting import RECEIVED, SEALED, Account
from streams.retirement import retirement
from streams.settings import WatchSettings
from streams.source_watch import SourceWatch, received_by_source
from streams.topics import DETECTIONS, SOURCE_WATCH, raw_topic
from tests.streams.fakes import Brokers, Faults, Killed, runtime_on

FORMAT = "aws.cloudtrail"
SOURCE = f"prod|{FORMAT}|trail"
BEGIN = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)
SETTINGS = WatchSettings(look_interval_s=60, expected_interval_s={"trail": 300}, lag_minimum=50, lag_window_s=300)


@dataclass(slots=True)
class Counts:
    """Accounts of a sealer and an indexer at one moment."""

    received: int = 0
    waiting: int = 0
    source: str = SOURCE

    async def look(self, topics: Sequence[str]) -> tuple[list[Account], dict[tuple[str, int], int]]:
        topic = raw_topic(FORMAT)
        assert topic in topics
        counted = {self.source: {RECEIVED: self.received, SEALED: self.received}} if self.source else {}
        seal = Account("seal", topic, 0, self.received, counted)
        index = Account("index", topic, 0, self.received, counted)
        return [seal, index], {(topic, 0): self.received + self.waiting}


@dataclass(slots=True)
class Scene:
    """A watch that can die and come back, over a clock that tests set."""

    brokers: Brokers = field(default_factory=Brokers)
    counts: Counts = field(default_factory=Counts)
    now: dt.datetime = BEGIN
    watch: SourceWatch = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self, settings: WatchSettings = SETTINGS) -> None:
        runtime = runtime_on("detect", self.brokers)
        runtime.now = lambda: self.now
        self.watch = SourceWatch(runtime, self.counts, self.brokers.read, [FORMAT], settings, lambda _: ["a-rule"])

    def minute(self, number: int, waiting: int = 0, settings: WatchSettings | None = None) -> None:
        """A minute passes and brings so many records; the look is repeated by a new process when one dies."""
        if settings:
            self.start(settings)
        self.now += dt.timedelta(minutes=1)
        self.counts.received += number
        self.counts.waiting = waiting
        while True:
            try:
                asyncio.run(self.watch.look())
            except Killed:
                self.brokers.faults.reborn()
                self.start()
            else:
                return

    def told(self) -> list[tuple[str, str]]:
        found = [each for value in self.brokers.values(DETECTIONS) for each in decode(value)]
        return list(dict.fromkeys((each.rule_id, each.member) for each in found))


def story(scene: Scene) -> list[tuple[str, str]]:
    """A source works, falls silent, comes back; meanwhile a backlog grows."""
    for number, waiting in [(5, 0)] * 5 + [(0, 100)] * 30 + [(5, 0)] * 3:
        scene.minute(number, waiting)
    return scene.told()


@dataclass(slots=True)
class TwoFormats(Counts):
    """The same collector brought one record of another format once."""

    async def look(self, topics: Sequence[str]) -> tuple[list[Account], dict[tuple[str, int], int]]:
        (seal, index), ends = await super(TwoFormats, self).look(topics)
        seal.sources["prod|aws.guardduty|trail"] = {RECEIVED: 1}
        return [seal, index], ends


def test_a_rare_format_is_not_silent_while_its_collector_brings_others() -> None:
    unlearned = WatchSettings(look_interval_s=60, unlearned_silence_s=300, lag_minimum=10_000)
    scene = Scene(counts=TwoFormats())
    for brings, told in ((5, []), (0, ["skytrail-source-silent"] * 2)):
        for _ in range(20):
            scene.minute(brings, settings=unlearned)
        assert [name for name, _ in scene.told()] == told


def test_a_silence_and_a_backlog_are_told_and_so_are_their_ends() -> None:
    names = [name for name, _ in story(Scene())]
    assert sorted(names) == [
        "skytrail-lag-growing",
        "skytrail-lag-growing",
        "skytrail-lag-growing",
        "skytrail-source-recovered",
        "skytrail-source-recovered",
        "skytrail-source-recovered",
        "skytrail-source-recovered",
        "skytrail-source-silent",
    ]


def test_of_a_source_that_is_taken_out_of_service_beside_the_watch_no_silence_is_told() -> None:
    scene = Scene()
    for number in [5] * 5:
        scene.minute(number)
    key, value = retirement("trail", scene.now)
    scene.brokers.append(SOURCE_WATCH, (key, value, None))
    for _ in range(30):
        scene.minute(0)
    scene.start()  # another worker goes on
    for _ in range(30):
        scene.minute(0)
    assert scene.told() == []


def test_taking_one_source_out_of_service_hides_the_silence_of_no_other() -> None:
    scene = Scene()
    key, value = retirement("trai", scene.now)
    scene.brokers.append(SOURCE_WATCH, (key, value, None))
    for number in [5] * 5 + [0] * 30:
        scene.minute(number)
    assert [name for name, _ in scene.told()] == ["skytrail-source-silent"]


def test_a_collector_that_is_expected_and_never_brought_anything_is_told_and_so_is_its_first_record() -> None:
    scene = Scene(counts=Counts(source=""))
    for _ in range(30):
        scene.minute(0)
    scene.start()  # another worker goes on
    for _ in range(30):
        scene.minute(0)
    assert [name for name, _ in scene.told()] == ["skytrail-source-silent"]
    (reason,) = {each.reason for value in scene.brokers.values(DETECTIONS) for each in decode(value)}
    assert reason.startswith("nothing ever came from the collector trail, ")
    scene.counts.source = SOURCE
    for number in [5] * 3 + [0] * 30:
        scene.minute(number)
    assert sorted(name for name, _ in scene.told()) == [
        "skytrail-source-recovered",
        "skytrail-source-silent",
        "skytrail-source-silent",
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["lost", "applied"])), max_size=6))
def test_the_same_is_told_wherever_the_process_dies(lives: list[tuple[int, Literal["lost", "applied"]]]) -> None:
    assert sorted(story(Scene(Brokers(Faults(lives=list(lives)))))) == sorted(story(Scene()))


def test_received_is_the_count_of_the_role_that_is_ahead() -> None:
    accounts = [
        Account("seal", "t", 0, 1, {SOURCE: {RECEIVED: 3}, "unreadable|unreadable|unreadable": {RECEIVED: 9}}),
        Account("seal", "t", 1, 1, {SOURCE: {RECEIVED: 4}}),
        Account("index", "t", 0, 1, {SOURCE: {RECEIVED: 5}}),
        Account("alert", "t", 0, 1, {"-|detections|-": {"detections": 5}}),
    ]
    assert received_by_source(accounts) == {SOURCE: 7}


def test_a_memory_that_is_none_stops_the_watch() -> None:
    scene = Scene()
    scene.brokers.append(SOURCE_WATCH, (b"x", b"\xc1", None))
    with pytest.raises(IntegrityError, match="reading the watch over sources"):
        asyncio.run(scene.watch.look())
