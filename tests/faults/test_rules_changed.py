"""Rules that change under a running detect role: the new set fires without a restart, a broken one is refused."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch

from detectors.correlation.alone import Alone
from detectors.correlation.signals import Router
from detectors.correlation.wire import Signals, decode
from detectors.rulebook import Rulebook, load
from ingest.formats.registry import all_formats
from streams.brokers import _groups
from streams.seen import read_ledger, read_spans
from streams.status import wait_until_caught_up
from streams.topics import SIGNALS, raw_topic
from tests.detectors.correlation.building import told
from tests.faults.oracle import advanced, messages_of, told_alerts
from tests.faults.road import Road, feeding, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.engines]
NAMESPACE = "reloaded"
ADDED = "added"
JOINED = "joined"
HOSTILE = "[StopLogging, DeactivateMFADevice, DeleteDetector]"
KICKED_S = 60.0
"""Whoever does not join a rebalance in this time is put out of the group, and all stand still for so long."""
AWAITED = "Rules of another worker are not here yet"
WAIT_S = 240.0


def rule(name: str, event_name: str) -> str:
    return f"""
title: {name}
name: {name}
level: high
logsource: {{product: aws, service: cloudtrail}}
detection: {{s: {{eventName: {event_name}}}, condition: s}}
"""


CORRELATIONS = "---".join(
    f"""
title: Many risky calls of one user
name: test-many-{number}
level: high
correlation:
  type: event_count
  rules: [test-first]
  group-by: [userIdentity.userName]
  timespan: 5m
  lateness: 2h
  condition: {{gte: 2}}
"""
    for number in range(6)  # so that groups lie in many partitions: few people are in the material
)


async def versions_of(road: Road, rule_id: str) -> Mapping[str, int]:
    """Rule-set version → alerts of a rule that carry it."""
    state = road.state
    client = AsyncElasticsearch(
        state.elasticsearch_url, basic_auth=("admin", state.elasticsearch_users["admin"]), request_timeout=30
    )
    index = f"logs-skytrail.alert-{NAMESPACE}-*"
    try:
        await client.indices.refresh(index=index, ignore_unavailable=True, allow_no_indices=True)
        found: Any = await client.search(
            index=index,
            query={"term": {"rule.id": rule_id}},
            size=1_000,
            source_includes=["skytrail.alert.ruleset_version"],
            ignore_unavailable=True,
            allow_no_indices=True,
        )
    finally:
        await client.close()
    told = [hit["_source"]["skytrail"]["alert"]["ruleset_version"] for hit in found["hits"]["hits"]]
    return {version: told.count(version) for version in told}


async def wait_for_alerts(road: Road, rule_id: str) -> Mapping[str, int]:
    deadline = time.monotonic() + WAIT_S
    while not (found := await versions_of(road, rule_id)):
        assert time.monotonic() < deadline, f"no alert of {rule_id}"
        await asyncio.sleep(1)
    return found


async def test_a_running_role_takes_a_sound_set_and_refuses_a_broken_one(road: Road, tmp_path: Path) -> None:
    (tmp_path / "first.yml").write_text(rule("test-first", "StopLogging"), "utf-8")
    before = load([tmp_path]).version
    road.end("detect", road.roles["detect"][0])
    role = road.start("detect", detection={"rules": [str(tmp_path)], "shipped_rules": False, "reload_interval_s": 1})
    async with feeding(road, NAMESPACE, 91):
        assert set(await wait_for_alerts(road, "test-first")) == {before}

        (tmp_path / "broken.yml").write_text(rule("test-broken", "X").replace("condition: s", "condition: t"), "utf-8")
        wait_for(lambda: role.said("rules refused"), "the broken set is refused")
        await advanced(road)
        assert not role.said("rules reloaded")

        (tmp_path / "broken.yml").unlink()
        (tmp_path / "second.yml").write_text(rule("test-second", "DeactivateMFADevice"), "utf-8")
        wait_for(lambda: role.said("rules reloaded"), "the sound set is taken")
        after = load([tmp_path]).version
        assert after != before
        assert set(await wait_for_alerts(road, "test-second")) == {after}
        kafka = road.settings.kafka
        ledger, spans = await read_ledger(kafka), await read_spans(kafka, [raw_topic("aws.cloudtrail")], None, None)
        seen = {answer: {part.version for part in ledger.seen("test-second", spans) if part.seen == answer}
                for answer in ("yes", "no")}  # fmt: skip
        assert seen["yes"] == {after}
        assert before in seen["no"]
        assert ledger.sets[before].find("test-second") is None
        told = ledger.sets[after].find("test-second")
        assert told is not None
        assert "DeactivateMFADevice" in ledger.sets[after].files[told.file]
    assert role.process.poll() is None, "it is the process that was started first"


async def flowing_until(condition: Callable[[], bool], what: str) -> None:
    """As `wait_for`, while records flow."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited for: {what}"
        await asyncio.sleep(0.2)


async def at_rest(road: Road, *, workers: int) -> bool:
    """Whether so many workers of the role detect are in their group, and all have their partitions."""
    (group,) = (await asyncio.to_thread(_groups, road.settings.kafka, ["skytrail-detect"])).values()
    return len(group["members"]) == workers and "Stable" in group.values()


async def counts_of_signals(road: Road, book: Rulebook, namespace: str = ADDED) -> list[int]:
    """The counts of the alerts that all signals in Kafka add up to, judged by one process with these rules."""
    signals = [
        signal
        for values in (await messages_of(road, [SIGNALS])).values()
        for message in map(decode, values.values())
        if isinstance(message, Signals)
        for signal in message.signals
        if signal.namespace == namespace
    ]
    alone = Alone(Router(book.correlations))
    found = [*alone.follow(sorted(signals, key=lambda signal: signal.at)), *alone.finish()]
    return sorted(len(members) for members in told(found).values())


async def test_an_added_correlation_loses_nothing_at_a_worker_that_reloads_late_or_is_killed_before_it_does(
    road: Road, tmp_path: Path
) -> None:
    directories = [tmp_path / "one", tmp_path / "two"]
    for directory in directories:
        directory.mkdir()
        (directory / "first.yml").write_text(
            rule("test-first", "[StopLogging, DeactivateMFADevice, DeleteDetector]"), "utf-8"
        )
    road.end("detect", road.roles["detect"][0])
    early, late = (
        road.start("detect", detection={"rules": [str(each)], "shipped_rules": False, "reload_interval_s": 1})
        for each in directories
    )
    for worker in (early, late):
        wait_for(functools.partial(worker.said, "worker started"), "both workers are up")
    async with feeding(road, ADDED, 17):
        await advanced(road)
        (directories[0] / "many.yml").write_text(CORRELATIONS, "utf-8")
        wait_for(lambda: early.said("rules reloaded"), "the first worker has the correlation")
        await flowing_until(lambda: late.said(AWAITED), "signals reach the one without it")
        late.process.kill()
        late.process.wait()
        road.roles["detect"].remove(late)
        last = road.start(
            "detect", detection={"rules": [str(directories[1])], "shipped_rules": False, "reload_interval_s": 1}
        )
        await flowing_until(lambda: last.said(AWAITED), "they come again to its successor")
        (directories[1] / "many.yml").write_text(CORRELATIONS, "utf-8")
        wait_for(lambda: last.said("rules reloaded"), "the successor has the correlation")
        await flowing_until(lambda: early.said("test-many-") and last.said("test-many-"), "both workers alert")
    status = await wait_until_caught_up(road.settings.kafka, list(all_formats()), timeout_s=240, namespace=ADDED)
    assert status.caught_up, dict(status.lag)
    expected = await counts_of_signals(road, load([directories[0]]))
    assert expected
    alerts = await told_alerts(road, ADDED)
    assert sorted(n for (of, _), counts in alerts.items() if of.startswith("test-many-") for n in counts) == expected
    for worker in (early, late, last):
        assert not worker.said("signals left out"), worker.tail()


async def test_a_rebalance_does_not_wait_for_a_worker_that_waits_for_rules(road: Road, tmp_path: Path) -> None:
    directories = [tmp_path / "one", tmp_path / "two"]
    for directory in directories:
        directory.mkdir()
        (directory / "first.yml").write_text(rule("test-first", HOSTILE), "utf-8")
    for running in road.roles["detect"][:]:
        road.end("detect", running)
    common = {"shipped_rules": False, "reload_interval_s": 1, "reload_patience_s": 3600}
    early, late = (road.start("detect", detection={"rules": [str(each)], **common}) for each in directories)
    for worker in (early, late):
        wait_for(functools.partial(worker.said, "worker started"), "both workers are up")
    async with feeding(road, JOINED, 23):
        await advanced(road)
        (directories[0] / "many.yml").write_text(CORRELATIONS, "utf-8")
        wait_for(lambda: early.said("rules reloaded"), "the first worker has the correlation")
        await flowing_until(lambda: late.said(AWAITED), "signals reach the one without it")
        third = road.start("detect", detection={"rules": [str(directories[0])], **common})
        await flowing_until(lambda: third.said("worker started"), "a third worker is up")
        begun = time.monotonic()
        while not await at_rest(road, workers=3):
            assert time.monotonic() - begun < WAIT_S, third.tail()
            await asyncio.sleep(0.5)
        took = time.monotonic() - begun
        assert not late.said("rules reloaded")
        (directories[1] / "many.yml").write_text(CORRELATIONS, "utf-8")
        await flowing_until(lambda: late.said("rules reloaded"), "the late worker has the correlation")
    status = await wait_until_caught_up(road.settings.kafka, list(all_formats()), timeout_s=240, namespace=JOINED)
    assert status.caught_up, dict(status.lag)
    expected = await counts_of_signals(road, load([directories[0]]), JOINED)
    assert expected
    alerts = await told_alerts(road, JOINED)
    assert sorted(n for (of, _), counts in alerts.items() if of.startswith("test-many-") for n in counts) == expected
    for worker in (early, late, third):
        assert worker.process.poll() is None, worker.tail()
        assert not worker.said("signals left out"), worker.tail()
    assert took < KICKED_S, "the group stood still until the one that waited was put out of it"
