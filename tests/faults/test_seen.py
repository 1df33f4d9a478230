"""`skytrail rules seen` after `kill -9` of the role detect: it claims what was evaluated, and nothing beyond."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import random
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from detectors.detection import decode
from ingest.formats.registry import all_formats
from ingest.schema.envelope import Position
from ingest.schema.errors import UnsupportedEnvelope
from skytrail.cli.exits import Exit
from streams.preparing import prepare
from streams.status import wait_until_caught_up
from streams.topics import ACCOUNTING, DETECTIONS, EVALUATIONS, raw_topic
from tests.faults.material import CLOUDTRAIL, cloudtrail, envelopes
from tests.faults.oracle import LIMITS, advanced, messages_of
from tests.faults.road import START_TIMEOUT_S, Road, feeding, publish, ran, spawn, told, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.engines]
NAMESPACE = "seen"
BEFORE, AFTER = "test-every-before", "test-every-after"
CODES = {"seen": 0, "partly": 1, "unseen": 1, "unknown": 5}
Place = tuple[str, int, int]
"""Topic, partition, offset."""


class Watch:
    """A rule set of one rule that every record matches: the detections tell which records were evaluated."""

    def __init__(self, road: Road, directory: Path, begun: dt.datetime) -> None:
        self.road, self.directory, self.begun = road, directory, begun

    def rules(self, rule_id: str) -> Mapping[str, Any]:
        """Settings of a worker with this rule alone."""
        directory = self.directory / rule_id
        directory.mkdir(exist_ok=True)
        (directory / "rule.yml").write_text(
            f"title: {rule_id}\nname: {rule_id}\nlevel: low\nlogsource: {{product: aws, service: cloudtrail}}\n"
            "detection: {s: {eventVersion: '*'}, condition: s}\n",
            "utf-8",
        )
        return {"rules": [str(directory)], "shipped_rules": False}

    def start(self, rule_id: str) -> None:
        """Start a worker of the role with this rule alone."""
        worker = self.road.start("detect", detection=self.rules(rule_id))
        wait_for(functools.partial(worker.said, "worker started"), f"{worker.name} is up")

    def dies(self, rule_id: str, topic: str) -> None:
        """Let a worker with this rule run until it has sent something to a topic."""
        config = self.road.config(rule_id, {"detection": self.rules(rule_id)})
        words = [topic, "--config", str(config), "worker", "detect"]
        worker = spawn(words, self.road.directory / f"{rule_id}.log", "tests.faults.dying_detect")
        try:
            assert worker.wait(START_TIMEOUT_S) == -signal.SIGKILL
        finally:
            worker.kill()
            worker.wait()

    def words(self, rule_id: str) -> tuple[str, ...]:
        """The command about a rule, from the beginning of the test on."""
        return ("rules", "seen", rule_id, "--from", self.begun.isoformat())

    async def answers(self, rule_id: str) -> tuple[str, Mapping[str, set[Place]]]:
        """What the command says: its verdict, and places by answer.

        Raises:
            AssertionError: A place has two answers, or one within a partition has none.
        """
        config = self.road.config("seen", {})
        code, said, words_said = await asyncio.to_thread(told, config, *self.words(rule_id))
        assert code == CODES[said["verdict"]], words_said
        found: dict[str, set[Place]] = {answer: set() for answer in ("yes", "no", "unknown", "not yet")}
        for part in said["ranges"]:
            offsets = range(part["first_offset"], part["last_offset"] + 1)
            places = {(part["topic"], part["partition"], offset) for offset in offsets}
            assert not any(places & others for others in found.values())
            found[part["seen"]] |= places
        return said["verdict"], found

    async def evaluated(self, rule_id: str) -> set[str]:
        """Leaf hashes of the records that a rule set with this rule has evaluated, as its detections tell."""
        found: set[str] = set()
        for values in (await messages_of(self.road, [DETECTIONS])).values():
            for value in values.values():
                with contextlib.suppress(UnsupportedEnvelope):  # the poison of another test, which is no detection
                    found.update(each.event.hash for each in decode(value) if each.rule_id == rule_id)
        return found

    async def leaves(self) -> dict[Place, set[str]]:
        """Leaf hashes of the records at every place of the topic, of this namespace and others."""
        now = dt.datetime.now(dt.UTC)
        found: dict[Place, set[str]] = {}
        for (topic, partition), values in (await messages_of(self.road, [raw_topic(CLOUDTRAIL)])).items():
            for offset, value in values.items():
                records = prepare(value, Position(topic, partition, offset), now, LIMITS).records
                found[topic, partition, offset] = {each.identified.leaf.hex() for each in records}
        return found


async def caught_up(road: Road) -> None:
    status = await wait_until_caught_up(road.settings.kafka, list(all_formats()), timeout_s=240, namespace=NAMESPACE)
    assert status.caught_up, dict(status.lag)


def of(leaves: Mapping[Place, set[str]], places: set[Place]) -> set[str]:
    """The records at some places."""
    return {leaf for place in places for leaf in leaves[place]}


def since(leaves: Mapping[Place, Any], parts: Sequence[set[Place]]) -> set[Place]:
    """The places of a topic from the first one on that is spoken of in each partition."""
    firsts: dict[tuple[str, int], int] = {}
    for topic, partition, offset in set().union(*parts):
        firsts[topic, partition] = min(offset, firsts.get((topic, partition), offset))
    return {place for place in leaves if place[:2] in firsts and place[2] >= firsts[place[:2]]}


async def test_only_what_a_killed_worker_evaluated_is_claimed_and_its_successor_completes_it(
    road: Road, tmp_path: Path
) -> None:
    rng = random.Random(31)
    road.end("detect", road.roles["detect"][0])
    watch = Watch(road, tmp_path, dt.datetime.now(dt.UTC))
    watch.start(BEFORE)
    async with feeding(road, NAMESPACE, 31):
        await advanced(road)
        await asyncio.sleep(rng.uniform(0.0, 1.0))
        road.kill("detect")
        _, parts = await watch.answers(BEFORE)
        leaves, evaluated = await watch.leaves(), await watch.evaluated(BEFORE)
        assert parts["yes"]
        assert of(leaves, parts["yes"]) <= evaluated, "it is claimed, and nobody evaluated it"
        assert of(leaves, parts["not yet"]) - evaluated, "the worker was not killed in mid-stream"
        assert (parts["no"], parts["unknown"]) == (set(), set())
        watch.start(BEFORE)
    await caught_up(road)
    verdict, parts = await watch.answers(BEFORE)
    leaves = await watch.leaves()
    assert verdict == "seen"
    assert parts["yes"] == since(leaves, list(parts.values()))
    assert of(leaves, parts["yes"]) <= await watch.evaluated(BEFORE)


async def test_what_another_rule_set_evaluated_after_a_kill_is_told_as_not_seen(road: Road, tmp_path: Path) -> None:
    rng = random.Random(32)
    road.end("detect", road.roles["detect"][0])
    watch = Watch(road, tmp_path, dt.datetime.now(dt.UTC))
    watch.start(BEFORE)
    async with feeding(road, NAMESPACE, 32):
        await advanced(road)
        await asyncio.sleep(rng.uniform(0.0, 1.0))
        road.kill("detect")
        await asyncio.sleep(1.0)
        watch.start(AFTER)
    await caught_up(road)
    verdict, before = await watch.answers(BEFORE)
    leaves = await watch.leaves()
    assert verdict == "partly"
    assert of(leaves, before["yes"]) <= await watch.evaluated(BEFORE)
    assert before["no"]
    assert of(leaves, before["no"]) <= await watch.evaluated(AFTER)
    assert before["yes"] | before["no"] == since(leaves, list(before.values()))
    _, after = await watch.answers(AFTER)
    assert (after["yes"], after["no"]) == (before["no"], before["yes"])


async def test_wherever_a_worker_dies_within_a_batch_no_record_is_claimed_for_its_rules_that_it_did_not_count(
    road: Road, tmp_path: Path
) -> None:
    road.end("detect", road.roles["detect"][0])
    watch = Watch(road, tmp_path, dt.datetime.now(dt.UTC))
    records = cloudtrail(random.Random(33), 100, watch.begun)
    await publish(road, list(envelopes(NAMESPACE, CLOUDTRAIL, records, each=5)))
    dying = {"test-every-told": DETECTIONS, "test-every-begun": EVALUATIONS, "test-every-counted": ACCOUNTING}
    for rule_id, topic in dying.items():
        await asyncio.to_thread(watch.dies, rule_id, topic)
        assert await watch.evaluated(rule_id), "it died before it had evaluated anything"
    watch.start("test-every-last")
    await caught_up(road)
    leaves = await watch.leaves()
    claimed: dict[str, set[Place]] = {}
    for rule_id in ("test-every-counted", "test-every-last"):
        verdict, parts = await watch.answers(rule_id)
        assert verdict == "partly"
        assert parts["yes"]
        assert of(leaves, parts["yes"]) <= await watch.evaluated(rule_id)
        assert parts["yes"] | parts["no"] == since(leaves, list(parts.values()))
        claimed[rule_id] = parts["yes"]
    first, last = claimed.values()
    assert first | last == since(leaves, [first, last])
    assert not first & last
    code, _, said = await asyncio.to_thread(ran, road.config("seen", {}), *watch.words("test-every-told"))
    assert code == Exit.CONFIG
    assert "no rule set that was ever evaluated has it" in said
    _, parts = await watch.answers("test-every-begun")
    assert parts["yes"] == set()
    assert parts["no"] == first | last
